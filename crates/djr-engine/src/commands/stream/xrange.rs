//! XRANGE key start end \[COUNT count\], XREVRANGE key end start \[COUNT count\]

use djr_storage::types::Stream;

use super::super::prelude::*;
use super::ids::{parse_end, parse_start};
use super::reply::reply_entries;

pub(super) static XRANGE: CommandSpec = CommandSpec {
    name: "xrange",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Returns the entries of a range of ids.",
    complexity: "O(log B + N), B being the number of blocks and N that of the entries returned",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("start"),
        Arg::string("end"),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(xrange),
    ..CommandSpec::DEFAULT
};

pub(super) static XREVRANGE: CommandSpec = CommandSpec {
    name: "xrevrange",
    summary: "Returns the entries of a range of ids, the last one first.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("end"),
        Arg::string("start"),
        Arg::integer("count").after("COUNT").optional(),
    ],
    run: Run::Read(xrevrange),
    ..XRANGE
};

fn xrange(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    range(context, args, (2, 3), reply)
}

fn xrevrange(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    range(context, args, (3, 2), reply)
}

fn range(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    (start, end): (usize, usize),
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let forward = start < end;
    let (start, end) = (parse_start(args.get(start))?, parse_end(args.get(end))?);
    let mut count = None;
    let mut index = 4;
    while index < args.len() {
        if !args.is(index, "COUNT") || index + 1 == args.len() {
            return Err(CommandError::Syntax);
        }
        // A negative one is none.
        count = Some(args.integer(index + 1)?.max(0) as usize);
        index += 2;
    }
    let Some(stream) = context.object::<Stream>(context.key(args, 1))? else {
        reply.array(0);
        return Ok(());
    };
    let count = match count {
        Some(0) => {
            reply.null_array();
            return Ok(());
        }
        count => count.unwrap_or(usize::MAX),
    };
    if forward {
        reply_entries(reply, stream.entries().range(start, end).take(count));
    } else {
        reply_entries(reply, stream.entries().range_back(start, end).take(count));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn both_ways() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 c d e f | XADD s 2-0 a b | XRANGE s - + | XREVRANGE s + - COUNT 2 | XRANGE s 1 1 | \
             XRANGE s (1-1 (2 | XREVRANGE s (2 (1-1 | XRANGE s 3 2",
            "1-1 | 1-2 | 2-0 | [[1-1 [a b]] [1-2 [c d e f]] [2-0 [a b]]] | [[2-0 [a b]] [1-2 [c d e f]]] | \
             [[1-1 [a b]] [1-2 [c d e f]]] | [[1-2 [c d e f]] [2-0 [a b]]] | [[2-0 [a b]] [1-2 [c d e f]]] | []",
        );
    }

    #[test]
    fn counts() {
        check(
            "XADD s 1-1 a b | XRANGE s - + COUNT 0 | XRANGE s - + COUNT -5 | XRANGE s - + COUNT 5 COUNT 1 | XRANGE n - + COUNT 0 | \
             XRANGE s - + COUNT | XRANGE s - + COUNT x | XRANGE s - + LIMIT 1",
            "1-1 | (nil) | (nil) | [[1-1 [a b]]] | [] | ERR syntax error | ERR value is not an integer or out of range | ERR syntax error",
        );
    }
}
