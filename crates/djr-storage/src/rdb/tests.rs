//! Values and back; payloads of real servers; damaged ones.

use proptest::prelude::*;

use super::*;
use crate::types::hash::FieldExpire;
use crate::types::list::End;
use crate::types::stream::{Group, Pending, StreamId};
use crate::types::{
    Hash, HashLimits, List, Listpack, Object, Set, SetLimits, SortedSet, SortedSetLimits, Stream,
    StreamLimits,
};
use crate::value::{Encoding, StringValue, Value};

fn bytes(text: &str) -> Vec<u8> {
    text.split(' ')
        .map(|byte| u8::from_str_radix(byte, 16).expect("two digits"))
        .collect()
}

/// What a value is made of, as text.
fn show(value: &Value) -> String {
    match value {
        Value::String(StringValue::Int(integer)) => format!("int {integer}"),
        Value::String(StringValue::Bytes { bytes, .. }) => format!("\"{}\"", bytes.escape_ascii()),
        Value::List(list) => {
            let elements = list.iter().map(|element| element.to_vec());
            let elements: Vec<_> = elements
                .map(|bytes| bytes.escape_ascii().to_string())
                .collect();
            format!("{}: {}", list.encoding().name(), elements.join(" "))
        }
        Value::Hash(hash) => {
            let mut fields: Vec<_> = hash
                .iter(0)
                .map(|(field, value)| {
                    let (field, text) = (field.to_vec(), value.value.to_vec());
                    format!(
                        "{}={}@{:?}",
                        field.escape_ascii(),
                        text.escape_ascii(),
                        value.expire_at
                    )
                })
                .collect();
            fields.sort();
            format!("{}: {}", hash.encoding().name(), fields.join(" "))
        }
        Value::Set(set) => {
            let mut members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
            if set.encoding() == Encoding::Hashtable {
                members.sort();
            }
            let members: Vec<_> = members
                .iter()
                .map(|member| member.escape_ascii().to_string())
                .collect();
            format!("{}: {}", set.encoding().name(), members.join(" "))
        }
        Value::SortedSet(set) => {
            let members: Vec<_> = set
                .iter()
                .map(|(member, score)| format!("{}={score}", member.to_vec().escape_ascii()))
                .collect();
            format!("{}: {}", set.encoding().name(), members.join(" "))
        }
        Value::Stream(stream) => {
            let entries = stream.entries();
            let mut text = String::new();
            for entry in entries.range(StreamId::MIN, StreamId::MAX) {
                text += &format!("{}", entry.id());
                for word in entry.words() {
                    let mut buffer = [0; crate::value::INTEGER_TEXT_SIZE_MAX];
                    text += &format!(" {}", word.to_bytes(&mut buffer).escape_ascii());
                }
                text += "; ";
            }
            text += &format!(
                "{} {} {}",
                entries.len(),
                entries.max_deleted_id(),
                entries.added()
            );
            for (name, group) in stream.groups() {
                text += &format!(
                    "; {} {} {:?}",
                    name.escape_ascii(),
                    group.last_id,
                    group.entries_read
                );
                for consumer in group.consumers() {
                    text += &format!(
                        ", {} {} {:?}",
                        consumer.name().escape_ascii(),
                        consumer.seen_at,
                        consumer.active_at
                    );
                    for id in consumer.pending(StreamId::MIN..=StreamId::MAX) {
                        text += &format!(
                            " {id} {:?}",
                            group
                                .pending(id)
                                .map(|pending| (pending.delivered_at, pending.deliveries))
                        );
                    }
                }
            }
            text
        }
        _ => "other".into(),
    }
}

fn text(payload: &str) -> String {
    match restore(&bytes(payload), &ValueLimits::default()) {
        Ok(value) => show(&value),
        Err(error) => error.to_string(),
    }
}

