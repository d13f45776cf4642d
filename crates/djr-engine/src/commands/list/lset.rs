//! LSET key index element

use super::super::prelude::*;
use super::{List, Notify};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lset",
    group: Group::List,
    summary: "Puts another element in the place of the one at an index.",
    complexity: "O(n) for n elements (in chunks of hundreds) from the nearer end",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::integer("index"),
        Arg::string("element"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(lset),
    ..CommandSpec::DEFAULT
};

fn lset(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let index = args.integer(2);
    let set = context.update(key, |list: &mut List| {
        Ok::<_, CommandError>(list.set(index?, args.get(3), limits))
    })?;
    match set.transpose()? {
        None => Err(CommandError::NoSuchKey),
        Some(false) => Err(CommandError::IndexOutOfRange),
        Some(true) => {
            reply.ok();
            context.notify(Notify::LIST, "lset", key.bytes);
            Ok(Effect::Verbatim)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn in_its_place() {
        check(
            "LSET l x a | RPUSH l a b c | LSET l 1 2 | LSET l -1 z | LRANGE l 0 -1 | LSET l 3 a | LSET l x a",
            "ERR no such key | 3 | OK | OK | [a 2 z] | ERR index out of range | ERR value is not an integer or out of range",
        );
        check(
            "SET s x | LSET s x a",
            "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "RPUSH l a | LSET l 5 b | LSET l 0 b",
            "RPUSH l a | LSET l 0 b",
        );
    }
}
