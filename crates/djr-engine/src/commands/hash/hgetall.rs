//! HGETALL key, HKEYS key, HVALS key

use super::prelude::*;

pub(super) static HGETALL: CommandSpec = CommandSpec {
    name: "hgetall",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Returns all fields of a hash and their values.",
    complexity: "O(n) for n fields",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    run: Run::Read(|context, args, reply| {
        let Some(hash) = context.object::<Hash>(context.key(args, 1))? else {
            reply.map(0);
            return Ok(());
        };
        reply.map(hash.len(context.now));
        for (field, found) in hash.iter(context.now) {
            reply_element(reply, field);
            reply_element(reply, found.value);
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static HKEYS: CommandSpec = CommandSpec {
    name: "hkeys",
    summary: "Returns the names of all fields of a hash.",
    run: Run::Read(|context, args, reply| each(context, args, reply, |(field, _)| field)),
    ..HGETALL
};

pub(super) static HVALS: CommandSpec = CommandSpec {
    name: "hvals",
    summary: "Returns the values of all fields of a hash.",
    run: Run::Read(|context, args, reply| each(context, args, reply, |(_, found)| found.value)),
    ..HGETALL
};

/// Answers with one part of each field.
fn each<'a>(
    context: &mut ReadContext<'a>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    part: impl Fn((Element<'a>, FieldValue<'a>)) -> Element<'a>,
) -> Result<(), CommandError> {
    let Some(hash) = context.object::<Hash>(context.key(args, 1))? else {
        reply.array(0);
        return Ok(());
    };
    reply.array(hash.len(context.now));
    for field in hash.iter(context.now) {
        reply_element(reply, part(field));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn returns_all() {
        check(
            "HGETALL h | HKEYS h | HVALS h | HSET h a 1 b text | HGETALL h | HKEYS h | HVALS h",
            "[] | [] | [] | 2 | [a 1 b text] | [a b] | [1 text]",
        );
    }

    #[test]
    fn expired_fields_are_absent() {
        check(
            "HSET h a 1 b 2 c 3 | HPEXPIRE h 5 FIELDS 2 c a | @wait 5 | HKEYS h | @wait 1 | HGETALL h | HKEYS h | HVALS h",
            "3 | [1 1] | ok | [a c b] | ok | [b 2] | [b] | [2]",
        );
    }

    #[test]
    fn other_types_are_refused() {
        for command in ["HGETALL", "HKEYS", "HVALS"] {
            check(
                &format!("SET s v | {command} s"),
                "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
            );
        }
    }
}
