//! Disk operations that fail: the log is poisoned, says so, and never claims more than is true.

use crate::world::*;
use djr_storage::aof::{FsyncPolicy, LogError, RecoveryMode};
use djr_storage::disk::{Fault, SimDisk};

fn log_on(disk: &SimDisk, policy: FsyncPolicy) -> World {
    World::open(disk, &config(policy)).unwrap()
}

#[test]
fn a_failed_write_poisons() {
    for policy in [FsyncPolicy::EverySec, FsyncPolicy::Always] {
        let disk = SimDisk::new();
        let mut world = log_on(&disk, policy);
        let first = world.set(0, "a", b"1");
        assert_eq!(world.log.sync(), Ok(first));
        disk.inject(disk.operations(), Fault::ShortWrite(10));
        let second = world.set(0, "b", b"2");
        let error = world.log.sync().unwrap_err();
        assert!(
            matches!(
                &error,
                LogError::Io {
                    operation: "write",
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("can't write data/appendonlydir/appendonly.aof.1.incr.aof: "),
            "{error}"
        );

        // No retry, though the disk is well again: nothing is written any more, and everyone is told the same.
        let operations = disk.operations();
        let third = world.set(0, "c", b"3");
        assert!(third > second);
        assert_eq!(world.log.flush(), Err(error.clone()));
        assert_eq!(world.log.sync(), Err(error.clone()));
        assert_eq!(world.log.close(), Err(error.clone()));
        assert_eq!(world.log.begin_rewrite().unwrap_err(), error);
        assert_eq!(world.log.poisoned(), Some(&error));
        assert_eq!(world.log.durable(), first);
        assert_eq!(disk.operations(), operations);

        let (recovered, commands) =
            recover_sim(&disk.after_kill(), &config(policy), RecoveryMode::Refuse).unwrap();
        assert_eq!(world.prefix_len(&commands), Some(1));
        assert_eq!(recovered.report.torn.unwrap().bytes, 10);
    }
}

#[test]
fn a_failed_sync_poisons_and_nothing_counts_as_durable() {
    let disk = SimDisk::new();
    let mut world = log_on(&disk, FsyncPolicy::EverySec);
    world.set(0, "a", b"1");
    world.log.flush().unwrap();
    disk.inject(disk.operations(), Fault::FailedSync);
    let error = world.log.sync().unwrap_err();
    assert!(
        matches!(
            &error,
            LogError::Io {
                operation: "fsync",
                ..
            }
        ),
        "{error}"
    );
    // On Linux the next sync would succeed, with the bytes gone.
    assert_eq!(world.log.sync(), Err(error));
    assert_eq!(world.log.durable(), 0);
}

#[test]
fn a_full_disk_that_has_room_for_the_group_is_no_failure() {
    let disk = SimDisk::new();
    let mut world = log_on(&disk, FsyncPolicy::Always);
    // The group outgrows the preallocated step, and the next step finds no room.
    let end = world.set(0, "a", &[b'x'; 3000]);
    disk.inject(disk.operations(), Fault::ShortWrite(100));
    assert_eq!(world.log.sync(), Ok(end));
    world.set(0, "b", b"1");
    world.log.sync().unwrap();
    let (recovered, commands) = recover_sim(
        &disk.after_power_cut(1),
        &config(FsyncPolicy::Always),
        RecoveryMode::Refuse,
    )
    .unwrap();
    assert_eq!(world.prefix_len(&commands), Some(2));
    assert_eq!(recovered.report.torn, None);
}

#[test]
fn waiting_replies_are_told_of_the_failure() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let disk = SimDisk::new();
    let config = config(FsyncPolicy::Always);
    let (recovered, _) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let on_durable = Box::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let log =
        djr_storage::aof::Log::open(Arc::new(disk.clone()), config, recovered.state, on_durable)
            .unwrap();
    log.append(0, &encoded(&["SET", "a", "1"]));
    log.sync().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    log.append(0, &encoded(&["SET", "b", "1"]));
    disk.inject(disk.operations(), Fault::Error(5));
    log.sync().unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    log.sync().unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// Every operation of a history fails once, in every way; then the power is cut.
#[test]
fn a_failure_of_any_operation_loses_nothing_durable() {
    let faults = [
        Fault::Error(5),
        Fault::Error(28),
        Fault::ShortWrite(0),
        Fault::ShortWrite(70),
        Fault::FailedSync,
    ];
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec] {
        for seed in 0..8 {
            let whole = SimDisk::new();
            history(&whole, seed, policy);
            for operation in 0..whole.operations() {
                for fault in faults {
                    let place =
                        format!("seed {seed}, {policy:?}, {fault:?} at operation {operation}");
                    let disk = SimDisk::new();
                    disk.inject(operation, fault);
                    let Some(world) = history(&disk, seed, policy) else {
                        // Opening failed. It must succeed when tried again.
                        World::open(&disk, &config(policy))
                            .unwrap_or_else(|error| panic!("{place}: again: {error}"));
                        continue;
                    };
                    let durable = world.batches_until(world.log.durable());
                    let written = world.batches_until(world.log.written());
                    for (disk, least) in [
                        (disk.after_kill(), written),
                        (disk.after_power_cut(operation), durable),
                    ] {
                        let (_, commands) =
                            recover_sim(&disk, &config(policy), RecoveryMode::Refuse)
                                .unwrap_or_else(|error| panic!("{place}: {error}"));
                        let kept = world
                            .prefix_len(&commands)
                            .unwrap_or_else(|| panic!("{place}: not a prefix"));
                        assert!(
                            kept >= least,
                            "{place}: {least} batches were durable, {kept} are there"
                        );
                    }
                    // A rewrite that failed fails alone.
                    if let Some(LogError::Io {
                        operation, file, ..
                    }) = world.log.poisoned()
                    {
                        assert!(file.ends_with(".incr.aof"), "{place}: {operation} {file}");
                    }
                }
            }
        }
    }
}

fn history(disk: &SimDisk, seed: u64, policy: FsyncPolicy) -> Option<World> {
    let mut random = Random(seed);
    let mut world = World::open(disk, &config(policy)).ok()?;
    for step in 0..12 {
        world.random_batch(&mut random);
        let _ = if random.below(2) == 0 {
            world.log.flush()
        } else {
            world.log.sync()
        };
        if step % 4 == 3 && world.rewrite().is_err() && world.log.poisoned().is_none() {
            // The log goes on, and the next rewrite works.
            world.random_batch(&mut random);
            world.log.sync().unwrap();
            world.rewrite().unwrap();
        }
    }
    Some(world)
}
