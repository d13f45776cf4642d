//! Files and back; damaged ones; loads by several threads.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::rdb::{Uncompressed, VERSION_OF_FIELD_EXPIRY, ValueLimits, restore, write_value};
use crate::types::hash::FieldExpire;
use crate::types::list::End;
use crate::types::stream::{Group, StreamId};
use crate::types::{Hash, List, Set, SortedSet, Stream, StreamLimits};
use crate::value::Value;

/// What an entry is, for comparing: db, key, deadline, and the commands that make the value.
type Entries = BTreeMap<(u32, Vec<u8>), (Option<i64>, Vec<String>)>;

fn commands(value: &Value) -> Vec<String> {
    let mut commands = Vec::new();
    value.as_ref().rewrite(b"k", &mut |words| {
        let words = words.iter().map(|word| word.escape_ascii().to_string());
        match value {
            // In no order.
            Value::Set(_) | Value::Hash(_) => commands.extend(words),
            _ => commands.push(words.collect::<Vec<_>>().join(" ")),
        }
    });
    if matches!(value, Value::Set(_) | Value::Hash(_)) {
        commands.sort();
    }
    commands
}

fn values() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        "[a-c]{0,3}".prop_map(String::into_bytes),
        any::<i32>().prop_map(|integer| integer.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..100),
        (0_u8..4, 30_usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let words = prop::collection::vec(word.clone(), 1..40);
    prop_oneof![
        4 => word.prop_map(Value::string),
        1 => words.clone().prop_map(|words| {
            let mut list = List::new();
            for word in &words {
                list.push(End::Back, std::iter::once(&word[..]), Default::default());
            }
            list.into()
        }),
        1 => words.clone().prop_map(|words| {
            let mut set = Set::new();
            for word in &words {
                set.add(word, Default::default());
            }
            set.into()
        }),
        1 => words.clone().prop_map(|words| {
            let members: BTreeMap<_, _> = words.into_iter().map(|word| (word.clone(), word.len() as f64 / 3.0)).collect();
            let members = members.into_iter().map(|(member, score)| (std::borrow::Cow::from(member), score)).collect();
            SortedSet::from_members(members, &Default::default()).into()
        }),
        1 => (words.clone(), any::<bool>()).prop_map(|(words, timed)| {
            let mut hash = Hash::new();
            for (nth, word) in words.iter().enumerate() {
                let expire = match timed && nth % 2 == 0 {
                    true => FieldExpire::At(1_900_000_000_000 + nth as i64),
                    false => FieldExpire::Clear,
                };
                hash.set(word, word, expire, Default::default());
            }
            hash.into()
        }),
        1 => words.prop_map(|words| {
            let mut stream = Stream::default();
            for (nth, word) in words.iter().enumerate() {
                let id = StreamId::new(5, nth as u64 + 1);
                stream.append(id, 1, |_| &word[..], &StreamLimits::default());
            }
            stream.add_group(b"g", Group::new(StreamId::new(5, 1), Some(1)));
            stream.into()
        }),
    ]
}

type Made = Vec<(u32, Vec<u8>, Value, Option<i64>)>;

fn entries() -> impl Strategy<Value = Made> {
    let key = prop::collection::vec(any::<u8>(), 0..30);
    let deadline = prop::option::of(1_800_000_000_000_i64..1_900_000_000_000);
    let entry = (0_u32..3, key, values(), deadline);
    prop::collection::vec(entry, 0..30).prop_map(|mut made| {
        made.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        made.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
        made
    })
}

fn expected(made: &Made) -> Entries {
    let entry = |(db, key, value, deadline): &(u32, Vec<u8>, Value, Option<i64>)| {
        ((*db, key.clone()), (*deadline, commands(value)))
    };
    made.iter().map(entry).collect()
}

