//! HMGET key field [field …]

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hmget",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Returns the values of several fields of a hash.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("field").multiple(),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(hmget),
    ..CommandSpec::DEFAULT
};

fn hmget(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let hash = context.object::<Hash>(context.key(args, 1))?;
    reply.array(args.len() - 2);
    for field in args.from(2) {
        let found = hash.and_then(|hash| hash.get(field, context.now));
        reply_optional(reply, found.map(|found| found.value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn returns_the_values() {
        check(
            "HMGET h a b | HSET h a 1 b 2 | HMGET h a nope b a | SET s v | HMGET s a",
            "[(nil) (nil)] | 2 | [1 (nil) 2 1] | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
