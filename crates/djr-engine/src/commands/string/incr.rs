//! INCR key, DECR key, INCRBY key increment, DECRBY key decrement

use super::super::prelude::*;

const KEY: Arg = Arg::key("key", Access::READ_UPDATE);
const FLAGS: Flags = Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST);

pub(super) static INCR: CommandSpec = CommandSpec {
    name: "incr",
    group: Group::String,
    summary: "Adds one to the integer stored at a key.",
    syntax: &[KEY],
    flags: FLAGS,
    run: Run::Write(|context, args, reply| add(context, args, 1, reply)),
    ..CommandSpec::DEFAULT
};

pub(super) static DECR: CommandSpec = CommandSpec {
    name: "decr",
    summary: "Takes one from the integer stored at a key.",
    run: Run::Write(|context, args, reply| add(context, args, -1, reply)),
    ..INCR
};

pub(super) static INCRBY: CommandSpec = CommandSpec {
    name: "incrby",
    summary: "Adds to the integer stored at a key.",
    syntax: &[KEY, Arg::integer("increment")],
    run: Run::Write(|context, args, reply| add(context, args, args.integer(2)?, reply)),
    ..INCR
};

pub(super) static DECRBY: CommandSpec = CommandSpec {
    name: "decrby",
    summary: "Takes from the integer stored at a key.",
    syntax: &[KEY, Arg::integer("decrement")],
    run: Run::Write(|context, args, reply| {
        let increment = args
            .integer(2)?
            .checked_neg()
            .ok_or(CommandError::DecrementOverflow)?;
        add(context, args, increment, reply)
    }),
    ..INCR
};

fn add(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    increment: i64,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let mut db = context.db();
    let mut is_new = false;
    let sum = match db.get_mut(key) {
        Some(mut entry) => {
            let current = string_of(entry.entry().value())?
                .as_integer()
                .ok_or(CommandError::NotAnInteger)?;
            let sum = current
                .checked_add(increment)
                .ok_or(CommandError::Overflow)?;
            entry.set_integer(sum);
            sum
        }
        None => {
            db.set_integer(key, increment, Expire::Clear);
            is_new = true;
            increment
        }
    };
    if is_new {
        context.notify_new(key);
    }
    context.notify(Notify::STRING, "incrby", key.bytes);
    reply.integer(sum);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn counts_and_keeps_the_deadline() {
        check(
            "INCR n | INCRBY n 5 | DECR n | DECRBY n 10 | GET n",
            "1 | 6 | 5 | -5 | -5",
        );
    }

    #[test]
    fn refuses_text_and_overflow() {
        check(
            "INCRBY n x | INCRBY n 9223372036854775807 | INCR n | DECRBY n -9223372036854775808",
            "ERR value is not an integer or out of range | 9223372036854775807 | ERR increment or decrement would overflow | \
             ERR decrement would overflow",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects("INCRBY n 5 | INCRBY n x | DECR n", "INCRBY n 5 | DECR n");
    }
}
