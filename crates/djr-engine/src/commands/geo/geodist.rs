//! GEODIST key member1 member2 [M|KM|FT|MI]

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::args::{UNITS, reply_distance, unit};
use super::hash::Place;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "geodist",
    since: "3.2.0",
    group: Group::Geo,
    summary: "Returns the distance between two members.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("member1"),
        Arg::string("member2"),
        Arg::one_of("unit", UNITS).optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(geodist),
    ..CommandSpec::DEFAULT
};

fn geodist(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let unit = match args.len() {
        4 => 1.0,
        5 => unit(args, 4)?,
        _ => return Err(CommandError::Syntax),
    };
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    let place = |index| Some(Place::of_score(set?.score(args.get(index))?));
    match place(2).zip(place(3)) {
        Some((a, b)) => reply_distance(reply, a.distance(b) / unit),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn measures() {
        check(
            "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania | GEODIST g Palermo Catania | GEODIST g Palermo Catania km | \
             GEODIST g Palermo Catania MI | GEODIST g Palermo Catania ft | GEODIST g Palermo x | GEODIST none a b | GEODIST g Palermo Palermo",
            "2 | 166274.1516 | 166.2742 | 103.3182 | 545518.8700 | (nil) | (nil) | 0.0000",
        );
        check(
            "GEODIST g a b xx | GEODIST g a b m m | SET s v | GEODIST s a b xx | GEODIST s a b",
            "ERR unsupported unit provided. please use M, KM, FT, MI | ERR syntax error | OK | \
             ERR unsupported unit provided. please use M, KM, FT, MI | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
