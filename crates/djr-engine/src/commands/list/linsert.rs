//! LINSERT key BEFORE | AFTER pivot element

use djr_storage::types::list::Side;

use super::super::prelude::*;
use super::{ADD, List, Notify};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "linsert",
    since: "2.2.0",
    group: Group::List,
    summary: "Puts an element before or behind the first that equals another.",
    complexity: "O(n) for n elements from the first to the pivot",
    syntax: &[
        Arg::key("key", ADD),
        Arg::one_of(
            "where",
            &[Arg::token("before", "BEFORE"), Arg::token("after", "AFTER")],
        ),
        Arg::string("pivot"),
        Arg::string("element"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(linsert),
    ..CommandSpec::DEFAULT
};

fn linsert(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let side = if args.is(2, "after") {
        Side::After
    } else if args.is(2, "before") {
        Side::Before
    } else {
        return Err(CommandError::Syntax);
    };
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let len = context.update(key, |list: &mut List| {
        let found = list.insert(side, args.get(3), args.get(4), limits);
        found.then_some(list.len())
    })?;
    Ok(match len {
        None => {
            reply.integer(0);
            Effect::None
        }
        Some(None) => {
            reply.integer(-1);
            Effect::None
        }
        Some(Some(len)) => {
            reply.integer(len as i64);
            context.notify(Notify::LIST, "linsert", key.bytes);
            Effect::Verbatim
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn beside_the_first_that_matches() {
        check(
            "RPUSH l a 5 a | LINSERT l BEFORE a x | LINSERT l after 5 6 | LRANGE l 0 -1 | LINSERT l AFTER zz 6 | LINSERT none AFTER a b",
            "3 | 4 | 5 | [x a 5 6 a] | -1 | 0",
        );
        check(
            "LINSERT none FOO a b | SET s x | LINSERT s BEFORE a b",
            "ERR syntax error | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "RPUSH l a | LINSERT l AFTER b c | LINSERT l AFTER a b",
            "RPUSH l a | LINSERT l AFTER a b",
        );
    }
}
