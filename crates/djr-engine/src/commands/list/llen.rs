//! LLEN key

use super::super::prelude::*;
use super::List;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "llen",
    group: Group::List,
    summary: "Returns the number of elements of a list.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(llen),
    ..CommandSpec::DEFAULT
};

fn llen(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let list = context.object::<List>(context.key(args, 1))?;
    reply.integer(list.map_or(0, List::len) as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_elements() {
        check(
            "LLEN l | RPUSH l a b | LLEN l | SET s x | LLEN s",
            "0 | 2 | 2 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
