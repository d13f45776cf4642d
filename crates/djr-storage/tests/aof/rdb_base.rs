//! A log whose base is a snapshot in RDB format, with timestamps in its increments: cut at every length, with every byte changed; and its
//! rewrite, with power lost and operations failing at every one.

use crate::world::*;
use djr_storage::aof::{
    AofConfig, FsyncPolicy, Recovered, RecoveryError, RecoveryMode, Replay, ReplayedCommand,
    recover,
};
use djr_storage::disk::{Disk, Fault, SimDisk};
use djr_storage::rdb::{EntryFacts, FileHeader, FileReader, FileWriter, Item, LoadError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a log says, whichever part of it says so: as commands.
#[derive(Default)]
struct Collected(Vec<Command>);

impl Replay for Collected {
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String> {
        let args = command.args.iter().map(|arg| arg.to_vec()).collect();
        self.0.push((command.db, args));
        Ok(())
    }

    fn rdb_base(&mut self, _: &Path, bytes: &[u8]) -> Result<u64, LoadError> {
        let mut reader = FileReader::new(bytes)?;
        while let Some(item) = reader.next_item()? {
            if let Item::Entry(entry) = item {
                let value = entry.value(&Default::default())?;
                let value = value.as_ref().as_string().unwrap().to_vec();
                self.0
                    .push((entry.db, vec![b"SET".to_vec(), entry.key.to_vec(), value]));
            }
        }
        Ok(reader.position())
    }
}

fn read(disk: &SimDisk, config: &AofConfig) -> Result<(Recovered, Vec<Command>), RecoveryError> {
    read_as(disk, config, RecoveryMode::Refuse)
}

fn read_as(
    disk: &SimDisk,
    config: &AofConfig,
    mode: RecoveryMode,
) -> Result<(Recovered, Vec<Command>), RecoveryError> {
    let mut collected = Collected::default();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let recovered = recover(&disk, config, mode, true, &mut collected)?;
    Ok((recovered, collected.0))
}

/// The commands' keys in RDB format. All keys are different, so their order is no matter.
fn rdb_of(commands: &[Command]) -> Vec<u8> {
    let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).unwrap();
    let mut dbs: Vec<u32> = commands.iter().map(|(db, _)| *db).collect();
    dbs.sort_unstable();
    dbs.dedup();
    for db in dbs {
        file.select_db(db, 0, 0).unwrap();
        for (_, args) in commands.iter().filter(|(of, _)| *of == db) {
            let mut body = vec![0x80];
            body.extend_from_slice(&(args[2].len() as u32).to_be_bytes());
            body.extend_from_slice(&args[2]);
            file.raw_entry(&args[1], 0, &body, &EntryFacts::default())
                .unwrap();
        }
    }
    file.finish().unwrap()
}

/// Rewrites the log: its base holds what it says, in RDB format.
fn rewrite(world: &World) -> std::io::Result<()> {
    let failed = |error: djr_storage::aof::LogError| std::io::Error::other(error.to_string());
    let mut writer = world.log.begin_rewrite().map_err(failed)?;
    let bytes = rdb_of(&world.commands());
    let mut sink = writer.rdb(Some(512));
    for piece in bytes.chunks(300) {
        sink.write_all(piece)?;
    }
    sink.flush()?;
    writer.finish().map_err(failed)
}

fn sorted(mut commands: Vec<Command>) -> Vec<Command> {
    commands.sort();
    commands
}

fn world(disk: &SimDisk, config: &AofConfig) -> World {
    let mut world = World::open(disk, config).unwrap();
    world.log.set_timestamps(true);
    let mut random = Random(11);
    for group in 0..6 {
        world.log.note_time(1_700_000_000 + group);
        for _ in 0..1 + random.below(2) {
            world.random_batch(&mut random);
        }
        world.log.sync().unwrap();
        if group == 2 {
            rewrite(&world).unwrap();
        }
    }
    world
}

fn with(disk: &SimDisk, path: &Path, bytes: Vec<u8>) -> SimDisk {
    let other = SimDisk::new();
    for path in disk.paths() {
        other.put(&path, disk.contents(&path).unwrap());
    }
    other.put(path, bytes);
    other
}

fn path_of(disk: &SimDisk, end: &str) -> PathBuf {
    let mut paths = disk.paths().into_iter();
    paths
        .find(|path| path.to_str().unwrap().ends_with(end))
        .unwrap()
}

/// Whatever becomes of the base: all of it is loaded, or nothing, and the error names it.
#[test]
fn a_damaged_snapshot_is_refused() {
    let config = config(FsyncPolicy::EverySec);
    let disk = SimDisk::new();
    let world = world(&disk, &config);
    let disk = disk.after_kill();
    let all = sorted(world.commands());
    assert_eq!(sorted(read(&disk, &config).unwrap().1), all);
    let path = path_of(&disk, ".base.rdb");
    let bytes = disk.contents(&path).unwrap();
    let refused = |changed: Vec<u8>, place: String| {
        let disk = with(&disk, &path, changed);
        match read(&disk, &config) {
            Ok((_, commands)) => {
                // The version and the fields about the file: they say nothing about keys.
                assert_eq!(sorted(commands), all, "{place}");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(".base.rdb"), "{place}: {text}");
            }
        }
    };
    for len in 0..bytes.len() {
        let disk = with(&disk, &path, bytes[..len].to_vec());
        let error = read(&disk, &config).expect_err("it is cut off");
        assert!(error.to_string().contains(".base.rdb"), "{len}: {error}");
    }
    for at in 0..bytes.len() {
        for new in [bytes[at] ^ 1, bytes[at] ^ 0x80, 0, 0xff] {
            if new != bytes[at] {
                let mut changed = bytes.clone();
                changed[at] = new;
                refused(changed, format!("byte {at} to {new}"));
            }
        }
    }
    let more = [&bytes[..], b"*1\r\n$4\r\nPING\r\n"].concat();
    assert!(read(&with(&disk, &path, more), &config).is_err());
}