fn write(made: &Made, header: &FileHeader) -> Vec<u8> {
    let mut file = FileWriter::new(Vec::new(), header).expect("vectors take everything");
    file.function(b"#!lua name=a\n").expect("it fits");
    let mut current = None;
    for (nth, (db, key, value, deadline)) in made.iter().enumerate() {
        if current != Some(*db) {
            current = Some(*db);
            file.select_db(*db, made.len() as u64, 0).expect("it fits");
        }
        let facts = EntryFacts {
            expire_at: *deadline,
            idle_seconds: (nth % 3 == 1).then_some(nth as u64 * 1000),
            frequency: (nth % 3 == 2).then_some(nth as u8),
        };
        if nth % 2 == 0 {
            file.entry(key, value.as_ref(), &facts, 0).expect("it fits");
        } else {
            let mut bytes = Uncompressed::default();
            write_value(&mut bytes, value.as_ref(), 0);
            let (kind, body) = bytes.0.split_first().expect("there is a type");
            file.raw_entry(key, *kind, body, &facts).expect("it fits");
        }
    }
    let written = file.written();
    let bytes = file.finish().expect("it fits");
    assert_eq!(bytes.len() as u64, written + 9);
    bytes
}

fn read(bytes: &[u8]) -> Result<Entries, FileError> {
    let mut reader = FileReader::new(bytes)?;
    let mut entries = Entries::new();
    while let Some(item) = reader.next_item()? {
        if let Item::Entry(entry) = item {
            let value = entry.value(&ValueLimits::default())?;
            let key = (entry.db, entry.key.to_vec());
            entries.insert(key, (entry.expire_at, commands(&value)));
        }
    }
    Ok(entries)
}

fn load(
    bytes: &[u8],
    options: LoadOptions,
    threads: usize,
) -> Result<(Entries, LoadReport), LoadError> {
    let keyspace = Keyspace::new(KeyspaceOptions {
        shards: 16,
        ..KeyspaceOptions::default()
    });
    let progress = LoadProgress::default();
    let loading = Loading::new(bytes, &keyspace, options, &progress)?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loading.work());
        }
    });
    let report = loading.finish()?;
    let access = keyspace.open(crate::keyspace::Footprint::ALL, 0);
    let mut entries = Entries::new();
    for db in 0..keyspace.dbs() {
        access.db(db).for_each(|entry| {
            let key = (db, entry.key().to_vec());
            entries.insert(key, (entry.expire_at(), commands(&entry.to_owned().value)));
        });
    }
    assert_eq!(report.keys, entries.len() as u64);
    Ok((entries, report))
}

fn newest() -> FileHeader {
    FileHeader {
        version: VERSION_OF_FIELD_EXPIRY,
        created_at: 1_700_000_000_123,
        ..FileHeader::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(made in entries(), compress: bool, checksum: bool) {
        let bytes = write(&made, &FileHeader { compress, checksum, ..newest() });
        let wanted = expected(&made);
        prop_assert!(read(&bytes).expect("it is whole") == wanted);
        let options = LoadOptions { checksum: true, ..LoadOptions::default() };
        let (loaded, report) = load(&bytes, options, 3).expect("it is whole");
        prop_assert!(loaded == wanted);
        prop_assert_eq!(report.aux("ctime"), Some(&b"1700000000"[..]));
        prop_assert_eq!(report.aux("aof-base"), Some(&b"0"[..]));
        prop_assert_eq!((report.functions.len(), report.end), (1, bytes.len() as u64));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), version in 1_u16..14) {
        let mut file = format!("REDIS{version:04}").into_bytes();
        file.extend_from_slice(&bytes);
        let _ = read_leniently(&file);
    }
}

/// As [`read`], but the file may end before the bytes do.
fn read_leniently(bytes: &[u8]) -> Result<usize, FileError> {
    let mut reader = FileReader::new(bytes)?.without_checksum();
    let mut count = 0;
    while let Some(item) = reader.next_item()? {
        if let Item::Entry(entry) = item {
            let _ = entry.value(&ValueLimits::default());
        }
        count += 1;
    }
    Ok(count)
}

fn one_of_each() -> Made {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut made = Made::new();
    while made.len() < 18 {
        let value = values()
            .new_tree(&mut runner)
            .expect("there is one")
            .current();
        let nth = made.len();
        let mut bytes = Vec::new();
        write_value(&mut bytes, value.as_ref(), 0);
        if bytes.len() < 120 {
            let deadline = (nth.is_multiple_of(3)).then_some(1_850_000_000_000);
            made.push((
                nth as u32 / 10,
                format!("key:{nth}").into_bytes(),
                value,
                deadline,
            ));
        }
    }
    made
}

