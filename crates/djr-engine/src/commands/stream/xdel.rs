//! XDEL key id …

use djr_storage::types::Stream;
use djr_storage::types::stream::StreamId;

use super::super::prelude::*;
use super::ids::parse_strict;
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xdel",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Deletes entries of a stream. What groups know of them stays.",
    complexity: "O(log B) per id, B being the number of blocks",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("id").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(xdel),
    ..CommandSpec::DEFAULT
};

fn xdel(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let Some(stream) = context.object::<Stream>(key)? else {
        reply.integer(0);
        return Ok(Effect::None);
    };
    let ids = args.from(2).map(|text| parse_strict(text, 0));
    let mut ids = ids.collect::<Result<Vec<StreamId>, _>>()?;
    ids.retain(|id| stream.entries().get(*id).is_some());
    if ids.is_empty() {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let deleted = context.update(key, |stream: &mut Stream| {
        ids.iter().filter(|id| stream.delete(**id)).count()
    })?;
    context.notify(Notify::STREAM, "xdel", key.bytes);
    reply.integer(deleted.unwrap_or(0) as i64);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn deletes_each_once() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 a b | XDEL s 1-1 1-1 1-3 1 | XDEL s 1-1 | XDEL s 1-1 x | XDEL n x | XRANGE s - + | XDEL s 1-2 | EXISTS s",
            "1-1 | 1-2 | 1 | 0 | ERR Invalid stream ID specified as stream command argument | 0 | [[1-2 [a b]]] | 1 | 1",
        );
    }

    #[test]
    fn logs_what_changed_something() {
        check_effects(
            "XADD s 1-1 a b | XDEL s 1-2 | XDEL s 1-1 1-2",
            "XADD s 1-1 a b | XDEL s 1-1 1-2",
        );
    }
}
