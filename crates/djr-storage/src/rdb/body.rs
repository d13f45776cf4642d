//! The bodies of large values, piece by piece, with no string compressed: what is read out of a structure in steps (see
//! `crate::types::kept`) is written with these.

use super::save::begin;
use super::writer::{Output, Plain, push_number, push_raw_string, push_string};
use super::{NODE_PACKED, NODE_PLAIN, kind};
use crate::keyspace::UnixMillis;

fn begin_elements(out: &mut Vec<u8>, kind: u8, count: usize) {
    let out = &mut Plain(out);
    begin(out, kind, None);
    push_number(out, count as u64);
}

/// Type and number of chunks.
pub(crate) fn begin_list(out: &mut Vec<u8>, nodes: usize) {
    begin_elements(out, kind::LIST_QUICKLIST_2, nodes);
}

/// A chunk that is a listpack.
pub(crate) fn push_packed_node(out: &mut Vec<u8>, listpack: &[u8]) {
    push_number(&mut Plain(out), NODE_PACKED);
    push_raw_string(&mut Plain(out), listpack);
}

/// A chunk that is one large element.
pub(crate) fn push_plain_node(out: &mut Vec<u8>, element: &[u8]) {
    push_number(&mut Plain(out), NODE_PLAIN);
    push_raw_string(&mut Plain(out), element);
}

/// Type and number of members of a set.
pub(crate) fn begin_set(out: &mut Vec<u8>, members: usize) {
    begin_elements(out, kind::SET, members);
}

/// A member of a set.
pub(crate) fn push_member(out: &mut Vec<u8>, member: &[u8]) {
    push_string(&mut Plain(out), member);
}

/// Type and number of members of a sorted set.
pub(crate) fn begin_sorted_set(out: &mut Vec<u8>, members: usize) {
    begin_elements(out, kind::SORTED_SET_2, members);
}

/// A member of a sorted set.
pub(crate) fn push_scored(out: &mut Vec<u8>, member: &[u8], score: f64) {
    let out = &mut Plain(out);
    push_string(out, member);
    out.put(&score.to_le_bytes());
}

/// Type and number of fields of a hash, of which none has a deadline.
pub(crate) fn begin_hash(out: &mut Vec<u8>, fields: usize) {
    begin_elements(out, kind::HASH, fields);
}

/// A field of a hash in which none has a deadline.
pub(crate) fn push_field(out: &mut Vec<u8>, field: &[u8], value: &[u8]) {
    let out = &mut Plain(out);
    push_string(out, field);
    push_string(out, value);
}

/// Type, earliest deadline and number of fields of a hash in which some have deadlines.
pub(crate) fn begin_timed_hash(out: &mut Vec<u8>, earliest: UnixMillis, fields: usize) {
    let out = &mut Plain(out);
    begin(out, kind::HASH_DEADLINES, None);
    out.put(&earliest.to_le_bytes());
    push_number(out, fields as u64);
}

/// A field of a hash in which some have deadlines, none before `earliest`.
pub(crate) fn push_timed_field(
    out: &mut Vec<u8>,
    (field, value): (&[u8], &[u8]),
    expire_at: Option<UnixMillis>,
    earliest: UnixMillis,
) {
    let out = &mut Plain(out);
    let later = expire_at.map_or(0, |at| at.abs_diff(earliest) + 1);
    push_number(out, later);
    push_string(out, field);
    push_string(out, value);
}

/// Type and number of blocks of a stream.
pub(crate) fn begin_stream(out: &mut Vec<u8>, blocks: usize) {
    begin_elements(out, kind::STREAM_3, blocks);
}

/// Appends a number in the form of a length.
pub(crate) fn push_count(out: &mut Vec<u8>, number: u64) {
    push_number(&mut Plain(out), number);
}
