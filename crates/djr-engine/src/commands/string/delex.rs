//! DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest], DELIFEQ key value

use super::super::prelude::*;
use super::condition::Condition;

pub(super) static DELEX: CommandSpec = CommandSpec {
    name: "delex",
    since: "8.4.0",
    group: Group::String,
    summary: "Removes a key, perhaps only if its string, or the digest of it, compares as wanted.",
    complexity: "O(1), or O(n) for n bytes of the string with a digest",
    syntax: &[
        Arg::key(
            "key",
            Access::RW.with(Access::DELETE).with(Access::VARIABLE),
        ),
        Arg::one_of(
            "condition",
            &[
                Arg::string("ifeq-value").after("IFEQ"),
                Arg::string("ifne-value").after("IFNE"),
                Arg::string("ifdeq-digest").after("IFDEQ"),
                Arg::string("ifdne-digest").after("IFDNE"),
            ],
        )
        .optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(|context, args, reply| {
        let condition = match args.len() {
            2 => Condition::Present,
            4 => Condition::comparison(args, 2).ok_or(CommandError::Syntax)?,
            _ => return Err(CommandError::Arity("delex".into())),
        };
        condition.check()?;
        delete_if(context, args, condition, reply)
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static DELIFEQ: CommandSpec = CommandSpec {
    name: "delifeq",
    since: "9.0.0",
    summary: "Removes a key if it holds just this string.",
    complexity: "O(1)",
    syntax: &[
        Arg::key("key", Access::RM.with(Access::DELETE)),
        Arg::string("value"),
    ],
    run: Run::Write(|context, args, reply| {
        delete_if(context, args, Condition::Equal(args.get(2)), reply)
    }),
    ..DELEX
};

fn delete_if(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    condition: Condition<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let current = context.db_read().get(key).map(|entry| entry.value());
    // Nothing can't be deleted, though it differs from everything.
    let deleted = current.is_some() && condition.holds(current)?;
    reply.integer(deleted.into());
    if !deleted {
        return Ok(Effect::None);
    }
    context.db().remove(key);
    context.notify_del(key);
    Ok(Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes])))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn deletes_what_compares() {
        check(
            "DELEX k | SET k v | DELEX k | SET k v | DELEX k IFEQ w | DELEX k ifeq v | SET k 12 | DELEX k IFNE 12 | DELEX k IFNE 1 | \
             DELEX k IFNE 1",
            "0 | OK | 1 | OK | 0 | 1 | OK | 0 | 1 | 0",
        );
        check(
            "SET k \"Hello world\" | DELEX k IFDNE B6ACB9D84A38FF74 | DELEX k IFDEQ b6acb9d84a38ff75 | DELEX k IFDEQ B6ACB9D84A38FF74",
            "OK | 0 | 0 | 1",
        );
        check(
            "SET k 12 | DELIFEQ k 1 | DELIFEQ k 12 | DELIFEQ k 12",
            "OK | 0 | 1 | 0",
        );
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        check(
            "DELEX k IFEQ | DELEX k IFEQ a b | DELEX k NX v | DELEX k IFDEQ v",
            "ERR wrong number of arguments for 'delex' command | ERR wrong number of arguments for 'delex' command | \
             ERR syntax error | ERR must be exactly 16 hexadecimal characters",
        );
    }

    #[test]
    fn logs_the_removal() {
        check_effects(
            "SET k v | DELEX k IFEQ w | DELEX k IFEQ v | SET k v | DELIFEQ k v | DELIFEQ k v | DELEX k",
            "SET k v | DEL k | SET k v | DEL k",
        );
    }
}
