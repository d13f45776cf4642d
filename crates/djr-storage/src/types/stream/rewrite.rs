//! A stream as commands that make it again.

use super::{ID_TEXT_SIZE_MAX, Stream, StreamId};
use crate::value::{INTEGER_TEXT_SIZE_MAX, format_integer};

impl Stream {
    /// Gives the commands, argument by argument, that make this stream under `key` where it is not. One command per entry, one per
    /// group, consumer and pending entry, and some for what is remembered of deleted entries.
    ///
    /// An entry that is pending though it is deleted can only be made pending while it is there. So it is put in for a while.
    pub(super) fn rewrite_as_commands(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let ghosts = self.ghosts();
        self.rewrite_entries(key, &ghosts, emit);
        let mut buffer = [0; ID_TEXT_SIZE_MAX];
        for (name, group) in self.groups() {
            let last_id = group.last_id.format(&mut buffer);
            let mut number = [0; INTEGER_TEXT_SIZE_MAX];
            let read = format_integer(group.entries_read.unwrap_or(-1), &mut number);
            emit(&[
                b"XGROUP",
                b"CREATE",
                key,
                name,
                last_id,
                b"ENTRIESREAD",
                read,
            ]);
            for consumer in group.consumers() {
                emit(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
                for id in consumer.pending(StreamId::MIN..=StreamId::MAX) {
                    let Some(pending) = group.pending(id) else {
                        continue;
                    };
                    let mut numbers = [[0; INTEGER_TEXT_SIZE_MAX]; 2];
                    let [time, count] = &mut numbers;
                    emit(&[
                        b"XCLAIM",
                        key,
                        name,
                        consumer.name(),
                        b"0",
                        id.format(&mut [0; ID_TEXT_SIZE_MAX]),
                        b"TIME",
                        format_integer(pending.delivered_at, time),
                        b"RETRYCOUNT",
                        format_integer(pending.deliveries as i64, count),
                        b"FORCE",
                        b"JUSTID",
                    ]);
                }
            }
        }
        self.rewrite_deletions(key, &ghosts, emit);
    }

    /// The ids that are pending though their entries are gone.
    fn ghosts(&self) -> Vec<StreamId> {
        let entries = self.entries();
        let mut ghosts: Vec<StreamId> = self
            .groups()
            .flat_map(|(_, group)| group.pending_range(StreamId::MIN..=StreamId::MAX))
            .map(|(id, _)| id)
            .filter(|id| entries.get(*id).is_none())
            // After XSETID to a smaller id there may be some that no commands can make again.
            .filter(|id| {
                entries.is_empty() || *id < entries.first_id() || *id <= entries.max_deleted_id()
            })
            .collect();
        ghosts.sort_unstable();
        ghosts.dedup();
        ghosts
    }

    fn rewrite_entries(&self, key: &[u8], ghosts: &[StreamId], emit: &mut dyn FnMut(&[&[u8]])) {
        let entries = self.entries();
        let mut buffer = [0; ID_TEXT_SIZE_MAX];
        let mut ghost = |id: StreamId, emit: &mut dyn FnMut(&[&[u8]])| {
            emit(&[b"XADD", key, id.format(&mut buffer), b"x", b"y"]);
        };
        let mut left = ghosts.iter().copied().peekable();
        for entry in entries.range(StreamId::MIN, StreamId::MAX) {
            while let Some(id) = left.next_if(|id| *id < entry.id()) {
                ghost(id, emit);
            }
            let mut id = [0; ID_TEXT_SIZE_MAX];
            let mut numbers = vec![[0; INTEGER_TEXT_SIZE_MAX]; 2 * entry.pairs()];
            let mut words: Vec<&[u8]> = vec![b"XADD", key, entry.id().format(&mut id)];
            let pairs = entry.words().zip(&mut numbers);
            words.extend(pairs.map(|(word, number)| word.to_bytes(number)));
            emit(&words);
        }
        left.for_each(|id| ghost(id, emit));
        if entries.is_empty() && ghosts.is_empty() {
            // No key without an entry; so there is one, for a moment.
            ghost(entries.last_id().max(StreamId::new(0, 1)), emit);
            emit(&[b"XTRIM", key, b"MAXLEN", b"0"]);
        }
    }

    /// Deletes the ghosts again and says what was ever deleted.
    fn rewrite_deletions(&self, key: &[u8], ghosts: &[StreamId], emit: &mut dyn FnMut(&[&[u8]])) {
        let entries = self.entries();
        let mut buffer = [0; ID_TEXT_SIZE_MAX];
        if entries.is_empty() {
            if !ghosts.is_empty() {
                emit(&[b"XTRIM", key, b"MAXLEN", b"0"]);
            }
        } else if ghosts.first().is_some_and(|id| *id < entries.first_id()) {
            emit(&[
                b"XTRIM",
                key,
                b"MINID",
                entries.first_id().format(&mut buffer),
            ]);
        }
        for id in ghosts
            .iter()
            .filter(|id| **id > entries.first_id() && !entries.is_empty())
        {
            emit(&[b"XDEL", key, id.format(&mut buffer)]);
        }
        let mut number = [0; INTEGER_TEXT_SIZE_MAX];
        emit(&[
            b"XSETID",
            key,
            entries.last_id().format(&mut [0; ID_TEXT_SIZE_MAX]),
            b"ENTRIESADDED",
            format_integer(entries.added() as i64, &mut number),
            b"MAXDELETEDID",
            entries.max_deleted_id().format(&mut buffer),
        ]);
    }
}
