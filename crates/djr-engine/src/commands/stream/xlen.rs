//! XLEN key

use djr_storage::types::Stream;

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xlen",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Tells how many entries a stream has.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(xlen),
    ..CommandSpec::DEFAULT
};

fn xlen(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let stream = context.object::<Stream>(context.key(args, 1))?;
    reply.integer(stream.map_or(0, |stream| stream.entries().len() as i64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_what_lives() {
        check(
            "XLEN s | XADD s 1-1 a b | XADD s 1-2 a b | XDEL s 1-1 | XLEN s | SET t x | XLEN t",
            "0 | 1-1 | 1-2 | 1 | 1 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
