//! Snapshots on a disk that fails, and loses power, at any operation.

use std::io;
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::{Fault, SimDisk};
use crate::keyspace::{Expire, Footprint, Keyspace, KeyspaceOptions};
use crate::rdb::{FileHeader, FileReader, Item, ValueLimits};

const ENTRIES: usize = 300;

fn keyspace() -> Keyspace {
    Keyspace::new(KeyspaceOptions {
        dbs: 2,
        shards: 2,
        hash_seed: (1, 2),
    })
}

/// Gives all entries this value.
fn fill(keyspace: &Keyspace, value: &[u8]) {
    let mut access = keyspace.open(Footprint::ALL, 0);
    for number in 0..ENTRIES {
        let name = number.to_string();
        let mut db = access.db_mut((number % 2) as u32);
        let key = db.key(name.as_bytes());
        db.set_string(key, value, Expire::Clear);
    }
}

fn place() -> SavePlace {
    SavePlace {
        dir: PathBuf::from("data"),
        name: "dump.rdb".to_owned(),
        temp_name: "temp-1.rdb".to_owned(),
        // A small one, so that there are some syncs.
        sync_every: Some(4096),
    }
}

fn take(disk: &SimDisk, keyspace: &Keyspace) -> Result<u64, SaveError> {
    let cut = {
        let mut access = keyspace.open(Footprint::ALL, 0);
        access.begin_snapshot().expect("none is under way")
    };
    // What comes behind the cut is not in it.
    fill(keyspace, b"later");
    let content = Content {
        snapshot: cut.walk(keyspace),
        functions: vec![b"#!lua name=lib\n".to_vec()],
        header: FileHeader::default(),
        clocks: Clocks::None,
        rest: || (),
    };
    save(disk, &place(), content, &Progress::default())
}

/// The one value that all entries of a file have; `None`: there is no file.
fn read(disk: &SimDisk) -> Option<Vec<u8>> {
    let bytes = disk.contents(Path::new("data/dump.rdb"))?;
    let mut reader = FileReader::new(&bytes).expect("a file that is there is whole");
    let (mut count, mut found) = (0, None);
    while let Some(item) = reader.next_item().expect("a file that is there is whole") {
        let Item::Entry(entry) = item else { continue };
        let value = entry.value(&ValueLimits::default()).unwrap();
        let text = value.as_ref().as_string().unwrap().to_vec();
        assert!(
            found
                .replace(text.clone())
                .is_none_or(|other| other == text)
        );
        count += 1;
    }
    assert_eq!(count, ENTRIES);
    found
}

/// A disk with a first snapshot on it, and a keyspace with the second value.
fn prepared() -> (SimDisk, Keyspace) {
    let (disk, keyspace) = (SimDisk::new(), keyspace());
    disk.create_dir(Path::new("data")).unwrap();
    // It is there for good before a server starts in it.
    disk.sync_dir(Path::new("")).unwrap();
    fill(&keyspace, b"first value, long enough to be compressed");
    take(&disk, &keyspace).unwrap();
    fill(&keyspace, b"second");
    (disk, keyspace)
}

fn operations_of_a_save() -> std::ops::Range<u64> {
    let (disk, keyspace) = prepared();
    let before = disk.operations();
    take(&disk, &keyspace).unwrap();
    assert_eq!(read(&disk).unwrap(), b"second");
    before..disk.operations()
}

#[test]
fn a_power_cut_leaves_the_one_or_the_other() {
    for operation in operations_of_a_save() {
        let (disk, keyspace) = prepared();
        disk.cut_power_at(operation);
        assert!(take(&disk, &keyspace).is_err());
        for seed in 0..20 {
            let found = read(&disk.after_power_cut(seed)).expect("there was a file");
            assert!(found.starts_with(b"first") || found == b"second");
        }
        // The keyspace goes on: another snapshot can be taken.
        let other = SimDisk::new();
        other.create_dir(Path::new("data")).unwrap();
        take(&other, &keyspace).unwrap();
        assert_eq!(read(&other).unwrap(), b"later");
    }
    // Once it is said to be saved, it is.
    let (disk, keyspace) = prepared();
    take(&disk, &keyspace).unwrap();
    for seed in 0..20 {
        assert_eq!(read(&disk.after_power_cut(seed)).unwrap(), b"second");
    }
}

#[test]
fn an_error_leaves_the_earlier_file_and_no_other() {
    let faults = [
        Fault::Error(5),
        Fault::Error(28),
        Fault::ShortWrite(10),
        Fault::FailedSync,
    ];
    let operations = operations_of_a_save();
    for operation in operations.clone() {
        for fault in faults {
            let (disk, keyspace) = prepared();
            disk.inject(operation, fault);
            let error = take(&disk, &keyspace).expect_err("an operation has failed");
            assert!(matches!(error, SaveError::Io { .. }), "{error}");
            // The last operation makes the new name durable.
            let found = read(&disk).expect("there was a file");
            if operation + 1 < operations.end {
                assert!(
                    found.starts_with(b"first"),
                    "operation {operation}: {error}"
                );
            }
            assert!(disk.contents(Path::new("data/temp-1.rdb")).is_none());
        }
    }
}

#[test]
fn a_cancelled_one_leaves_nothing() {
    let (disk, keyspace) = prepared();
    let cut = keyspace.open(Footprint::ALL, 0).begin_snapshot().unwrap();
    let progress = Progress::default();
    progress.cancel();
    let content = Content {
        snapshot: cut.walk(&keyspace),
        functions: Vec::new(),
        header: FileHeader::default(),
        clocks: Clocks::None,
        rest: || (),
    };
    let result = save(&disk, &place(), content, &progress);
    assert!(matches!(result, Err(SaveError::Cancelled)));
    assert!(read(&disk).unwrap().starts_with(b"first"));
    assert!(disk.contents(Path::new("data/temp-1.rdb")).is_none());
    // Another one can be taken at once.
    take(&disk, &keyspace).unwrap();
    assert_eq!(read(&disk).unwrap(), b"second");
}

/// What the sink says is what the caller is told.
#[test]
fn errors_of_the_sink_are_told() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let keyspace = keyspace();
    fill(&keyspace, &[b'x'; 1000]);
    let cut = keyspace.open(Footprint::ALL, 0).begin_snapshot().unwrap();
    let content = Content {
        snapshot: cut.walk(&keyspace),
        functions: Vec::new(),
        header: FileHeader {
            compress: false,
            ..FileHeader::default()
        },
        clocks: Clocks::None,
        rest: || (),
    };
    let failed = SaveError::io("write", Path::new("x"));
    let result = write(Full, content, &Progress::default(), failed);
    assert!(matches!(
        result,
        Err(SaveError::Io {
            operation: "write",
            ..
        })
    ));
}
