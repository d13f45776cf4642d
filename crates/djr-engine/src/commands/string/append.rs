//! APPEND key value

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "append",
    since: "2.0.0",
    group: Group::String,
    summary: "Adds bytes to the end of the string stored at a key, which may be missing.",
    complexity: "O(n) for n bytes added",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("value"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(append),
    ..CommandSpec::DEFAULT
};

fn append(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, value) = (context.key(args, 1), args.get(2));
    let engine = context.engine;
    let mut db = context.db();
    let mut is_new = false;
    let len = match db.get_mut(key) {
        Some(mut entry) => {
            let len = string_of(entry.entry().value())?.len();
            check_string_len(engine, len, value.len())?;
            entry.append(value)
        }
        None => {
            db.set_string(key, value, Expire::Clear);
            is_new = true;
            value.len()
        }
    };
    if is_new {
        context.notify_new(key);
    }
    context.notify(Notify::STRING, "append", key.bytes);
    reply.integer(len as i64);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects, check_with_string_len_max};

    #[test]
    fn grows_a_string() {
        check(
            "APPEND k a | APPEND k bc | GET k | SET n 12 | APPEND n 3 | GET n | INCR n",
            "1 | 3 | abc | OK | 3 | 123 | 124",
        );
    }

    #[test]
    fn changes_the_encoding() {
        check(
            "APPEND n 12 | OBJECT ENCODING n | APPEND n \"\" | OBJECT ENCODING n | SET e abc | OBJECT ENCODING e | APPEND e d | \
             OBJECT ENCODING e | APPEND new abc | OBJECT ENCODING new",
            "2 | int | 2 | raw | OK | embstr | 4 | raw | 3 | embstr",
        );
    }

    #[test]
    fn keeps_the_deadline() {
        check("SET k a EX 9 | APPEND k b | TTL k", "OK | 2 | 9");
    }

    #[test]
    fn respects_the_limit() {
        check_with_string_len_max(
            5,
            "SET k 123 | APPEND k 45 | APPEND k 6 | GET k",
            "OK | 5 | ERR string exceeds maximum allowed size (proto-max-bulk-len) | 12345",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects("APPEND k a | APPEND k b", "APPEND k a | APPEND k b");
    }
}