/// Every byte flipped, every length cut: an error or the same entries.
#[test]
fn damage_is_found() {
    let made = one_of_each();
    let whole = write(&made, &newest());
    let wanted = expected(&made);
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            if let Ok(entries) = read(&damaged) {
                // As a version without checksums, say.
                assert!(entries == wanted, "byte {at} flipped by {flip}");
            }
            // Without the checksum, nothing but the values' own checks.
            let _ = read_leniently(&damaged);
        }
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        let _ = load(&damaged, LoadOptions::default(), 1);
        let cut = read(&whole[..at]).expect_err("it is cut");
        assert!(cut.offset <= at as u64);
        assert!(load(&whole[..at], LoadOptions::default(), 1).is_err());
    }
}

#[test]
fn errors_say_where() {
    let made: Made = vec![
        (0, b"good".to_vec(), Value::string(b"x".to_vec()), None),
        (0, b"bad".to_vec(), one_of_each().swap_remove(3).2, Some(5)),
    ];
    let mut list = List::new();
    list.push(
        End::Back,
        std::iter::once(&b"element"[..]),
        Default::default(),
    );
    let made: Made = made
        .into_iter()
        .map(|(db, key, value, at)| match &key[..] {
            b"bad" => (db, key, list.clone().into(), at),
            _ => (db, key, value, at),
        })
        .collect();
    let mut bytes = write(
        &made,
        &FileHeader {
            checksum: false,
            ..newest()
        },
    );
    let at = bytes
        .windows(7)
        .position(|window| window == b"element")
        .expect("it is there");
    bytes[at - 1] = 0x7f;
    let error = read(&bytes).expect_err("it is damaged");
    let entry = bytes
        .windows(3)
        .position(|window| window == b"bad")
        .expect("it is there");
    // Before the key: its length, the type, an idle time or frequency, a deadline.
    assert!(error.offset as usize <= entry - 2 - 9 && error.offset as usize >= entry - 20);
    assert_eq!(error.key.as_deref(), Some(&b"bad"[..]));
    assert_eq!(
        error.to_string(),
        format!(
            "offset {}, key 'bad': the value is damaged: a listpack",
            error.offset
        )
    );
    let options = LoadOptions::default();
    let LoadError::File(found) = load(&bytes, options, 2).expect_err("it is damaged") else {
        panic!("another error");
    };
    assert_eq!(found, error);
}

#[test]
fn expired_keys_are_left_out_unless_told_otherwise() {
    let made: Made = vec![
        (0, b"past".to_vec(), Value::string(b"x".to_vec()), Some(999)),
        (0, b"now".to_vec(), Value::string(b"x".to_vec()), Some(1000)),
        (0, b"ever".to_vec(), Value::string(b"x".to_vec()), None),
    ];
    let bytes = write(&made, &FileHeader::default());
    let options = LoadOptions {
        now: 1000,
        ..LoadOptions::default()
    };
    let (entries, report) = load(&bytes, options, 1).expect("it is whole");
    assert_eq!((entries.len(), report.expired), (2, 1));
    let options = LoadOptions {
        keep_expired: true,
        ..options
    };
    let (entries, report) = load(&bytes, options, 1).expect("it is whole");
    assert_eq!((entries.len(), report.expired), (3, 0));
}

#[test]
fn the_version_is_enough_for_what_is_in_the_file() {
    let mut hash = Hash::new();
    hash.set(
        b"f",
        b"v",
        FieldExpire::At(1_900_000_000_000),
        Default::default(),
    );
    let value = Value::from(hash);
    let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).expect("it fits");
    let facts = EntryFacts::default();
    let error = file
        .entry(b"k", value.as_ref(), &facts, 0)
        .expect_err("version 11");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(file.finish().is_err(), "no file without the entry");
}

