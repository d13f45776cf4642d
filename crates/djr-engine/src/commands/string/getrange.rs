//! GETRANGE key start end, SUBSTR key start end

use super::super::prelude::*;

pub(super) static GETRANGE: CommandSpec = CommandSpec {
    name: "getrange",
    since: "2.4.0",
    group: Group::String,
    summary: "Returns a part of the string stored at a key. Negative positions count from the end.",
    complexity: "O(n) for n bytes returned",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("start"),
        Arg::integer("end"),
    ],
    flags: Flags::READONLY,
    run: Run::Read(getrange),
    ..CommandSpec::DEFAULT
};

pub(super) static SUBSTR: CommandSpec = CommandSpec {
    name: "substr",
    since: "1.0.0",
    summary: "The old name of GETRANGE.",
    ..GETRANGE
};

fn getrange(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (start, end) = (args.integer(2)?, args.integer(3)?);
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let bytes = match &context.string(context.key(args, 1))? {
        Some(string) => string.to_bytes(&mut buffer),
        None => b"",
    };
    reply.bulk(part(bytes, start, end));
    Ok(())
}

/// The bytes from `start` to `end`, both included.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let len = bytes.len() as i64;
    let from_end = |index: i64| if index < 0 { len + index } else { index };
    // An end before the first byte means the first byte, as in Redis.
    let (start, end) = (from_end(start).max(0), from_end(end).max(0));
    let end = end.min(len - 1);
    if start > end {
        return b"";
    }
    &bytes[start as usize..=end as usize]
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn cuts_a_part() {
        check(
            "SET k abcde | GETRANGE k 0 -1 | GETRANGE k 1 2 | SUBSTR k -3 -2 | GETRANGE k 3 99 | GETRANGE k 4 3 | GETRANGE k 5 9 | \
             GETRANGE k -99 0 | GETRANGE k -1 -2 | GETRANGE k 0 -9",
            "OK | abcde | bc | cd | de |  |  | a |  | a",
        );
        check(
            "SET n 12345 | GETRANGE n 1 2 | GETRANGE none 0 -1 | SET e \"\" | GETRANGE e 0 -1 | \
             GETRANGE n -9223372036854775808 9223372036854775807",
            "OK | 23 |  | OK |  | 12345",
        );
    }

    #[test]
    fn wants_integers() {
        check(
            "GETRANGE k x 1 | GETRANGE k 1 x",
            "ERR value is not an integer or out of range | ERR value is not an integer or out of range",
        );
    }
}
