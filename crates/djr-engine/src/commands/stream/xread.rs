//! XREAD \[COUNT count\] \[BLOCK milliseconds\] STREAMS key … id …

use djr_protocol::RespVersion;
use djr_storage::types::Stream;
use djr_storage::types::stream::StreamId;

use super::super::prelude::*;
use super::ids::parse_strict;
use super::read_options::ReadOptions;
use super::reply::reply_entries;
use crate::blocking::BlockedOn;
use crate::spec::{BeginSearch, FindKeys, KeySpec, Keys};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xread",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Returns the entries of streams behind the given ids, and waits for some if it is told to.",
    complexity: "O(log B + N) per stream, B being the number of blocks and N that of the entries returned",
    syntax: &[
        Arg::integer("count").after("COUNT").optional(),
        Arg::integer("milliseconds").after("BLOCK").optional(),
        STREAMS,
    ],
    flags: Flags::READONLY.with(Flags::BLOCKING),
    keys: Keys::Explicit(&[keys_after_streams(1)]),
    run: Run::Write(xread),
    ..CommandSpec::DEFAULT
};

/// Keys, and an id for each.
pub(super) const STREAMS: Arg = Arg::block(
    "streams",
    &[
        Arg::key("key", Access::READ).multiple(),
        Arg::string("id").multiple(),
    ],
)
.after("STREAMS");

/// The keys are the first half of what follows the word.
pub(super) const fn keys_after_streams(start_from: i32) -> KeySpec {
    KeySpec {
        begin: BeginSearch::Keyword {
            keyword: "STREAMS",
            start_from,
        },
        find: FindKeys::Range {
            last: -1,
            step: 1,
            limit: 2,
        },
        access: Access::READ,
    }
}

fn xread(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = ReadOptions::parse(context, args, false)?;
    let mut ids = Vec::with_capacity(options.keys);
    for index in 0..options.keys {
        let key = context.key(args, options.key(index));
        let stream = context.object::<Stream>(key)?;
        context.count_lookup(key, stream.is_some());
        ids.push(id_before(stream, args.get(options.id(index)))?);
    }
    let mut out = StreamReplies::begin(reply);
    for (index, id) in ids.iter().enumerate() {
        let key = context.key(args, options.key(index));
        let Some(stream) = context.object::<Stream>(key)? else {
            continue;
        };
        let entries = stream.entries();
        let next = id.next().filter(|_| entries.last_live_id() > Some(*id));
        if let Some(next) = next {
            let reply = out.stream(key.bytes);
            reply_entries(
                reply,
                entries.range(next, StreamId::MAX).take(options.count),
            );
        }
    }
    if out.finish() {
        return Ok(Effect::None);
    }
    match options.block {
        Some(timeout) if context.may_block() => {
            // What is run again must go on from where the streams are now.
            let texts: Vec<String> = ids.iter().map(StreamId::to_string).collect();
            let mut again: Vec<&[u8]> = args.from(0).take(options.id(0)).collect();
            again.extend(texts.iter().map(String::as_bytes));
            context.block_as(&again, options.all_keys(), BlockedOn::Stream, timeout)
        }
        _ => {
            reply.null_array();
            Ok(Effect::None)
        }
    }
}

/// The id behind which to read.
fn id_before(stream: Option<&Stream>, text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        b"$" => Ok(stream.map_or(StreamId::MIN, |stream| stream.entries().last_id())),
        // The last entry, whatever comes after it.
        b"+" => Ok(stream
            .and_then(|stream| stream.entries().last_live_id()?.previous())
            .unwrap_or(StreamId::MIN)),
        b">" => Err(CommandError::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        text => parse_strict(text, 0),
    }
}

/// A reply of entries per stream: only streams that have some are in it, and if none has there is no reply.
pub(super) struct StreamReplies<'r, 'o> {
    reply: &'r mut Reply<'o>,
    start: usize,
    mark: djr_protocol::Mark,
    streams: usize,
}

impl<'r, 'o> StreamReplies<'r, 'o> {
    pub(super) fn begin(reply: &'r mut Reply<'o>) -> Self {
        let start = reply.len();
        // An old client gets pairs, each an array of its own.
        let mark = match reply.version() {
            RespVersion::V2 => reply.array_later(),
            RespVersion::V3 => reply.map_later(),
        };
        Self {
            reply,
            start,
            mark,
            streams: 0,
        }
    }

    /// Begins the next stream: an array of entries is to follow.
    pub(super) fn stream(&mut self, key: &[u8]) -> &mut Reply<'o> {
        self.streams += 1;
        if self.reply.version() == RespVersion::V2 {
            self.reply.array(2);
        }
        self.reply.bulk(key);
        self.reply
    }

    /// Returns whether there was a stream. If not, nothing has been written.
    pub(super) fn finish(self) -> bool {
        self.reply.finish(self.mark, self.streams);
        if self.streams == 0 {
            self.reply.truncate(self.start);
        }
        self.streams > 0
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn reads_behind_ids() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 c d | XADD t 2-0 e f | XREAD STREAMS s t n 0 0 0 | XREAD COUNT 1 STREAMS s t 0 1 | XREAD STREAMS s 1-1 | \
             XREAD STREAMS s t 1-2 9 | XREAD STREAMS s $ | XREAD STREAMS s + | XREAD COUNT 0 STREAMS s 1 | MULTI | XREAD BLOCK 0 STREAMS s $ | EXEC",
            "1-1 | 1-2 | 2-0 | [[s [[1-1 [a b]] [1-2 [c d]]]] [t [[2-0 [e f]]]]] | [[s [[1-1 [a b]]]] [t [[2-0 [e f]]]]] | [[s [[1-2 [c d]]]]] | \
             (nil) | (nil) | [[s [[1-2 [c d]]]]] | [[s [[1-1 [a b]] [1-2 [c d]]]]] | OK | QUEUED | [(nil)]",
        );
        check(
            "@resp 3 | XADD s 1-1 a b | XADD t 2-0 e f | XREAD STREAMS s t 0 0 | XREAD STREAMS s 5",
            "ok | 1-1 | 2-0 | {s: [[1-1 [a b]]] t: [[2-0 [e f]]]} | (nil)",
        );
    }

    #[test]
    fn errors() {
        check(
            "XREAD STREAMS s t 0 | XREAD COUNT 1 s 0 | XREAD GROUP g c STREAMS s 0 | XREAD NOACK STREAMS s 0 | XREAD STREAMS s > | XREAD COUNT x STREAMS s 0 | \
             XREAD BLOCK -1 STREAMS s 0 | XREAD BLOCK x STREAMS s 0 | XREAD STREAMS s - | SET t x | XREAD STREAMS n t 0 0",
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified. | ERR syntax error | \
             ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead. | \
             ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead. | \
             ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option. | \
             ERR value is not an integer or out of range | ERR timeout is negative | ERR timeout is not an integer or out of range | \
             ERR Invalid stream ID specified as stream command argument | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
