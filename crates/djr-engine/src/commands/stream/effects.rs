//! What stream commands log: forms that read no clock.

use djr_storage::keyspace::{Key, UnixMillis};
use djr_storage::types::stream::{ID_TEXT_SIZE_MAX, StreamId};
use djr_storage::value::{INTEGER_TEXT_SIZE_MAX, format_integer};

use crate::WriteContext;
use crate::effect::Rewritten;

/// How many ids go into one command, so that none grows without end.
const IDS_PER_COMMAND: usize = 1000;

/// An entry that became pending, and how often it has been delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) id: StreamId,
    pub(super) deliveries: u64,
}

/// Logs that entries became pending for a consumer at `time`.
pub(super) fn log_claims(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    group: &[u8],
    consumer: &[u8],
    claims: &[Claimed],
    time: UnixMillis,
) -> Option<Rewritten> {
    let mut logged = None;
    let mut buffers = [[0; INTEGER_TEXT_SIZE_MAX]; 2];
    let [time_buffer, count_buffer] = &mut buffers;
    let time = format_integer(time, time_buffer);
    for same in claims.chunk_by(|a, b| a.deliveries == b.deliveries) {
        let Some(first) = same.first() else { continue };
        let deliveries = format_integer(first.deliveries as i64, count_buffer);
        for part in same.chunks(IDS_PER_COMMAND) {
            logged = Some(log_with_ids(
                context,
                &[b"XCLAIM", key.bytes, group, consumer, b"0"],
                part.iter().map(|claim| claim.id),
                &[
                    b"TIME",
                    time,
                    b"RETRYCOUNT",
                    deliveries,
                    b"FORCE",
                    b"JUSTID",
                ],
            ));
        }
    }
    logged
}

/// Logs that entries are pending no more.
pub(super) fn log_acknowledged(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    group: &[u8],
    ids: &[StreamId],
) -> Option<Rewritten> {
    let mut logged = None;
    for part in ids.chunks(IDS_PER_COMMAND) {
        let ids = part.iter().copied();
        logged = Some(log_with_ids(
            context,
            &[b"XACK", key.bytes, group],
            ids,
            &[],
        ));
    }
    logged
}

/// Logs that a consumer was added.
pub(super) fn log_consumer(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    group: &[u8],
    consumer: &[u8],
) -> Rewritten {
    context.rewrite(&[b"XGROUP", b"CREATECONSUMER", key.bytes, group, consumer])
}

/// Logs how far a group has come.
pub(super) fn log_group_id(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    group: &[u8],
    last_id: StreamId,
    entries_read: Option<i64>,
) -> Rewritten {
    let mut id = [0; ID_TEXT_SIZE_MAX];
    let mut read = [0; INTEGER_TEXT_SIZE_MAX];
    context.rewrite(&[
        b"XGROUP",
        b"SETID",
        key.bytes,
        group,
        last_id.format(&mut id),
        b"ENTRIESREAD",
        format_integer(entries_read.unwrap_or(-1), &mut read),
    ])
}

fn log_with_ids(
    context: &mut WriteContext<'_, '_>,
    before: &[&[u8]],
    ids: impl ExactSizeIterator<Item = StreamId>,
    after: &[&[u8]],
) -> Rewritten {
    let mut texts = vec![[0; ID_TEXT_SIZE_MAX]; ids.len()];
    let mut args: Vec<&[u8]> = before.to_vec();
    args.extend(texts.iter_mut().zip(ids).map(|(text, id)| id.format(text)));
    args.extend(after);
    context.rewrite(&args)
}
