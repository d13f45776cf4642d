//! GETBIT key offset

use super::super::prelude::*;
use super::bit_offset;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "getbit",
    since: "2.2.0",
    group: Group::Bitmap,
    summary: "Returns a bit of the string stored at a key; past its end all bits are 0.",
    complexity: "O(1)",
    syntax: &[Arg::key("key", Access::READ), Arg::integer("offset")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(getbit),
    ..CommandSpec::DEFAULT
};

fn getbit(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let offset = bit_offset(context.engine, args.get(2), None)?;
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let bytes = match &context.string(context.key(args, 1))? {
        Some(string) => string.to_bytes(&mut buffer),
        None => b"",
    };
    let byte = bytes.get((offset / 8) as usize).copied().unwrap_or(0);
    reply.integer(i64::from(byte >> (7 - offset % 8) & 1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn reads_bits() {
        check(
            "SET k \"\\x81\" | GETBIT k 0 | GETBIT k 1 | GETBIT k 7 | GETBIT k 8 | GETBIT none 0 | SET n 1 | GETBIT n 2 | \
             GETBIT k -1 | GETBIT k 4294967296",
            "OK | 1 | 0 | 1 | 0 | 0 | OK | 1 | ERR bit offset is not an integer or out of range | \
             ERR bit offset is not an integer or out of range",
        );
    }
}
