//! What the log costs: nanoseconds per append, and groups per second under `always` in a preallocated and in a plain file.
//!
//! `cargo run --profile quick -p djr-storage --example log_bench -- DIR`, with DIR on the disk to be measured.

use djr_storage::aof::{
    AofConfig, FsyncPolicy, Log, PREALLOCATE_STEP, RecoveryMode, ReplayedCommand, recover,
};
use djr_storage::disk::{Disk, OsDisk};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COMMAND: &[u8] =
    b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";

fn open(dir: &PathBuf, policy: FsyncPolicy, preallocate_step: u64) -> Log {
    let _ = std::fs::remove_dir_all(dir.join("appendonlydir"));
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let config = AofConfig {
        policy,
        preallocate_step,
        ..AofConfig::new(dir)
    };
    let mut none = |_: &ReplayedCommand<'_>| Ok(());
    let recovered =
        recover(&disk, &config, RecoveryMode::Refuse, true, &mut none).expect("an empty directory");
    Log::open(disk, config, recovered.state, Box::new(|_| ())).expect("a writable directory")
}

fn main() {
    let dir = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| std::env::temp_dir().display().to_string()),
    );
    println!("appends of {} bytes, in groups, policy no:", COMMAND.len());
    for group in [1, 16, 100, 1000] {
        let log = open(&dir, FsyncPolicy::No, 0);
        let (mut appending, mut writing, mut appends) = (Duration::ZERO, Duration::ZERO, 0);
        while appends < 1_000_000 {
            let start = Instant::now();
            for _ in 0..group {
                log.append(0, COMMAND);
            }
            let middle = Instant::now();
            log.flush().expect("room on the disk");
            appending += middle - start;
            writing += middle.elapsed();
            appends += group;
        }
        let each = |time: Duration| time.as_nanos() as f64 / f64::from(appends);
        println!(
            "  group of {group:4}: append {:6.1} ns, write {:7.1} ns each",
            each(appending),
            each(writing)
        );
    }

    let start = Instant::now();
    let mut commands = 0u64;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let mut count = |_: &ReplayedCommand<'_>| {
        commands += 1;
        Ok(())
    };
    let config = AofConfig::new(&dir);
    let recovered =
        recover(&disk, &config, RecoveryMode::Refuse, true, &mut count).expect("a good log");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "recovery: {commands} commands, {} bytes, {:.0} ns each",
        recovered.report.bytes,
        seconds * 1e9 / commands as f64
    );

    println!("policy always, groups one after the other, three rounds:");
    for commands in [1, 16, 100] {
        for _ in 0..3 {
            let rate = |step| {
                let log = open(&dir, FsyncPolicy::Always, step);
                let mut groups = 0u32;
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(2) {
                    for _ in 0..commands {
                        log.append(0, COMMAND);
                    }
                    log.sync().expect("room on the disk");
                    groups += 1;
                }
                f64::from(groups) / start.elapsed().as_secs_f64()
            };
            let (preallocated, plain) = (rate(PREALLOCATE_STEP), rate(0));
            println!(
                "  group of {commands:3}: preallocated {:6.0}/s ({:4.0} us), plain {:6.0}/s ({:4.0} us)",
                preallocated,
                1e6 / preallocated,
                plain,
                1e6 / plain
            );
        }
    }
    let _ = std::fs::remove_dir_all(dir.join("appendonlydir"));
}
