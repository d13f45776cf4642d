//! Streams: blocks of entries as listpacks, what is remembered of entries that are gone, groups with what is pending.
//!
//! ```text
//!   blocks, each: first id (a string of 16 bytes, big-endian), listpack
//!   number of entries, last id, first id, greatest deleted id, entries ever added           (first id and what follows: types 19 and 21)
//!   groups, each: name, last id, entries read (types 19 and 21),
//!                 pending, each: id (16 bytes), delivered at (8 bytes, ms), deliveries
//!                 consumers, each: name, seen at, active at (type 21), the ids that are pending for it
//!   a block's listpack: entries, deleted ones, fields, each field, 0, then entries:
//!                 flags, ms and number after the first id, [fields, each field and] each value, elements of this entry
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::old::bytes_of;
use super::save::begin;
use super::writer::{Output, Plain, push_number, push_raw_string, push_string};
use super::{RdbError, Reader, kind};
use crate::types::Stream;
use crate::types::listpack::{Element, Listpack};
use crate::types::stream::{Consumer, Entries, Group, Pending, RestoredBlock, StreamId};

const BLOCK: RdbError = RdbError::Corrupt("a stream's block");
const PENDING: RdbError = RdbError::Corrupt("what is pending in a stream's group");
/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the fields of the first one.
const SAME_FIELDS: i64 = 2;
/// Entries read, where that is not known: -1.
const UNKNOWN: u64 = u64::MAX;

/// Appends a stream.
pub(super) fn write(out: &mut impl Output, key: Option<&[u8]>, stream: &Stream) {
    let entries = stream.entries();
    begin(out, kind::STREAM_3, key);
    push_number(out, entries.blocks() as u64);
    for (first, listpack) in entries.listpacks() {
        push_number(out, 16);
        push_raw_id(out, first);
        push_raw_string(out, &listpack);
    }
    push_figures(out, entries, stream.groups().len());
    for (name, group) in stream.groups() {
        push_group(out, name, group);
        for (id, pending) in group.pending_range(StreamId::MIN..=StreamId::MAX) {
            push_pending_entry(out, id, pending);
        }
        push_number(out, group.consumers_len() as u64);
        for consumer in group.consumers() {
            push_consumer(out, consumer);
            for id in consumer.pending(StreamId::MIN..=StreamId::MAX) {
                push_raw_id(out, id);
            }
        }
    }
}

fn push_figures(out: &mut impl Output, entries: &Entries, groups: usize) {
    push_number(out, entries.len());
    push_id(out, entries.last_id());
    push_id(out, entries.first_id());
    push_id(out, entries.max_deleted_id());
    push_number(out, entries.added());
    push_number(out, groups as u64);
}

/// What comes before what is pending in a group.
fn push_group(out: &mut impl Output, name: &[u8], group: &Group) {
    push_string(out, name);
    push_id(out, group.last_id);
    push_number(out, group.entries_read.map_or(UNKNOWN, |read| read as u64));
    push_number(out, group.pending_len() as u64);
}

fn push_pending_entry(out: &mut impl Output, id: StreamId, pending: &Pending) {
    push_raw_id(out, id);
    out.put(&pending.delivered_at.to_le_bytes());
    push_number(out, pending.deliveries);
}

/// What comes before what is pending for a consumer.
fn push_consumer(out: &mut impl Output, consumer: &Consumer) {
    push_string(out, consumer.name());
    out.put(&consumer.seen_at.to_le_bytes());
    out.put(&consumer.active_at.unwrap_or(-1).to_le_bytes());
    push_number(out, consumer.pending_len() as u64);
}

/// Pieces of large streams: see [`body`](super::body).
pub(crate) mod pieces {
    use super::*;

    /// A block: its first id, and it as a listpack.
    pub(crate) fn push_stream_block(out: &mut Vec<u8>, first: StreamId, listpack: &[u8]) {
        let out = &mut Plain(out);
        push_number(out, 16);
        push_raw_id(out, first);
        push_raw_string(out, listpack);
    }

    /// What comes between blocks and groups.
    pub(crate) fn push_stream_figures(out: &mut Vec<u8>, entries: &Entries, groups: usize) {
        push_figures(&mut Plain(out), entries, groups);
    }

    /// What comes before what is pending in a group.
    pub(crate) fn push_group_head(out: &mut Vec<u8>, name: &[u8], group: &Group) {
        push_group(&mut Plain(out), name, group);
    }

    /// What is pending in a group.
    pub(crate) fn push_pending(out: &mut Vec<u8>, id: StreamId, pending: &Pending) {
        push_pending_entry(&mut Plain(out), id, pending);
    }

    /// What comes before what is pending for a consumer.
    pub(crate) fn push_consumer_head(out: &mut Vec<u8>, consumer: &Consumer) {
        push_consumer(&mut Plain(out), consumer);
    }

    /// What is pending for a consumer.
    pub(crate) fn push_pending_id(out: &mut Vec<u8>, id: StreamId) {
        push_raw_id(&mut Plain(out), id);
    }
}

fn push_id(out: &mut impl Output, id: StreamId) {
    push_number(out, id.ms);
    push_number(out, id.seq);
}

fn push_raw_id(out: &mut impl Output, id: StreamId) {
    out.put(&id.ms.to_be_bytes());
    out.put(&id.seq.to_be_bytes());
}

fn id(reader: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId::new(reader.number()?, reader.number()?))
}

fn raw_id(reader: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    let (ms, seq) = (reader.array()?, reader.array()?);
    Ok(StreamId::new(
        u64::from_be_bytes(ms),
        u64::from_be_bytes(seq),
    ))
}

