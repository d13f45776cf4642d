//! Many threads on one log on the real disk.

use crate::world::*;
use djr_storage::aof::{AofConfig, FsyncPolicy, Log, RecoveryMode};
use djr_storage::disk::{Disk, OsDisk};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Each thread counts; when its count is acknowledged, it is in the log, and everything before it too.
#[test]
fn acknowledged_appends_of_all_threads_are_there_in_their_order() {
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No] {
        let home = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let config = AofConfig {
            policy,
            preallocate_step: 1 << 16,
            ..AofConfig::new(home.path())
        };
        let (recovered, _) = recover_all(&disk, &config, RecoveryMode::Refuse).unwrap();
        let durable = Arc::new((Mutex::new(0), Condvar::new()));
        let published = durable.clone();
        let on_durable = Box::new(move |offset| {
            *published.0.lock().unwrap() = offset;
            published.1.notify_all();
        });
        let log = Log::open(disk.clone(), config.clone(), recovered.state, on_durable).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while log.wait_for_work(Duration::from_millis(5)) {
                    log.sync().unwrap();
                }
            });
            let workers: Vec<_> = (0..4u32)
                .map(|worker| {
                    let (log, durable) = (&log, &durable);
                    scope.spawn(move || {
                        for count in 0..300u32 {
                            let command =
                                encoded(&["SET", &format!("w{worker}"), &count.to_string()]);
                            let offset = log.append(worker % 2, &command);
                            log.flush().unwrap();
                            if policy == FsyncPolicy::Always {
                                let mut at = durable.0.lock().unwrap();
                                while *at < offset {
                                    at = durable.1.wait(at).unwrap();
                                }
                                assert!(log.durable() >= offset);
                            } else {
                                assert!(log.written() >= offset);
                            }
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .for_each(|worker| worker.join().unwrap());
            assert_eq!(log.pending_bytes(), 0);
            log.stop();
        });
        // As after a kill: no clean stop.
        drop(log);
        let (recovered, commands) = recover_all(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(recovered.report.torn, None);
        let mut counts = BTreeMap::new();
        for (db, args) in commands {
            let next = counts.entry(args[1].clone()).or_insert(0);
            assert_eq!(args[2], next.to_string().as_bytes());
            assert_eq!(db, u32::from(args[1][1] - b'0') % 2);
            *next += 1;
        }
        assert!(
            counts.values().all(|&count| count == 300),
            "{policy:?}: {counts:?}"
        );
        assert_eq!(counts.len(), 4);
    }
}

#[test]
fn a_batch_whose_writer_panics_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let config = AofConfig::new(home.path());
    let (recovered, _) = recover_all(&disk, &config, RecoveryMode::Refuse).unwrap();
    let log = Log::open(
        disk.clone(),
        config.clone(),
        recovered.state,
        Box::new(|_| ()),
    )
    .unwrap();
    log.append(1, &encoded(&["SET", "a", "1"]));
    let end = log.end();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.append_with(2, |batch| {
            batch.push(b"*3\r\n$3\r\nSE");
            batch.select(4);
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(log.append(9, b""), end, "an empty batch is none");
    assert_eq!(log.end(), end);
    log.append(1, &encoded(&["SET", "b", "1"]));
    log.close().unwrap();
    let (_, commands) = recover_all(&disk, &config, RecoveryMode::Refuse).unwrap();
    let expected = ["a", "b"].map(|key| {
        (
            1,
            vec![b"SET".to_vec(), key.as_bytes().to_vec(), b"1".to_vec()],
        )
    });
    assert_eq!(commands, expected);
}

/// The log is closed once, and says so at its end; opening and closing it does not make it longer.
#[test]
fn a_clean_stop_leaves_no_filler_and_no_growth() {
    let home = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let config = AofConfig {
        policy: FsyncPolicy::Always,
        ..AofConfig::new(home.path())
    };
    let mut sizes = Vec::new();
    for round in 0..3 {
        let (recovered, commands) = recover_all(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(commands.len(), usize::from(round > 0));
        let log = Log::open(
            disk.clone(),
            config.clone(),
            recovered.state,
            Box::new(|_| ()),
        )
        .unwrap();
        if round == 0 {
            log.append(0, &encoded(&["SET", "a", "1"]));
        }
        log.close().unwrap();
        sizes.push(std::fs::metadata(incr(&config, 1)).unwrap().len());
    }
    assert!(sizes[0] < 300, "{sizes:?}");
    assert_eq!(sizes[1], sizes[2], "{sizes:?}");
}
