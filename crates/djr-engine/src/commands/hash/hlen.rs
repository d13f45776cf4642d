//! HLEN key

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hlen",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Returns the number of fields of a hash.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let hash = context.object::<Hash>(context.key(args, 1))?;
        reply.integer(hash.map_or(0, |hash| hash.len(context.now)) as i64);
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_live_fields() {
        check(
            "HLEN h | HSET h a 1 b 2 | HLEN h | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HLEN h | SET s v | HLEN s",
            "0 | 2 | 2 | [1] | ok | 1 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