/// DUMP of Redis 8.0.6, 7.0.15 and Valkey 9.1.2.
#[test]
fn reads_payloads_of_real_servers() {
    for (payload, expected) in [
        ("00 c0 01 0c 00 ed 0e d3 76 2b 2b 8f b5", "int 1"),
        ("00 c0 01 50 00 e9 52 2e 27 4f 53 76 08", "int 1"),
        (
            "12 01 02 0d 0d 00 00 00 02 00 81 61 02 81 62 02 ff 0c 00 a3 9d 3e 49 e9 6b 25 f8",
            "listpack: a b",
        ),
        (
            "19 25 38 36 0c a2 01 00 00 1d 1d 00 00 00 06 00 81 61 02 01 01 f4 25 38 36 0c a2 01 00 00 09 81 62 02 02 01 00 01 ff 0c 00 54 \
             3f 22 55 96 14 70 6d",
            "listpackex: a=1@Some(1795501209637) b=2@None",
        ),
        (
            "18 25 38 36 0c a2 01 00 00 02 00 01 62 c0 02 01 01 61 c0 01 0c 00 c6 04 ee 72 ab 4b f9 e8",
            "listpackex: a=1@Some(1795501209637) b=2@None",
        ),
        (
            "04 02 01 62 c0 02 01 61 c0 01 0c 00 ad f2 9e cd dc f7 d4 fb",
            "listpack: a=1@None b=2@None",
        ),
        (
            "16 02 01 61 c0 01 32 38 36 0c a2 01 00 00 01 62 c0 02 ff ff ff ff ff ff ff ff 50 00 7e d6 39 88 40 e3 b7 40",
            "listpackex: a=1@Some(1795501209650) b=2@None",
        ),
        (
            "15 01 10 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 1d 1d 00 00 00 0a 00 01 01 00 01 01 01 81 61 02 00 01 02 01 00 01 00 \
             01 81 62 02 04 01 ff 01 01 01 01 01 00 00 01 00 0c 00 d7 e5 ba ef 12 8b 94 84",
            "1-1 a b; 1 0-0 1",
        ),
        (
            "11 0c 0c 00 00 00 02 00 81 61 02 01 01 ff 0c 00 63 73 fa 78 2d 83 ad 4b",
            "listpack: a=1",
        ),
    ] {
        assert_eq!(text(payload), expected, "{payload}");
    }
}

/// Read without a checksum: files that no server at hand writes any more.
#[test]
fn reads_old_formats() {
    let read = |kind: u8, body: &[u8]| {
        let mut reader = Reader::new(body);
        let value = read_value(&mut reader, kind, VERSION, &ValueLimits::default());
        value.map_or_else(|error| error.to_string(), |value| show(&value))
    };
    // Entries of a ziplist: "ab", 5, -3, 1000, 100000, 2^40.
    let entries = [
        (0, &b"\x02ab"[..]),
        (4, b"\xf6"),
        (2, b"\xfe\xfd"),
        (3, b"\xc0\xe8\x03"),
        (4, b"\xf0\xa0\x86\x01"),
        (5, b"\xe0\0\0\0\0\0\x01\0\0"),
    ];
    let mut ziplist = vec![0; 10];
    for (before, entry) in entries {
        ziplist.push(before);
        ziplist.extend_from_slice(entry);
    }
    let tail = ziplist.len() as u32 - 10;
    ziplist.push(0xff);
    let len = ziplist.len() as u32;
    ziplist[..4].copy_from_slice(&len.to_le_bytes());
    ziplist[4..8].copy_from_slice(&tail.to_le_bytes());
    ziplist[8..10].copy_from_slice(&6_u16.to_le_bytes());
    let mut body = vec![len as u8];
    body.extend_from_slice(&ziplist);
    let elements = "ab 5 -3 1000 100000 1099511627776";
    assert_eq!(read(10, &body), format!("listpack: {elements}"));
    assert_eq!(
        read(13, &body),
        "listpack: -3=1000@None 100000=1099511627776@None ab=5@None"
    );
    assert_eq!(
        read(12, &body),
        "listpack: ab=5 -3=1000 100000=1099511627776"
    );
    let mut two = vec![1];
    two.extend_from_slice(&body);
    assert_eq!(read(14, &two), format!("listpack: {elements}"));
    assert_eq!(
        read(9, b"\x0e\x02\x01a\x02\x01bc\0\x01d\x01\0e\xff"),
        "listpack: a=bc@None d=e@None"
    );
    assert_eq!(read(1, b"\x02\x01a\xc0\x05"), "listpack: a 5");
    assert_eq!(
        read(3, b"\x03\x01a\x011\x01b\xff\x01c\x042.50"),
        "listpack: b=-inf a=1 c=2.5"
    );
    assert_eq!(
        read(22, b"\x02\x05\x01a\x01b\0\x01c\x01d"),
        "listpackex: a=b@Some(5) c=d@None"
    );
    assert_eq!(read(0, b"\xc3\x05\x0a\x00a\xe0\x00\x00"), "\"aaaaaaaaaa\"");
    assert_eq!(read(1, b"\x00"), "the value is damaged: nothing in it");
    assert_eq!(
        read(4, b"\x02\x01a\x01b\x01a\x01c"),
        "the value is damaged: an element that is there twice"
    );
    assert_eq!(read(2, b"\x03\xc0\x05\x01a\xc0\x02"), "listpack: 5 a 2");
    assert_eq!(read(2, b"\x02\xc0\x05\xc0\x02"), "intset: 2 5");
    assert_eq!(
        read(11, b"\x0c\x02\0\0\0\x02\0\0\0\xff\xff\x05\0"),
        "intset: -1 5"
    );
    assert_eq!(
        read(11, b"\x0c\x02\0\0\0\x02\0\0\0\x05\0\xff\xff"),
        "the value is damaged: an intset"
    );
    assert_eq!(
        read(2, b"\x02\x01a\x01a"),
        "the value is damaged: an element that is there twice"
    );
    assert_eq!(read(6, b""), "values of type 6 can't be read");
    assert_eq!(
        read(7, b"\x81\x47\x28\x4b\x4f\x47\x00\x0c\x03"),
        "data of the module type 'RyhLT0cAD', which can't be loaded: there are no modules"
    );
}

