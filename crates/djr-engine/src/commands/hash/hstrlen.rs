//! HSTRLEN key field

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hstrlen",
    since: "3.2.0",
    group: Group::Hash,
    summary: "Returns the length of the value of a field of a hash.",
    syntax: &[Arg::key("key", Access::RO), Arg::string("field")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let hash = context.object::<Hash>(context.key(args, 1))?;
        let found = hash.and_then(|hash| hash.get(args.get(2), context.now));
        reply.integer(found.map_or(0, |found| found.value.len()) as i64);
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_bytes() {
        check(
            "HSTRLEN h a | HSET h a text b -12345 c \"\" | HSTRLEN h a | HSTRLEN h b | HSTRLEN h c | HSTRLEN h nope | SET s v | HSTRLEN s a",
            "0 | 3 | 4 | 6 | 0 | 0 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
