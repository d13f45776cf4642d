//! SETRANGE key offset value

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "setrange",
    since: "2.2.0",
    group: Group::String,
    summary: "Overwrites the string stored at a key from an offset on, with zero bytes in between where it was shorter.",
    complexity: "O(n) for n bytes written",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::integer("offset"),
        Arg::string("value"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(setrange),
    ..CommandSpec::DEFAULT
};

fn setrange(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let offset = usize::try_from(args.integer(2)?).map_err(|_| CommandError::OffsetOutOfRange)?;
    let (key, value) = (context.key(args, 1), args.get(3));
    let engine = context.engine;
    let mut db = context.db();
    let mut is_new = false;
    let len = match db.get_mut(key) {
        Some(mut entry) => {
            let len = string_of(entry.entry().value())?.len();
            if value.is_empty() {
                reply.integer(len as i64);
                return Ok(Effect::None);
            }
            check_string_len(engine, offset, value.len())?;
            entry.set_range(offset, value)
        }
        None if value.is_empty() => {
            reply.integer(0);
            return Ok(Effect::None);
        }
        None => {
            check_string_len(engine, offset, value.len())?;
            let mut bytes = vec![0; offset];
            bytes.extend_from_slice(value);
            db.set_string_as(key, &bytes, StringForm::Raw, Expire::Clear);
            is_new = true;
            bytes.len()
        }
    };
    if is_new {
        context.notify_new(key);
    }
    context.notify(Notify::STRING, "setrange", key.bytes);
    reply.integer(len as i64);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects, check_with_string_len_max};

    #[test]
    fn overwrites_and_extends() {
        check(
            "SETRANGE k 2 ab | GET k | SETRANGE k 0 xyz | GET k | SET n 100 | SETRANGE n 1 23 | GET n | INCR n",
            "4 | \0\0ab | 4 | xyzb | OK | 3 | 123 | 124",
        );
    }

    #[test]
    fn an_empty_value_changes_nothing() {
        check(
            "SETRANGE k 5 \"\" | EXISTS k | SET k ab | SETRANGE k 5 \"\" | GET k | OBJECT ENCODING k",
            "0 | 0 | OK | 2 | ab | embstr",
        );
    }

    #[test]
    fn respects_the_limit() {
        check_with_string_len_max(
            4,
            "SETRANGE k 3 a | SETRANGE k 4 a | SETRANGE new 4 a | EXISTS new | SETRANGE k 9223372036854775807 aa | SETRANGE k 9 \"\" | \
             SETRANGE k -1 a | SETRANGE k x a",
            "4 | ERR string exceeds maximum allowed size (proto-max-bulk-len) | \
             ERR string exceeds maximum allowed size (proto-max-bulk-len) | 0 | \
             ERR string exceeds maximum allowed size (proto-max-bulk-len) | 4 | ERR offset is out of range | \
             ERR value is not an integer or out of range",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "SETRANGE k 1 a | SETRANGE k 1 \"\" | SETRANGE n 0 \"\"",
            "SETRANGE k 1 a",
        );
    }
}