#[test]
fn refuses_other_versions_and_checksums() {
    assert_eq!(
        text("00 c0 01 0d 00 ed 0e d3 76 2b 2b 8f b5"),
        "version 13 can't be read"
    );
    assert_eq!(
        text("00 c0 01 0c 00 ed 0e d3 76 2b 2b 8f b4"),
        "the checksum does not match"
    );
    assert_eq!(text("00"), "the checksum does not match");
}

/// Entries with few different fields, some of them deleted, and two groups.
fn any_stream() -> impl Strategy<Value = Value> {
    let word = || {
        prop_oneof![
            Just(b"f".to_vec()),
            Just(b"12".to_vec()),
            prop::collection::vec(any::<u8>(), 0..9)
        ]
    };
    let entry = (
        0_u64..3,
        0_u64..5,
        prop::collection::vec(word(), 1..4),
        any::<bool>(),
        0_u8..4,
    );
    (prop::collection::vec(entry, 0..150), 0_i64..9).prop_map(|(entries, at)| {
        let mut stream = Stream::default();
        let mut groups = [
            Group::new(StreamId::new(1, 0), None),
            Group::new(StreamId::MIN, Some(at)),
        ];
        let mut id = StreamId::new(1, 0);
        for (ms, seq, fields, delete, pending) in entries {
            id = StreamId::new(id.ms + ms, if ms > 0 { seq } else { id.seq + 1 + seq });
            let word = |index: usize| fields[index / 2].as_slice();
            stream.append(id, fields.len(), word, &StreamLimits::default());
            if delete {
                stream.delete(id);
            }
            if pending > 0 {
                let group = &mut groups[usize::from(pending % 2)];
                let (consumer, _) = group.add_consumer(&[b'a' + pending], at);
                let deliveries = u64::from(pending);
                group.assign(
                    id,
                    Pending {
                        consumer,
                        delivered_at: at + 1,
                        deliveries,
                    },
                );
                if let Some(consumer) = group.consumer_mut(consumer) {
                    consumer.active_at = (pending == 2).then_some(at);
                }
            }
        }
        for (name, group) in [b"one", b"two"].iter().zip(groups) {
            stream.add_group(*name, group);
        }
        stream.into()
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = || {
        prop_oneof![
            any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
            any::<i8>().prop_map(|integer| integer.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..30),
            (any::<u8>(), 0_usize..5000).prop_map(|(byte, len)| vec![byte; len]),
        ]
    };
    let limits = ValueLimits::default();
    prop_oneof![
        text().prop_map(Value::string),
        prop::collection::vec(text(), 1..40).prop_map(move |elements| {
            let mut list = List::new();
            let elements = elements.iter().map(Vec::as_slice);
            list.push(End::Back, elements, limits.list);
            list.into()
        }),
        prop::collection::btree_map(text(), any::<f64>(), 1..200).prop_map(move |members| {
            let members = members.into_iter().filter(|(_, score)| !score.is_nan());
            let mut members: Vec<_> = members.collect();
            members.push((b"one".to_vec(), 1.0));
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.dedup_by(|a, b| a.0 == b.0);
            SortedSet::from_members(members, &limits.sorted_set).into()
        }),
        prop::collection::btree_set(text(), 1..200).prop_map(move |members| {
            let mut set = Set::new();
            for member in members {
                set.add(&member, limits.set);
            }
            set.into()
        }),
        prop::collection::btree_set(any::<i64>(), 1..600).prop_map(move |members| {
            let mut set = Set::new();
            for member in members {
                set.add(member.to_string().as_bytes(), limits.set);
            }
            set.into()
        }),
        any_stream(),
        prop::collection::btree_map(
            text(),
            (
                text(),
                prop::option::of(prop_oneof![1..3_i64, 1..1_i64 << 48])
            ),
            1..100
        )
        .prop_map(move |fields| {
            let mut hash = Hash::new();
            for (field, (value, deadline)) in fields {
                let expire = deadline.map_or(FieldExpire::Clear, FieldExpire::At);
                hash.set(&field, &value, expire, limits.hash);
            }
            hash.into()
        }),
    ]
}

/// Elements of which some are there twice, some are scores, and some no integers though they look like it.
fn packed_element() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "1",
        "2",
        "-0",
        "007",
        "1.5",
        "inf",
        "nan",
        "1e300",
        "0.1",
        "x x x x x x x x x x",
        "9007199254740993",
        "5e-324",
        "1.50",
        "-inf",
    ]);
    prop_oneof![
        text.prop_map(|text| text.as_bytes().to_vec()),
        (-3_i64..30).prop_map(|integer| integer.to_string().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn comes_back_as_it_was(value in any_value()) {
        let payload = dump(value.as_ref(), 0, true);
        let back = restore(&payload, &ValueLimits::default()).expect("it is whole");
        prop_assert_eq!(show(&back), show(&value));
        let again = dump(back.as_ref(), 0, true);
        if value.as_ref().encoding_is_ordered() {
            prop_assert_eq!(again, payload);
        }
    }

    #[test]
    fn takes_packed_values_as_adding_would_make_them(
        elements in prop::collection::vec(packed_element(), 1..12),
        longest in prop_oneof![Just(64_usize), 0_usize..30],
        most in prop_oneof![Just(128_usize), 0_usize..8],
    ) {
        let listpack: Listpack = elements.iter().collect();
        let hash_limits = HashLimits { max_listpack_entries: most, max_listpack_value: longest };
        let mut hash = Hash::new();
        let mut is_new = elements.len() % 2 == 0;
        for pair in elements.chunks_exact(2) {
            is_new &= hash.set(&pair[0], &pair[1], FieldExpire::Clear, hash_limits);
        }
        let added = hash.as_listpack().filter(|_| is_new);
        let taken = Hash::from_listpack(listpack.clone(), hash_limits);
        prop_assert_eq!(taken.as_ref().ok().and_then(Hash::as_listpack), added);

        let set_limits = SetLimits { max_intset_entries: 0, max_listpack_entries: most, max_listpack_value: longest };
        let mut set = Set::packed();
        let is_new = elements.iter().all(|member| set.add(member, set_limits));
        let added = set.as_listpack().filter(|_| is_new);
        let taken = Set::from_listpack(listpack.clone(), set_limits);
        prop_assert_eq!(taken.as_ref().ok().and_then(Set::as_listpack), added);

        let sorted_limits = SortedSetLimits { max_listpack_entries: most, max_listpack_value: longest };
        let scores: Option<Vec<(Vec<u8>, f64)>> = (elements.len() % 2 == 0).then(|| {
            let pair = |pair: &[Vec<u8>]| {
                let score: f64 = std::str::from_utf8(&pair[1]).ok()?.parse().ok()?;
                (!score.is_nan()).then(|| (pair[0].clone(), score))
            };
            elements.chunks_exact(2).map(pair).collect()
        }).flatten();
        let sorted = scores.map(|members| SortedSet::from_members(members, &sorted_limits));
        let sorted = sorted.filter(|sorted| sorted.as_listpack().is_some_and(|listpack| listpack.are_distinct(2)));
        let added = sorted.as_ref().and_then(SortedSet::as_listpack).filter(|added| **added == listpack);
        let taken = SortedSet::from_listpack(listpack.clone(), &sorted_limits);
        prop_assert_eq!(taken.as_ref().ok().and_then(SortedSet::as_listpack), added);
    }

    #[test]
    fn damage_is_found_or_harmless(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut payload = dump(value.as_ref(), 0, true);
        payload.truncate(payload.len() - 10);
        let at = at.index(payload.len());
        if cut {
            payload.truncate(at);
        } else {
            payload[at] = byte;
        }
        let Some((kind, body)) = payload.split_first() else {
            return Ok(());
        };
        for version in [VERSION, VERSION_OF_VALKEY] {
            let mut reader = Reader::new(body);
            if let Ok(value) = read_value(&mut reader, *kind, version, &ValueLimits::default()) {
                // What was read is sound: it can be read through and written.
                show(&value);
                dump(value.as_ref(), 0, true);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(kind in 0_u8..26, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::new(&body);
        let _ = read_value(&mut reader, kind, VERSION, &ValueLimits::default());
    }
}

trait EncodingIsOrdered {
    /// Whether elements always come in the same order.
    fn encoding_is_ordered(&self) -> bool;
}

impl EncodingIsOrdered for crate::value::ValueRef<'_> {
    fn encoding_is_ordered(&self) -> bool {
        match self {
            Self::Hash(hash) => hash.encoding() != Encoding::Hashtable,
            Self::Set(set) => set.encoding() != Encoding::Hashtable,
            _ => true,
        }
    }
}