/// Reads a stream.
pub(super) fn read(reader: &mut Reader<'_>, kind: u8) -> Result<Stream, RdbError> {
    let mut stream = Stream::default();
    for _ in 0..reader.count(2)? {
        let first = reader.string()?;
        let mut first = Reader::new(&first);
        let id = raw_id(&mut first)?;
        if !first.rest().is_empty() {
            return Err(BLOCK);
        }
        let listpack = Listpack::from_bytes(reader.string()?.into_owned()).map_err(|_| BLOCK)?;
        read_block(&mut stream, id, &listpack)?;
    }
    let len = reader.number()?;
    let last_id = id(reader)?;
    let last_live_id = stream.entries().last_live_id();
    if len != stream.entries().len() || last_live_id.is_some_and(|id| last_id < id) {
        return Err(RdbError::Corrupt("a stream's number of entries or last id"));
    }
    let (mut added, mut max_deleted_id) = (len, StreamId::MIN);
    if kind != kind::STREAM {
        // The first id is that of the first entry.
        id(reader)?;
        max_deleted_id = id(reader)?;
        added = reader.number()?;
    }
    if last_id < stream.entries().last_id() {
        // XSETID of old versions did not look at deleted entries. New ones would come before them.
        stream.forget_deleted_at_end();
    }
    stream.set_id(last_id, Some(added), Some(max_deleted_id));
    for _ in 0..reader.count(4)? {
        let name = reader.string()?;
        let group = read_group(reader, kind)?;
        if !stream.add_group(&name, group) {
            return Err(RdbError::Corrupt("a stream's group that is there twice"));
        }
    }
    Ok(stream)
}

fn read_block(stream: &mut Stream, first: StreamId, listpack: &Listpack) -> Result<(), RdbError> {
    let mut elements = listpack.iter();
    let mut next = || elements.next().ok_or(BLOCK);
    let number = |element: Element<'_>| -> Result<u64, RdbError> {
        let integer = element.as_integer().ok_or(BLOCK)?;
        u64::try_from(integer).map_err(|_| BLOCK)
    };
    let (live, deleted) = (number(next()?)?, number(next()?)?);
    let count = number(next()?)?;
    let mut fields = Vec::new();
    for _ in 0..count {
        fields.push(bytes_of(next()?));
    }
    if number(next()?)? != 0 {
        return Err(BLOCK);
    }
    let mut block = RestoredBlock::new(first, &fields);
    let (mut live_seen, mut deleted_seen) = (0, 0);
    for _ in 0..live.checked_add(deleted).ok_or(BLOCK)? {
        let flags = next()?.as_integer().ok_or(BLOCK)?;
        let mut difference = || Ok(next()?.as_integer().ok_or(BLOCK)? as u64);
        let (ms, seq): (u64, u64) = (difference()?, difference()?);
        // Modulo 2^64: in a later millisecond the number may be less than that of the first id.
        let id = StreamId::new(first.ms.wrapping_add(ms), first.seq.wrapping_add(seq));
        let mut words: Vec<Cow<'_, [u8]>> = Vec::new();
        let same = flags & SAME_FIELDS != 0;
        let more = if same {
            for field in &fields {
                words.push(field.clone());
                words.push(bytes_of(next()?));
            }
            fields.len() as u64 + 3
        } else {
            let pairs = number(next()?)?;
            for _ in 0..pairs.checked_mul(2).ok_or(BLOCK)? {
                words.push(bytes_of(next()?));
            }
            words.len() as u64 + 4
        };
        if number(next()?)? != more {
            return Err(BLOCK);
        }
        let is_deleted = flags & DELETED != 0;
        deleted_seen += u64::from(is_deleted);
        live_seen += u64::from(!is_deleted);
        let size: usize = words.iter().map(|word| word.len()).sum();
        if words.is_empty()
            || size > Entries::ENTRY_SIZE_MAX
            || !block.push(id, &words, same, is_deleted)
        {
            return Err(BLOCK);
        }
    }
    if elements.next().is_some() || (live_seen, deleted_seen) != (live, deleted) {
        return Err(BLOCK);
    }
    if stream.append_block(block) {
        Ok(())
    } else {
        Err(BLOCK)
    }
}

fn read_group(reader: &mut Reader<'_>, kind: u8) -> Result<Group, RdbError> {
    let last_id = id(reader)?;
    let entries_read = match kind {
        kind::STREAM => None,
        _ => Some(reader.number()?).filter(|read| *read != UNKNOWN),
    };
    let mut group = Group::new(
        last_id,
        entries_read.and_then(|read| i64::try_from(read).ok()),
    );
    let mut pending = BTreeMap::new();
    for _ in 0..reader.count(25)? {
        let id = raw_id(reader)?;
        let (delivered_at, deliveries) = (reader.i64()?, reader.number()?);
        if pending.insert(id, (delivered_at, deliveries)).is_some() {
            return Err(PENDING);
        }
    }
    for _ in 0..reader.count(10)? {
        let name = reader.string()?;
        let seen_at = reader.i64()?;
        let active_at = match kind {
            kind::STREAM_3 => reader.i64()?,
            _ => seen_at,
        };
        let (index, is_new) = group.add_consumer(&name, seen_at);
        if !is_new {
            return Err(RdbError::Corrupt("a consumer that is there twice"));
        }
        if let Some(consumer) = group.consumer_mut(index) {
            consumer.active_at = Some(active_at).filter(|at| *at != -1);
        }
        for _ in 0..reader.count(16)? {
            let id = raw_id(reader)?;
            let (delivered_at, deliveries) = pending.remove(&id).ok_or(PENDING)?;
            group.assign(
                id,
                Pending {
                    consumer: index,
                    delivered_at,
                    deliveries,
                },
            );
        }
    }
    // Everything is pending for somebody.
    if pending.is_empty() {
        Ok(group)
    } else {
        Err(PENDING)
    }
}
