//! Consumer groups: how far a group has come, which entries its consumers have got and not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeInclusive};

use super::StreamId;
use super::keep::KeptPending;
use crate::keyspace::UnixMillis;
use crate::types::kept;

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whom it was delivered to.
    pub consumer: ConsumerIndex,
    /// When it was delivered last.
    pub delivered_at: UnixMillis,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// Which consumer of its group. Good until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerIndex(pub(super) u32);

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to get something.
    pub seen_at: UnixMillis,
    /// When it last got something.
    pub active_at: Option<UnixMillis>,
    /// The ids that are pending for it.
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries are pending for it.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids of a range that are pending for it.
    pub fn pending(
        &self,
        ids: RangeInclusive<StreamId>,
    ) -> impl DoubleEndedIterator<Item = StreamId> {
        // A tree refuses a range that ends before it begins.
        let none = ids.is_empty();
        let ids = if none {
            StreamId::MIN..=StreamId::MIN
        } else {
            ids
        };
        let found = self.pending.range(ids).copied();
        found.filter(move |_| !none)
    }
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The greatest id that was delivered to any consumer, or what `XGROUP SETID` made of it.
    pub last_id: StreamId,
    /// How many entries of the stream have passed, if that is known.
    pub entries_read: Option<i64>,
    /// Everything that is pending.
    pending: BTreeMap<StreamId, Pending>,
    /// The pending ids by the time of their delivery, once somebody has asked for them in that order.
    by_time: Option<BTreeSet<(UnixMillis, StreamId)>>,
    /// Removed consumers leave a gap, to be filled by new ones.
    consumers: Vec<Option<Consumer>>,
    /// The consumers in order of their names.
    by_name: Vec<u32>,
    name_bytes: usize,
    /// For a snapshot under way.
    pub(super) keep: kept::Slot<KeptPending>,
}

/// Bytes of trees per element: their nodes are about two thirds full.
const PENDING_BYTES: usize = size_of::<(StreamId, Pending)>() * 3 / 2;
const CONSUMER_PENDING_BYTES: usize = size_of::<StreamId>() * 3 / 2;
const BY_TIME_BYTES: usize = size_of::<(UnixMillis, StreamId)>() * 3 / 2;

