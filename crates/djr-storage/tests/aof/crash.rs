//! Power cuts at every disk operation of seeded histories.
//!
//! Goal: what was durable is there afterwards, and nothing but whole batches from the history's beginning; the log can be
//! appended to and recovered again. Recovery itself, and the repair of the directory by `Log::open`, are cut too.

use crate::world::*;
use djr_storage::aof::{FsyncPolicy, RecoveryMode};
use djr_storage::disk::SimDisk;

/// One history: appends, flushes, syncs, rewrites, clean stops, in an order that the seed gives. Ends when the power does.
/// Returns the batches, and how many of them were durable.
fn run(disk: &SimDisk, seed: u64, policy: FsyncPolicy, steps: usize) -> (Option<World>, usize) {
    let mut random = Random(seed);
    let config = config(policy);
    let Ok(mut world) = World::open(disk, &config) else {
        return (None, 0);
    };
    for _ in 0..steps {
        match random.below(20) {
            0..10 => world.random_batch(&mut random),
            10..13 => drop(world.log.flush()),
            13..17 => drop(world.log.sync()),
            17 if random.below(3) == 0 => drop(world.rewrite()),
            18 if random.below(4) == 0 => {
                let history = std::mem::take(&mut world.history);
                let offset = world.log.end();
                if world.log.close().is_err() {
                    world.history = history;
                } else {
                    match World::open(disk, &config) {
                        Ok(next) => {
                            assert_eq!(
                                next.log.end(),
                                offset,
                                "seed {seed}: a clean stop keeps the offset"
                            );
                            assert_eq!(
                                next.commands(),
                                flat(&history),
                                "seed {seed}: a clean stop keeps everything"
                            );
                            world = World { history, ..next };
                        }
                        Err(error) => {
                            assert!(disk.is_off(), "seed {seed}: {error}");
                            let durable = history.len();
                            world.history = history;
                            return (Some(world), durable);
                        }
                    }
                }
            }
            19 if random.below(4) == 0 => {
                let next = if world.log.policy() == FsyncPolicy::Always {
                    FsyncPolicy::EverySec
                } else {
                    FsyncPolicy::Always
                };
                world.log.set_policy(next);
            }
            _ => {}
        }
        if disk.is_off() {
            break;
        }
    }
    let durable = world.batches_until(world.log.durable());
    (Some(world), durable)
}

fn flat(history: &[(u64, Vec<Command>)]) -> Vec<Command> {
    history
        .iter()
        .flat_map(|(_, commands)| commands.clone())
        .collect()
}

/// `DJR_SIM_SEEDS` asks for more histories than the usual ones.
fn seeds(from: u64) -> std::ops::Range<u64> {
    let count = std::env::var("DJR_SIM_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok());
    from..from + count.unwrap_or(60)
}

fn check_all_cuts(seed: u64, policy: FsyncPolicy, steps: usize) {
    let whole = SimDisk::new();
    run(&whole, seed, policy, steps);
    for cut in 0..whole.operations() {
        let disk = SimDisk::new();
        disk.cut_power_at(cut);
        let (world, durable) = run(&disk, seed, policy, steps);
        for outcome in 0..3 {
            let place =
                format!("seed {seed}, {policy:?}, power cut at operation {cut}, outcome {outcome}");
            let reopened = disk.after_power_cut(cut << 8 | outcome);
            // The recovery is cut short too, which must change nothing: at another of its operations each time.
            reopened.cut_power_at((cut + outcome) % 9);
            let _ = World::open(&reopened, &config(policy));
            let reopened = if outcome == 0 {
                reopened.after_power_cut(cut)
            } else {
                reopened.after_kill()
            };
            check_reopened(&reopened, world.as_ref(), durable, policy, &place);
        }
    }
}

fn check_reopened(
    disk: &SimDisk,
    world: Option<&World>,
    durable: usize,
    policy: FsyncPolicy,
    place: &str,
) {
    let config = config(policy);
    let found = recover_sim(disk, &config, RecoveryMode::Refuse);
    let (recovered, commands) = found.unwrap_or_else(|error| panic!("{place}: {error}"));
    let kept = match world {
        Some(world) => world
            .prefix_len(&commands)
            .unwrap_or_else(|| panic!("{place}: not whole batches of the history")),
        None => commands.len(),
    };
    assert!(
        kept >= durable,
        "{place}: {durable} batches were durable, {kept} are there"
    );

    // Life goes on, through another crash.
    let log = open_sim(disk, &config, recovered.state).unwrap();
    let mut next = World {
        log,
        history: if commands.is_empty() {
            vec![]
        } else {
            vec![(0, commands)]
        },
    };
    next.set(3, "after", b"the crash");
    next.log.sync().unwrap();
    next.set(0, "lost", b"perhaps");
    next.log.flush().unwrap();
    let (_, commands) = recover_sim(&disk.after_power_cut(7), &config, RecoveryMode::Refuse)
        .unwrap_or_else(|error| panic!("{place}, then a second crash: {error}"));
    let kept = next
        .prefix_len(&commands)
        .unwrap_or_else(|| panic!("{place}: wrong after a second crash"));
    assert!(
        kept + 1 >= next.history.len(),
        "{place}: lost what was synced after the first crash"
    );
}

#[test]
fn durable_batches_survive_a_power_cut_at_every_operation_always() {
    for seed in seeds(0) {
        check_all_cuts(seed, FsyncPolicy::Always, 60);
    }
}

#[test]
fn durable_batches_survive_a_power_cut_at_every_operation_everysec() {
    for seed in seeds(100_000) {
        check_all_cuts(seed, FsyncPolicy::EverySec, 60);
    }
}

/// What was handed to the operating system survives the death of the process.
#[test]
fn flushed_batches_survive_a_kill() {
    for seed in 0..300 {
        for policy in [FsyncPolicy::EverySec, FsyncPolicy::No] {
            let disk = SimDisk::new();
            let (world, _) = run(&disk, seed, policy, 80);
            let world = world.unwrap();
            let written = world.batches_until(world.log.written());
            let (_, commands) =
                recover_sim(&disk.after_kill(), &config(policy), RecoveryMode::Refuse)
                    .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(world.prefix_len(&commands), Some(written), "seed {seed}");
        }
    }
}
