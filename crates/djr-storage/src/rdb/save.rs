//! Values as bytes.

use super::writer::{Output, push_integer, push_number, push_raw_string, push_string};
use super::{NODE_PACKED, NODE_PLAIN, VERSION, VERSION_OF_FIELD_EXPIRY, kind};
use crate::keyspace::UnixMillis;
use crate::types::list::Node;
use crate::types::listpack::{Element, Listpack};
use crate::types::{Hash, List, Object, Set, SortedSet};
use crate::value::{Encoding, StringRef, ValueRef};

/// Appends a value, its type before it. Returns the version of the format that it takes. Fields of hashes that are past their deadline at
/// `now` are left out.
pub fn write_value(out: &mut impl Output, value: ValueRef<'_>, now: UnixMillis) -> u16 {
    write(out, None, value, now)
}

/// Appends an entry as files have it: the type, the key, the value. Returns the version of the format that it takes.
pub(super) fn write_entry(
    out: &mut impl Output,
    key: &[u8],
    value: ValueRef<'_>,
    now: UnixMillis,
) -> u16 {
    write(out, Some(key), value, now)
}

/// The type, and behind it the key if there is one.
pub(super) fn begin(out: &mut impl Output, kind: u8, key: Option<&[u8]>) {
    out.push(kind);
    if let Some(key) = key {
        push_string(out, key);
    }
}

fn write(out: &mut impl Output, key: Option<&[u8]>, value: ValueRef<'_>, now: UnixMillis) -> u16 {
    match value {
        ValueRef::String(string) => {
            begin(out, kind::STRING, key);
            match string {
                StringRef::Int(integer) => push_integer(out, integer),
                StringRef::Bytes(bytes) => push_string(out, bytes),
            }
        }
        ValueRef::List(list) => write_list(out, key, list),
        ValueRef::Set(set) => write_set(out, key, set),
        ValueRef::SortedSet(set) => write_sorted_set(out, key, set),
        ValueRef::Hash(hash) => return write_hash(out, key, hash, now),
        ValueRef::Stream(stream) => super::stream::write(out, key, stream),
        #[cfg(test)]
        ValueRef::Probe(probe) => {
            let mut described = Vec::new();
            probe.describe(&mut described);
            out.put(&described);
        }
    }
    VERSION
}

fn push_element(out: &mut impl Output, element: Element<'_>) {
    match element {
        Element::Int(integer) => push_integer(out, integer),
        Element::Bytes(bytes) => push_string(out, bytes),
    }
}

fn write_list(out: &mut impl Output, key: Option<&[u8]>, list: &List) {
    begin(out, kind::LIST_QUICKLIST_2, key);
    push_number(out, list.nodes().count() as u64);
    for node in list.nodes() {
        match node {
            Node::Plain(bytes) => {
                push_number(out, NODE_PLAIN);
                push_raw_string(out, bytes);
            }
            Node::Packed(listpack) => {
                push_number(out, NODE_PACKED);
                push_raw_string(out, listpack.as_bytes());
            }
        }
    }
}

fn write_set(out: &mut impl Output, key: Option<&[u8]>, set: &Set) {
    if let Some(integers) = set.as_intset() {
        begin(out, kind::SET_INTSET, key);
        push_raw_string(out, &integers.to_bytes());
    } else if let Some(listpack) = set.as_listpack() {
        begin(out, kind::SET_LISTPACK, key);
        push_raw_string(out, listpack.as_bytes());
    } else {
        begin(out, kind::SET, key);
        push_number(out, set.len() as u64);
        set.iter().for_each(|member| push_element(out, member));
    }
}

fn write_sorted_set(out: &mut impl Output, key: Option<&[u8]>, set: &SortedSet) {
    if let Some(listpack) = set.as_listpack() {
        begin(out, kind::SORTED_SET_LISTPACK, key);
        push_raw_string(out, listpack.as_bytes());
        return;
    }
    begin(out, kind::SORTED_SET_2, key);
    push_number(out, set.len() as u64);
    // The highest score first: a list is built from its end.
    for (member, score) in set.iter().rev() {
        push_element(out, member);
        out.put(&score.to_le_bytes());
    }
}

fn write_hash(out: &mut impl Output, key: Option<&[u8]>, hash: &Hash, now: UnixMillis) -> u16 {
    let deadlines = || hash.iter(now).map(|(_, value)| value.expire_at);
    let earliest = deadlines().flatten().min();
    match (hash.encoding(), earliest) {
        (Encoding::Hashtable, None) => {
            begin(out, kind::HASH, key);
            push_number(out, hash.len(now) as u64);
            for (field, value) in hash.iter(now) {
                push_element(out, field);
                push_element(out, value.value);
            }
            VERSION
        }
        (Encoding::Hashtable, Some(earliest)) => {
            begin(out, kind::HASH_DEADLINES, key);
            out.put(&earliest.to_le_bytes());
            push_number(out, hash.len(now) as u64);
            for (field, value) in hash.iter(now) {
                let later = value.expire_at.map_or(0, |at| at.abs_diff(earliest) + 1);
                push_number(out, later);
                push_element(out, field);
                push_element(out, value.value);
            }
            VERSION_OF_FIELD_EXPIRY
        }
        (_, None) => {
            let mut listpack = Listpack::new();
            for (field, value) in hash.iter(now) {
                push_back(&mut listpack, field);
                push_back(&mut listpack, value.value);
            }
            begin(out, kind::HASH_LISTPACK, key);
            push_raw_string(out, listpack.as_bytes());
            VERSION
        }
        (_, Some(earliest)) => {
            let mut listpack = Listpack::new();
            for (field, value) in hash.iter(now) {
                push_back(&mut listpack, field);
                push_back(&mut listpack, value.value);
                push_back(&mut listpack, Element::Int(value.expire_at.unwrap_or(0)));
            }
            begin(out, kind::HASH_LISTPACK_DEADLINES, key);
            out.put(&earliest.to_le_bytes());
            push_raw_string(out, listpack.as_bytes());
            VERSION_OF_FIELD_EXPIRY
        }
    }
}

fn push_back(listpack: &mut Listpack, element: Element<'_>) {
    listpack.insert_element(listpack.end(), element);
}