impl Group {
    /// A group without consumers.
    pub fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        Self {
            last_id,
            entries_read,
            pending: BTreeMap::new(),
            by_time: None,
            consumers: Vec::new(),
            by_name: Vec::new(),
            name_bytes: 0,
            keep: kept::Slot::EMPTY,
        }
    }

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The entry with this id, if it is pending.
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// The first and the last id that are pending.
    pub fn pending_edges(&self) -> Option<(StreamId, StreamId)> {
        let (first, _) = self.pending.first_key_value()?;
        let (last, _) = self.pending.last_key_value()?;
        Some((*first, *last))
    }

    /// What is pending in a range of ids, ascending.
    pub fn pending_range(
        &self,
        ids: RangeInclusive<StreamId>,
    ) -> impl Iterator<Item = (StreamId, &Pending)> {
        let none = ids.is_empty();
        let ids = if none {
            StreamId::MIN..=StreamId::MIN
        } else {
            ids
        };
        let found = self.pending.range(ids).map(|(id, pending)| (*id, pending));
        found.filter(move |_| !none)
    }

    /// At most `count` ids that were delivered at `until` or before, the longest ago first.
    pub fn pending_since(&mut self, until: UnixMillis, count: usize) -> Vec<StreamId> {
        let pending = &self.pending;
        let by_time = self.by_time.get_or_insert_with(|| {
            pending
                .iter()
                .map(|(id, pending)| (pending.delivered_at, *id))
                .collect()
        });
        by_time
            .range(..=(until, StreamId::MAX))
            .take(count)
            .map(|(_, id)| *id)
            .collect()
    }

    /// When the entry that has been pending for the longest time was delivered. Known once [`pending_since`](Self::pending_since) has
    /// been asked.
    pub fn oldest_delivery(&self) -> Option<UnixMillis> {
        let (delivered_at, _) = self.by_time.as_ref()?.first()?;
        Some(*delivered_at)
    }

    /// Makes an entry pending for a consumer, whoever had it before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        if let Some(keep) = self.keep.get_mut() {
            keep.changed(id, before);
        }
        if let Some(by_time) = &mut self.by_time {
            if let Some(before) = before {
                by_time.remove(&(before.delivered_at, id));
            }
            by_time.insert((pending.delivered_at, id));
        }
        let owner_before = before.map(|before| before.consumer);
        if owner_before != Some(pending.consumer) {
            if let Some(consumer) = owner_before.and_then(|owner| self.consumer_mut(owner)) {
                consumer.pending.remove(&id);
            }
            if let Some(consumer) = self.consumer_mut(pending.consumer) {
                consumer.pending.insert(id);
            }
        }
    }

    /// Takes an entry off the list. Returns whether it was pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(keep) = self.keep.get_mut() {
            keep.changed(id, Some(pending));
        }
        if let Some(by_time) = &mut self.by_time {
            by_time.remove(&(pending.delivered_at, id));
        }
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// How many consumers there are.
    pub fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers, in order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name
            .iter()
            .filter_map(|index| self.consumer(ConsumerIndex(*index)))
    }

    /// The same with their indexes.
    pub(super) fn indexed_consumers(&self) -> impl Iterator<Item = (u32, &Consumer)> {
        let index = |index: &u32| Some((*index, self.consumer(ConsumerIndex(*index))?));
        self.by_name.iter().filter_map(index)
    }

    /// What is pending in a range of ids, which must not be empty by its bounds.
    pub(super) fn all_pending(
        &self,
        ids: (Bound<StreamId>, Bound<StreamId>),
    ) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.pending.range(ids).map(|(id, pending)| (*id, pending))
    }

    /// A consumer.
    pub fn consumer(&self, index: ConsumerIndex) -> Option<&Consumer> {
        self.consumers.get(index.0 as usize)?.as_ref()
    }

    /// A consumer, for changing it.
    pub fn consumer_mut(&mut self, index: ConsumerIndex) -> Option<&mut Consumer> {
        self.consumers.get_mut(index.0 as usize)?.as_mut()
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerIndex> {
        let place = self.place_of(name).ok()?;
        self.by_name.get(place).map(|index| ConsumerIndex(*index))
    }

    /// Adds a consumer, who is seen now. Returns the one of this name otherwise, and whether it is new.
    pub fn add_consumer(&mut self, name: &[u8], now: UnixMillis) -> (ConsumerIndex, bool) {
        let place = match self.place_of(name) {
            Ok(place) => return (ConsumerIndex(self.by_name[place]), false),
            Err(place) => place,
        };
        let consumer = Some(Consumer {
            name: name.into(),
            seen_at: now,
            active_at: None,
            pending: BTreeSet::new(),
        });
        let index = if self.consumers.len() > self.by_name.len()
            && let Some(gap) = self.consumers.iter().position(Option::is_none)
        {
            self.consumers[gap] = consumer;
            gap as u32
        } else {
            self.consumers.push(consumer);
            self.consumers.len() as u32 - 1
        };
        self.by_name.insert(place, index);
        self.name_bytes += name.len();
        (ConsumerIndex(index), true)
    }

    /// Removes a consumer and all that is pending for it. Returns how many entries that was, `None` if there is no such consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let place = self.place_of(name).ok()?;
        let index = self.by_name.remove(place);
        let consumer = self.consumers.get_mut(index as usize)?.take()?;
        self.name_bytes -= consumer.name.len();
        for id in &consumer.pending {
            let Some(pending) = self.pending.remove(id) else {
                continue;
            };
            if let Some(keep) = self.keep.get_mut() {
                keep.changed(*id, Some(pending));
            }
            if let Some(by_time) = &mut self.by_time {
                by_time.remove(&(pending.delivered_at, *id));
            }
        }
        Some(consumer.pending.len())
    }

    fn place_of(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name.binary_search_by(|index| {
            let consumer = self.consumer(ConsumerIndex(*index));
            consumer
                .map_or(&b""[..], |consumer| &consumer.name)
                .cmp(name)
        })
    }

    /// Bytes that it takes from the allocator.
    pub fn memory_bytes(&self) -> usize {
        let by_time = match &self.by_time {
            Some(by_time) => by_time.len() * BY_TIME_BYTES,
            None => 0,
        };
        self.pending.len() * (PENDING_BYTES + CONSUMER_PENDING_BYTES)
            + by_time
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + self.by_name.capacity() * size_of::<u32>()
            + self.name_bytes
    }

    /// Panics if the group contradicts itself. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut pending = 0;
        for index in &self.by_name {
            let consumer = self.consumers[*index as usize]
                .as_ref()
                .expect("a consumer");
            pending += consumer.pending.len();
            for id in &consumer.pending {
                assert_eq!(self.pending[id].consumer, ConsumerIndex(*index));
            }
        }
        assert_eq!(pending, self.pending.len());
        assert!(self.consumers().is_sorted_by(|a, b| a.name < b.name));
        if let Some(by_time) = &self.by_time {
            let expected: BTreeSet<_> = self
                .pending
                .iter()
                .map(|(id, pending)| (pending.delivered_at, *id))
                .collect();
            assert_eq!(*by_time, expected);
        }
    }
}
