//! GEOADD key [NX|XX] [CH] longitude latitude member [longitude latitude member …]

use super::super::prelude::*;
use super::super::sorted_set::{AddOptions, Items, add};
use super::args::place;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "geoadd",
    since: "3.2.0",
    group: Group::Geo,
    summary: "Adds members with their places to a sorted set, or moves them.",
    complexity: "O(log n) for each member, in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::one_of(
            "condition",
            &[Arg::token("nx", "NX"), Arg::token("xx", "XX")],
        )
        .optional(),
        Arg::token("change", "CH").optional(),
        Arg::block(
            "data",
            &[
                Arg::double("longitude"),
                Arg::double("latitude"),
                Arg::string("member"),
            ],
        )
        .multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(geoadd),
    ..CommandSpec::DEFAULT
};

fn geoadd(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let mut options = AddOptions::default();
    let mut first = 2;
    while first < args.len() {
        let flag = if args.is(first, "NX") {
            &mut options.nx
        } else if args.is(first, "XX") {
            &mut options.xx
        } else if args.is(first, "CH") {
            &mut options.ch
        } else {
            break;
        };
        *flag = true;
        first += 1;
    }
    let left = args.len() - first;
    if left == 0 || !left.is_multiple_of(3) || options.nx && options.xx {
        return Err(CommandError::Syntax);
    }
    let items: Items<'_> = (first..args.len())
        .step_by(3)
        .map(|index| Ok((args.get(index + 2), place(args, index)?.to_score())))
        .collect::<Result<_, CommandError>>()?;
    // Nothing in it depends on the machine, so the request itself is logged.
    add(context, context.key(args, 1), &items, reply, &options)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn adds_places() {
        check(
            "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania | ZSCORE g Palermo | GEOADD g NX 1 1 Palermo 1 1 x | \
             GEOADD g XX CH 2 2 x 2 2 y | GEOADD g 180 0 east 0 85.05112878 north | ZRANGE g 0 -1 WITHSCORES",
            "2 | 3479099956230698 | 1 | 1 | 2 | \
             [x 3378191666521995 Palermo 3479099956230698 Catania 3479447370796909 north 6755399441055744 east 10133099161583616]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "GEOADD g NX XX 1 1 a | GEOADD g 181 0 a | GEOADD g 0 86 a | GEOADD g x 0 a | GEOADD g 1 2 a 3 4 | GEOADD g GT 1 2 a | \
             GEOADD g NX CH NX | SET s v | GEOADD s 1 1 a | GEOADD s 1 x a | EXISTS g",
            "ERR syntax error | ERR invalid longitude,latitude pair 181.000000,0.000000 | \
             ERR invalid longitude,latitude pair 0.000000,86.000000 | ERR value is not a valid float | ERR syntax error | ERR syntax error | \
             ERR syntax error | OK | WRONGTYPE Operation against a key holding the wrong kind of value | ERR value is not a valid float | 0",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "GEOADD g 1 1 a | GEOADD g 1 1 a | GEOADD g NX 2 2 a | GEOADD g 2 2 a",
            "GEOADD g 1 1 a | GEOADD g 2 2 a",
        );
    }
}
