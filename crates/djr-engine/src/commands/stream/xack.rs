//! XACK key group id …

use djr_storage::types::Stream;
use djr_storage::types::stream::StreamId;

use super::super::prelude::*;
use super::group::update_group;
use super::ids::parse_strict;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xack",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Takes entries off the list of what a group has still to acknowledge.",
    complexity: "O(log P) per id, P being the number of pending entries",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::string("group"),
        Arg::string("id").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(xack),
    ..CommandSpec::DEFAULT
};

fn xack(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, name) = (context.key(args, 1), args.get(2));
    let stream = context.counted_object::<Stream>(key)?;
    let Some(group) = stream.and_then(|stream| stream.group(name)) else {
        reply.integer(0);
        return Ok(Effect::None);
    };
    let ids = args.from(3).map(|text| parse_strict(text, 0));
    let mut ids = ids.collect::<Result<Vec<StreamId>, _>>()?;
    ids.retain(|id| group.pending(*id).is_some());
    if ids.is_empty() {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let acknowledged = update_group(context, key, name, |_, group| {
        ids.iter().filter(|id| group.acknowledge(**id)).count()
    })?;
    reply.integer(acknowledged.unwrap_or(0) as i64);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn acknowledges_each_once() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 a b | XGROUP CREATE s g 0 | XREADGROUP GROUP g c STREAMS s > | XACK s g 1-1 1-1 5-5 | XACK s g 1-1 | \
             XACK s g 1-2 x | XACK s h x | XACK n g x | XPENDING s g",
            "1-1 | 1-2 | OK | [[s [[1-1 [a b]] [1-2 [a b]]]]] | 1 | 0 | ERR Invalid stream ID specified as stream command argument | 0 | 0 | \
             [1 1-2 1-2 [[c 1]]]",
        );
    }
}
