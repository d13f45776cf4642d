//! SETBIT key offset value

use super::super::prelude::*;
use super::{Grown, bit_offset, change_bits, unchanged};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "setbit",
    since: "2.2.0",
    group: Group::Bitmap,
    summary: "Sets or clears a bit of the string stored at a key, and returns what it was.",
    complexity: "O(1)",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::integer("offset"),
        Arg::integer("value"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(setbit),
    ..CommandSpec::DEFAULT
};

fn setbit(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let offset = bit_offset(context.engine, args.get(2), None)?;
    let bit = match args.integer(3) {
        Ok(bit @ (0 | 1)) => bit as u8,
        _ => {
            return Err(CommandError::text(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let key = context.key(args, 1);
    let (byte, shift) = ((offset / 8) as usize, 7 - offset % 8);
    let Grown {
        grown,
        converted,
        result: old,
    } = change_bits(context, key, byte + 1, |bytes| {
        let old = bytes[byte] >> shift & 1;
        bytes[byte] = bytes[byte] & !(1 << shift) | bit << shift;
        old
    })?;
    reply.integer(i64::from(old));
    if !grown && old == bit {
        return Ok(unchanged(converted));
    }
    context.db().tell_change(key);
    context.notify(Notify::STRING, "setbit", key.bytes);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects, check_with_string_len_max};

    #[test]
    fn sets_and_clears() {
        check(
            "SETBIT k 7 1 | SETBIT k 7 0 | SETBIT k 7 1 | SETBIT k 17 1 | STRLEN k | GET k | SET n 12 | SETBIT n 6 1 | GET n",
            "0 | 1 | 0 | 0 | 3 | \u{1}\0@ | OK | 0 | 32",
        );
    }

    #[test]
    fn is_kept_as_bytes() {
        check(
            "SETBIT k 2 0 | GET k | OBJECT ENCODING k | SET n 1 | SETBIT n 0 0 | OBJECT ENCODING n | SET e abc EX 9 | SETBIT e 0 0 | \
             OBJECT ENCODING e | TTL e",
            "0 | \0 | raw | OK | 0 | raw | OK | 0 | raw | 9",
        );
    }

    #[test]
    fn wants_a_bit_within_limits() {
        check_with_string_len_max(
            2,
            "SETBIT k 15 1 | SETBIT k 16 1 | SETBIT k -1 1 | SETBIT k #1 1 | SETBIT k x 1 | SETBIT k 0 2 | SETBIT k 0 x",
            "0 | ERR bit offset is not an integer or out of range | ERR bit offset is not an integer or out of range | \
             ERR bit offset is not an integer or out of range | ERR bit offset is not an integer or out of range | \
             ERR bit is not an integer or out of range | ERR bit is not an integer or out of range",
        );
    }

    #[test]
    fn logs_what_changes() {
        check_effects(
            "SETBIT k 9 0 | SETBIT k 9 0 | SETBIT k 9 1 | SETBIT k 8 0 | SET e abc | SETBIT e 0 0 | SETBIT e 0 0",
            "SETBIT k 9 0 | SETBIT k 9 1 | SET e abc | SETBIT e 0 0",
        );
    }
}