/// Increments with timestamps: a prefix, or damage that can be repaired; the base is not touched by it.
#[test]
fn increments_behind_a_snapshot_are_cut_and_changed() {
    for policy in [FsyncPolicy::EverySec, FsyncPolicy::Always] {
        let config = config(policy);
        let disk = SimDisk::new();
        let world = world(&disk, &config);
        let disk = disk.after_kill();
        let all = world.commands();
        let path = path_of(&disk, ".incr.aof");
        let bytes = disk.contents(&path).unwrap();
        assert!(bytes.windows(4).any(|window| window == b"#TS:"));
        let is_prefix = |commands: Vec<Command>, place: &str| {
            let count = commands.len();
            let expected = sorted(all[..count].to_vec());
            assert_eq!(sorted(commands), expected, "{place}: no prefix");
        };
        for len in 0..=bytes.len() {
            let place = format!("{policy:?}, cut at {len}");
            let disk = with(&disk, &path, bytes[..len].to_vec());
            let (_, commands) =
                read(&disk, &config).unwrap_or_else(|error| panic!("{place}: {error}"));
            is_prefix(commands, &place);
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let place = format!("{policy:?}, byte {at} changed");
            let disk = with(&disk, &path, changed);
            match read(&disk, &config) {
                Ok((_, commands)) => is_prefix(commands, &place),
                Err(RecoveryError::Damaged(report)) => {
                    assert!(report.damaged.iter().all(|damage| damage.file == path));
                    let (_, commands) = read_as(&disk, &config, RecoveryMode::Repair)
                        .unwrap_or_else(|error| panic!("{place}: repair: {error}"));
                    assert!(commands.iter().all(|command| all.contains(command)));
                    let (_, again) = read(&disk, &config)
                        .unwrap_or_else(|error| panic!("{place}: repaired: {error}"));
                    assert_eq!(again, commands, "{place}");
                }
                Err(error) => panic!("{place}: {error}"),
            }
        }
    }
}

/// A manifest that makes no sense, or names other files: an error, never another data set.
#[test]
fn a_damaged_manifest_is_refused() {
    let config = config(FsyncPolicy::EverySec);
    let disk = SimDisk::new();
    let world = world(&disk, &config);
    let disk = disk.after_kill();
    let all = sorted(world.commands());
    let path = config.manifest_path();
    let bytes = disk.contents(&path).unwrap();
    let check = |changed: Vec<u8>, place: String| {
        let text = changed.escape_ascii().to_string();
        if let Ok((_, commands)) = read(&with(&disk, &path, changed), &config) {
            assert!(sorted(commands) == all, "{place}: {text}");
        }
    };
    for len in 0..bytes.len() {
        check(bytes[..len].to_vec(), format!("cut at {len}"));
    }
    for at in 0..bytes.len() {
        for new in 0..=255 {
            let mut changed = bytes.clone();
            changed[at] = new;
            check(changed, format!("byte {at} to {new}"));
        }
    }
}

/// The rewrite itself: what was durable is there after power was lost at any of its operations, and after any of them failed.
#[test]
fn a_rewrite_may_end_anywhere() {
    let config = config(FsyncPolicy::EverySec);
    let play = |disk: &SimDisk| {
        let mut world = World::open(disk, &config).unwrap();
        let mut random = Random(5);
        for _ in 0..5 {
            world.random_batch(&mut random);
        }
        world.log.sync().unwrap();
        let durable = world.history.len();
        let before = disk.operations();
        (world, durable, before)
    };
    let operations = {
        let disk = SimDisk::new();
        let (world, _, before) = play(&disk);
        rewrite(&world).unwrap();
        disk.operations() - before
    };
    assert!(operations > 8, "{operations}");
    let check = |disk: SimDisk, world: &World, place: &str| {
        let (recovered, commands) =
            read(&disk, &config).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(sorted(commands), sorted(world.commands()), "{place}");
        let log = open_sim(&disk, &config, recovered.state).unwrap();
        log.append(0, &encoded(&["SET", "next", "1"]));
        log.close().unwrap();
        let (_, more) = read(&disk, &config).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(more.len(), world.commands().len() + 1, "{place}");
    };
    for operation in 0..=operations {
        let disk = SimDisk::new();
        let (world, durable, before) = play(&disk);
        assert_eq!(durable, world.history.len());
        disk.cut_power_at(before + operation);
        // Its last operations only remove what is no longer needed.
        let _ = rewrite(&world);
        for seed in 0..10 {
            let place = format!("power cut at {operation}, {seed}");
            check(disk.after_power_cut(seed), &world, &place);
        }
        check(disk.after_kill(), &world, &format!("kill at {operation}"));
        for fault in [
            Fault::Error(5),
            Fault::Error(28),
            Fault::ShortWrite(100),
            Fault::FailedSync,
        ] {
            let disk = SimDisk::new();
            let (world, _, before) = play(&disk);
            disk.inject(before + operation, fault);
            let _ = rewrite(&world);
            for seed in 0..3 {
                let place = format!("{fault:?} at {operation}, {seed}");
                check(disk.after_power_cut(seed), &world, &place);
            }
        }
    }
}
