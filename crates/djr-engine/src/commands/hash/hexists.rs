//! HEXISTS key field

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hexists",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Says whether a hash has a field.",
    syntax: &[Arg::key("key", Access::RO), Arg::string("field")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let hash = context.object::<Hash>(context.key(args, 1))?;
        let found = hash.is_some_and(|hash| hash.contains(args.get(2), context.now));
        reply.integer(i64::from(found));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn says_whether_the_field_is_there() {
        check(
            "HEXISTS h a | HSET h a 1 | HEXISTS h a | HEXISTS h b | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HEXISTS h a | SET s v | HEXISTS s a",
            "0 | 1 | 1 | 0 | [1] | ok | 0 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
