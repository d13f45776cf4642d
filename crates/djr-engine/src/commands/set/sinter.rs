//! SINTER key [key …], SINTERSTORE destination key [key …], SINTERCARD numkeys key [key …] [LIMIT limit]

use super::combine::{intersection, store, visit_intersection};
use super::prelude::*;

const COMPLEXITY: &str = "O(n * k) for k sets and n members of the smallest";

pub(super) static SINTER: CommandSpec = CommandSpec {
    name: "sinter",
    since: "1.0.0",
    group: Group::Set,
    summary: "Returns the members that are in all of these sets.",
    complexity: COMPLEXITY,
    syntax: &[Arg::key("key", Access::READ).multiple()],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    run: Run::Read(|context, args, reply| {
        let mut members = Vec::new();
        if let Some(mut sets) = all(1..args.len(), |index| {
            context.object(context.key(args, index))
        })? {
            visit_intersection(&mut sets, |member| {
                members.push(member);
                true
            });
        }
        reply.set(members.len());
        members
            .into_iter()
            .for_each(|member| reply_member(reply, member));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static SINTERSTORE: CommandSpec = CommandSpec {
    name: "sinterstore",
    summary: "Stores the members that are in all of these sets.",
    syntax: &[
        Arg::key("destination", Access::OVERWRITE),
        Arg::key("key", Access::READ).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    tips: &[],
    run: Run::Write(|context, args, reply| {
        let limits = context.engine.settings.set_limits();
        let sets = all(2..args.len(), |index| {
            context.counted_object(context.key(args, index))
        })?;
        let result = sets.map(|sets| intersection(sets, limits));
        let destination = context.key(args, 1);
        let result = result.unwrap_or_default();
        Ok(store(context, destination, result, "sinterstore", reply))
    }),
    ..SINTER
};

pub(super) static SINTERCARD: CommandSpec = CommandSpec {
    name: "sintercard",
    since: "7.0.0",
    summary: "Returns how many members are in all of these sets, or a limit if that is less.",
    syntax: &[
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ).multiple(),
        Arg::integer("limit").after("LIMIT").optional(),
    ],
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    tips: &[],
    run: Run::Read(sintercard),
    ..SINTER
};

/// The sets of these arguments; `None` if one of them is not there. The types of all are looked at.
fn all<'a>(
    arguments: std::ops::Range<usize>,
    mut get: impl FnMut(usize) -> Result<Option<&'a Set>, CommandError>,
) -> Result<Option<Vec<&'a Set>>, CommandError> {
    let mut sets = Some(Vec::with_capacity(arguments.len()));
    for index in arguments {
        match (get(index)?, &mut sets) {
            (Some(set), Some(sets)) => sets.push(set),
            _ => sets = None,
        }
    }
    Ok(sets)
}

fn sintercard(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let positive = |number: i64| usize::try_from(number).ok();
    let numkeys = args.integer(1).ok().and_then(positive);
    let numkeys = numkeys
        .filter(|count| *count > 0)
        .ok_or(CommandError::text("ERR numkeys should be greater than 0"))?;
    if numkeys > args.len() - 2 {
        return Err(CommandError::text(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let (mut index, mut limit) = (2 + numkeys, usize::MAX);
    while index < args.len() {
        if !args.is(index, "LIMIT") || index + 1 == args.len() {
            return Err(CommandError::Syntax);
        }
        let number = args.integer(index + 1).ok().and_then(positive);
        limit = match number {
            Some(0) => usize::MAX,
            Some(limit) => limit,
            None => return Err(CommandError::text("ERR LIMIT can't be negative")),
        };
        index += 2;
    }
    let mut count = 0;
    if let Some(mut sets) = all(2..2 + numkeys, |index| {
        context.object(context.key(args, index))
    })? {
        visit_intersection(&mut sets, |_| {
            count += 1;
            count < limit
        });
    }
    reply.integer(count as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn members_of_all() {
        check(
            "SADD a 1 2 3 x | SADD b 3 2 y | SADD c 2 3 4 5 6 | SINTER a b c | SINTER a | SINTER a none | SINTERCARD 3 a b c | SINTERCARD 2 a b LIMIT 1 | \
             SINTERCARD 2 a b LIMIT 0 | SINTERCARD 1 none | SINTERCARD 2 c c limit 9 limit 4",
            "4 | 3 | 5 | [2 3] | [1 2 3 x] | [] | 2 | 1 | 2 | 0 | 4",
        );
    }

    #[test]
    fn results_are_stored() {
        check(
            "SADD a 1 2 3 x | SADD b 3 2 y | SINTERSTORE d a b | SMEMBERS d | OBJECT ENCODING d | SINTERSTORE a a | OBJECT ENCODING a | SET k v EX 9 | \
             SINTERSTORE k a b | TTL k | SINTERSTORE k a none | EXISTS k | SINTERSTORE k none",
            "4 | 3 | 2 | [2 3] | intset | 4 | listpack | OK | 2 | -1 | 0 | 0 | 0",
        );
        check_effects(
            "SADD a 1 | SINTERSTORE d a | SINTERSTORE d a none | SINTERSTORE d none",
            "SADD a 1 | SINTERSTORE d a | SINTERSTORE d a none",
        );
    }

    #[test]
    fn refuse_what_redis_refuses() {
        check(
            "SET k v | SINTER none k | SINTERSTORE d none k | SINTERCARD 2 none k | SINTERCARD 1 k LIMIT",
            &format!("OK | {WRONG} | {WRONG} | {WRONG} | ERR syntax error"),
        );
        check(
            "SINTERCARD 0 a | SINTERCARD x a | SINTERCARD 2 a | SINTERCARD 1 a b | SINTERCARD 1 a LIMIT -1 | SINTERCARD 1 a LIMIT x",
            "ERR numkeys should be greater than 0 | ERR numkeys should be greater than 0 | ERR Number of keys can't be greater than number of args | \
             ERR syntax error | ERR LIMIT can't be negative | ERR LIMIT can't be negative",
        );
    }
}