/// As a server writes a value with DUMP, and files have it.
#[test]
fn what_old_servers_wrote_is_read() {
    // REDIS0001: no header fields, no checksum. A string, a deadline in seconds, a list of strings.
    let mut file = b"REDIS0001\xfe\x00\x00\x01a\x01b\xfd\x00\x00\x00\x70\x00\x01c\xc0\x07".to_vec();
    file.extend_from_slice(b"\xfe\x02\x01\x01l\x02\x01x\x01y\xff");
    let entries = read(&file).expect("it is whole");
    let shown: Vec<_> = entries
        .iter()
        .map(|((db, key), (at, commands))| {
            format!("{db} {} {at:?} {}", key.escape_ascii(), commands.join(";"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "0 a None SET k b",
            "0 c Some(1879048192000) SET k 7",
            "2 l None RPUSH k x y"
        ]
    );
    for (bytes, error) in [
        (&b"REDIS0013"[..], "offset 0: version 13 can't be read"),
        (b"VALKEY011", "offset 0: version 11 can't be read"),
        (
            b"REDIS 011",
            "offset 0: not an RDB file: it begins with neither REDIS nor VALKEY and a version",
        ),
        (
            b"*1\r\n$4\r\nPING\r\n",
            "offset 0: not an RDB file: it begins with neither REDIS nor VALKEY and a version",
        ),
        (
            b"REDIS0011\xf6",
            "offset 9: a library of functions in a form that was given up before Redis 7.0 was released",
        ),
        (b"REDIS0011\xf3", "offset 9: the value is cut off"),
        (
            b"REDIS0011\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xfe\x00",
            "offset 9: the value is damaged: a deadline without a key",
        ),
    ] {
        let error_found = read(bytes).expect_err("it is no file");
        assert_eq!(error_found.to_string(), error);
    }
    let valkey =
        b"VALKEY080\xf3\x03job\x01\x00\x0a\xf4\x05\x01\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(read(valkey).expect("slots are read over").len(), 0);
    // A module's data: type 7, its number, an integer, a string, the end.
    let module = b"REDIS0011\x07\x01k\x81\x00\x00\x00\x00\x00\x00\x00\x00\x02\x05\x05\x02ab\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(
        read(module).expect_err("there are no modules").to_string(),
        "offset 9, key 'k': data of the module type 'AAAAAAAAA', which can't be loaded: there are no modules"
    );
    assert_eq!(read_leniently(module), Ok(1));
}

#[test]
fn a_key_that_is_there_twice_is_an_error_unless_it_is_to_be_replaced() {
    let body = b"\x01x";
    let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).expect("it fits");
    for _ in 0..2 {
        file.raw_entry(b"k", 0, body, &EntryFacts::default())
            .expect("it fits");
    }
    let bytes = file.finish().expect("it fits");
    let error = load(&bytes, LoadOptions::default(), 1).expect_err("twice");
    assert!(
        error
            .to_string()
            .ends_with("key 'k': the key is there twice"),
        "{error}"
    );
    let options = LoadOptions {
        replace: true,
        ..LoadOptions::default()
    };
    let keyspace = Keyspace::new(KeyspaceOptions::default());
    let progress = LoadProgress::default();
    let loading = Loading::new(&bytes, &keyspace, options, &progress).expect("a file");
    loading.work();
    loading.finish().expect("it is replaced");
    assert_eq!(keyspace.len(0), 1);
}

#[test]
fn a_sink_that_fails_is_told_of_at_once_and_ever_after() {
    #[derive(Debug)]
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut file = FileWriter::new(Full(200_000), &FileHeader::default()).expect("it fits");
    let body = [&b"\x80\x00\x00\xea\x60"[..], &[b'x'; 60_000]].concat();
    let mut write = |nth: u8| file.raw_entry(&[nth], 0, &body, &EntryFacts::default());
    let failed_at = (0..10).find_map(|nth| write(nth).err().map(|error| (nth, error.kind())));
    assert_eq!(failed_at, Some((4, std::io::ErrorKind::StorageFull)));
    assert!(write(9).is_err());
    assert_eq!(
        file.finish().expect_err("it failed").kind(),
        std::io::ErrorKind::StorageFull
    );
}

#[test]
fn a_payload_of_dump_and_a_raw_entry_are_the_same_bytes() {
    let value = one_of_each().swap_remove(0).2;
    let payload = crate::rdb::dump(value.as_ref(), 0, true);
    let (kind, rest) = payload.split_first().expect("a type");
    let body = &rest[..rest.len() - 10];
    let mut file = FileWriter::new(Vec::new(), &newest()).expect("it fits");
    file.raw_entry(b"k", *kind, body, &EntryFacts::default())
        .expect("it fits");
    let bytes = file.finish().expect("it fits");
    let entries = read(&bytes).expect("it is whole");
    let restored = restore(&payload, &ValueLimits::default()).expect("it is whole");
    assert_eq!(
        entries.into_values().next().map(|(_, commands)| commands),
        Some(commands(&restored))
    );
}
