//! LRANGE key start stop

use super::super::prelude::*;
use super::{List, range, reply_element};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lrange",
    group: Group::List,
    summary: "Returns the elements of a list from one index to another, both included, negative ones counted from the end.",
    complexity: "O(s + n): s elements (in chunks of hundreds) from the nearer end to the first of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("start"),
        Arg::integer("stop"),
    ],
    flags: Flags::READONLY,
    run: Run::Read(lrange),
    ..CommandSpec::DEFAULT
};

fn lrange(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (start, stop) = (args.integer(2)?, args.integer(3)?);
    let list = context.object::<List>(context.key(args, 1))?;
    let found = list.and_then(|list| Some((list, range(start, stop, list.len())?)));
    let Some((list, (first, count))) = found else {
        reply.array(0);
        return Ok(());
    };
    reply.array(count);
    for element in list.iter_from(first).take(count) {
        reply_element(reply, element);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn both_ends_included() {
        check(
            "RPUSH l a b c d 5 | LRANGE l 0 -1 | LRANGE l 1 2 | LRANGE l -2 99 | LRANGE l 3 1 | LRANGE none 0 -1",
            "5 | [a b c d 5] | [b c] | [d 5] | [] | []",
        );
    }

    #[test]
    fn numbers_come_before_the_type() {
        check(
            "SET s x | LRANGE s x 1 | LRANGE s 0 1",
            "OK | ERR value is not an integer or out of range | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
