//! HGET key field

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hget",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Returns the value of a field of a hash.",
    syntax: &[Arg::key("key", Access::READ), Arg::string("field")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(hget),
    ..CommandSpec::DEFAULT
};

fn hget(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let hash = context.object::<Hash>(context.key(args, 1))?;
    let found = hash.and_then(|hash| hash.get(args.get(2), context.now));
    reply_optional(reply, found.map(|found| found.value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn returns_the_value() {
        check(
            "HGET h a | HSET h a 1 01 text \"\" empty | HGET h a | HGET h 01 | HGET h 1 | HGET h \"\" | HGET h nope",
            "(nil) | 3 | 1 | text | (nil) | empty | (nil)",
        );
    }

    #[test]
    fn other_types_are_refused() {
        check(
            "SET s v | HGET s a",
            "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
