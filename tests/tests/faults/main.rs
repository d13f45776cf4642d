//! Failing disks and lost power, with the real engine: random commands of all types are executed and logged, the log is rewritten
//! and begun anew, all on a simulated disk that loses power, or fails, at every operation. Then the data set is recovered, and must be
//! one that there was: after `always` with everything acknowledged in it, after `everysec` with everything that is a second old.
//!
//! `DJR_FAULT_HISTORIES=5000` for more of them, `DJR_FAULT_FIRST=780` to begin with a later one, `DJR_SEED` for others.

mod history;
mod run;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use djr_storage::aof::FsyncPolicy;
use djr_storage::disk::Fault;
use djr_tests::comparison::{number, seed};
use history::History;
use run::{Ending, Run};

const HISTORIES: u64 = 100;
const POLICIES: [FsyncPolicy; 2] = [FsyncPolicy::Always, FsyncPolicy::EverySec];

/// Runs `check` for each history, on two threads. It returns how many endings it has looked at, which are told.
fn each_history(check: impl Fn(&History, u64) -> u64 + Sync) {
    let count = number("DJR_FAULT_HISTORIES").unwrap_or(HISTORIES);
    let first = seed();
    println!("seed {first}, {count} histories");
    let tokens = history::tokens();
    let begin = number("DJR_FAULT_FIRST").unwrap_or(0);
    let (next, endings) = (AtomicU64::new(begin), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= begin + count {
                        break;
                    }
                    let seed = first.wrapping_mul(0x9e37_79b9).wrapping_add(number);
                    endings.fetch_add(check(&History::new(seed, &tokens), seed), Relaxed);
                }
            });
        }
    });
    println!("{} endings", endings.into_inner());
}

#[test]
fn power_may_be_lost_at_any_operation() {
    each_history(|history, seed| {
        let mut endings = 0;
        for policy in POLICIES {
            let whole = Run::new(history, policy, seed).until_the_end();
            whole.check_all(history);
            for cut in 0..whole.operations() {
                let run = Run::new(history, policy, seed);
                run.disk.cut_power_at(cut);
                let run = run.until_the_end();
                run.check(history, Ending::PowerCut(seed ^ cut));
                endings += 1;
                // And once more while that is recovered from.
                if cut % 4 == seed % 4 {
                    run.check_with_second_cut(history, seed ^ cut);
                    endings += 1;
                }
            }
        }
        endings
    });
}

#[test]
fn any_operation_may_fail() {
    each_history(|history, seed| {
        let mut endings = 0;
        for policy in POLICIES {
            let operations = Run::new(history, policy, seed).until_the_end().operations();
            for operation in 0..operations {
                let fault = match (operation + seed) % 4 {
                    0 => Fault::Error(28),
                    1 => Fault::Error(5),
                    2 => Fault::ShortWrite((seed % 700) as usize),
                    _ => Fault::FailedSync,
                };
                let run = Run::new(history, policy, seed);
                run.disk.inject(operation, fault);
                let run = run.until_the_end();
                run.check(history, Ending::PowerCut(seed ^ operation));
                endings += 1;
                if fault != Fault::FailedSync {
                    // Else the next process may see, for a while, what the disk has lost: damage, to be found later.
                    run.check(history, Ending::Kill);
                    endings += 1;
                }
            }
        }
        endings
    });
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    each_history(|history, seed| {
        let mut endings = 0;
        for policy in POLICIES {
            let operations = Run::new(history, policy, seed).until_the_end().operations();
            for operation in (seed % 3..operations).step_by(3) {
                let run = Run::new(history, policy, seed);
                run.disk.cut_power_at(operation);
                let run = run.until_the_end();
                run.check(history, Ending::Kill);
                endings += 1;
            }
        }
        endings
    });
}
