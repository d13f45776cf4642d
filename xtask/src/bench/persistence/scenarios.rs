//! What is measured.

use super::client::{Load, Measured, Pipe};
use super::data::{DataSet, LARGE, LARGE_KEY};
use super::process::{Process, Program};
use super::table::{Goal, Table};
use super::{Bench, Scenario};
use crate::run;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn run(bench: &Bench<'_>, scenario: Scenario) -> Result<String> {
    let mut text = String::new();
    if scenario == Scenario::Large {
        return large(bench);
    }
    for data in &bench.args.data {
        let mut table = Table::default();
        let title = format!("{scenario:?}, {}", data.name());
        eprintln!("== {title}");
        for round in 0..bench.args.rounds {
            for turn in 0..bench.programs.len() {
                // Nobody always goes first.
                let program = &bench.programs[(turn + round) % bench.programs.len()];
                let one = One {
                    bench,
                    program,
                    data: *data,
                    seed: round as u64 + 1,
                };
                let result = match scenario {
                    Scenario::Pause => one.pause(&mut table),
                    Scenario::Memory => one.memory(&mut table),
                    Scenario::Save => one.save(&mut table),
                    Scenario::Load => one.load(&mut table),
                    Scenario::Replay => one.replay(&mut table),
                    Scenario::Large => Ok(()),
                };
                result.with_context(|| program.name.clone())?;
            }
        }
        text.push_str(&table.markdown(&title, &bench.names()));
    }
    Ok(text)
}

struct One<'a> {
    bench: &'a Bench<'a>,
    program: &'a Program,
    data: DataSet,
    seed: u64,
}

impl One<'_> {
    fn dir(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new()
            .prefix("server-")
            .tempdir_in(&self.bench.scratch)?)
    }

    fn filled(&self, dir: &Path, append_only: bool) -> Result<Process> {
        let process = self
            .program
            .start(dir, append_only, &self.bench.interrupt)?;
        // A new log begins with a rewrite.
        process.wait_idle(&self.bench.interrupt)?;
        self.data
            .fill(&mut Pipe::new(process.address)?, self.bench.args.keys)?;
        Ok(process)
    }

    fn note(&self, table: &mut Table, row: &str, figure: f64) {
        table.add(row, &self.program.name, figure);
    }

    /// Half reads, half writes.
    fn half_writes(
        &self,
        process: &Process,
        rate: Option<u64>,
        goes_on: impl FnMut(Duration) -> Result<bool>,
    ) -> Result<Measured> {
        let keys = self.data.keys(self.bench.args.keys);
        let data = self.data;
        let make = |out: &mut Vec<u8>, random: u64| {
            let number = (random >> 8) % keys;
            if random & 1 == 0 {
                data.read(out, number);
            } else {
                data.change(out, number, random >> 40);
            }
        };
        let load = Load {
            address: process.address,
            rate,
            connections: 50,
            make: &make,
            seed: self.seed,
            interrupt: &self.bench.interrupt,
        };
        load.run(goes_on)
    }

    /// The load during a job, which is begun again until the time is over.
    fn during(
        &self,
        process: &Process,
        rate: Option<u64>,
        job: &[&str],
    ) -> Result<(Measured, Vec<f64>)> {
        let shortest = Duration::from_secs_f64(self.bench.args.seconds);
        let (mut all, mut took) = (Measured::new(), Vec::new());
        while all.elapsed < shortest {
            let began = Instant::now();
            process.order(job)?;
            let watch = process.watch()?;
            let measured = self.half_writes(process, rate, |_| Ok(watch.is_busy()))?;
            took.push(began.elapsed().as_secs_f64());
            all.add(&measured);
        }
        Ok((all, took))
    }

    fn alone(&self, process: &Process, rate: Option<u64>) -> Result<Measured> {
        let shortest = Duration::from_secs_f64(self.bench.args.seconds);
        // Also what being asked costs is the same.
        let _watch = process.watch()?;
        self.half_writes(process, rate, |since| Ok(since < shortest))
    }

    /// What was written before is on the disk: the system does not write it during what is measured next.
    fn settle(&self) -> Result<()> {
        run::checked(&mut run::program("sync"))
    }

    fn pause(&self, table: &mut Table) -> Result<()> {
        let dir = self.dir()?;
        self.warm_memory();
        let process = self.filled(dir.path(), true)?;
        self.settle()?;
        let rate = Some(self.bench.args.rate);
        let mut tell = |what: &str, measured: &Measured| {
            self.note(
                table,
                &format!("{what}: p50, ms"),
                measured.milliseconds(50.0),
            );
            self.note(
                table,
                &format!("{what}: p99.99, ms"),
                measured.milliseconds(99.99),
            );
            self.note(table, &format!("{what}: maximum, ms"), measured.max_ms());
        };
        tell("without", &self.alone(&process, rate)?);
        self.settle()?;
        tell("BGSAVE", &self.during(&process, rate, &["BGSAVE"])?.0);
        self.settle()?;
        let (measured, _) = self.during(&process, rate, &["BGREWRITEAOF"])?;
        tell("BGREWRITEAOF", &measured);
        for job in ["BGSAVE", "BGREWRITEAOF"] {
            for (figure, base) in [
                ("p99.99", "without: p99.99, ms"),
                ("maximum", "without: maximum, ms"),
            ] {
                let row = format!("{job}: {figure}, ms");
                table.goal(&row, Goal::AddsAtMost(base, 1.0));
            }
        }
        Ok(())
    }

    fn memory(&self, table: &mut Table) -> Result<()> {
        const EVERY: u64 = 500;
        let dir = self.dir()?;
        let process = self.filled(dir.path(), false)?;
        std::thread::sleep(Duration::from_secs(2));
        let before = process.memory();
        let mut most = before;
        let keys = self.data.keys(self.bench.args.keys);
        process.order(&["BGSAVE"])?;
        let mut pipe = Pipe::new(process.address)?;
        let mut changed = 0;
        // Spread over all keys, and through the time that it takes.
        while process.is_busy()? {
            for _ in 0..EVERY {
                if changed < keys / 5 {
                    let data = self.data;
                    let number = changed.wrapping_mul(5);
                    pipe.send(|out| data.change(out, number, changed))?;
                    changed += 1;
                }
            }
            pipe.finish()?;
            most = most.max(process.memory());
            self.bench.interrupt.check()?;
        }
        self.note(table, "before, MiB", before as f64 / f64::from(1 << 20));
        let more = most.saturating_sub(before) as f64;
        self.note(table, "more during it, MiB", more / f64::from(1 << 20));
        self.note(table, "more during it, %", more / before as f64 * 100.0);
        table.goal("more during it, %", Goal::AtMost(25.0));
        let changed = changed as f64 / keys as f64;
        self.note(table, "keys overwritten meanwhile, %", changed * 100.0);
        Ok(())
    }

    fn save(&self, table: &mut Table) -> Result<()> {
        let dir = self.dir()?;
        let process = self.filled(dir.path(), false)?;
        let began = Instant::now();
        process.order(&["BGSAVE"])?;
        process.wait_idle(&self.bench.interrupt)?;
        self.note(table, "snapshot alone, s", began.elapsed().as_secs_f64());
        table.goal("snapshot alone, s", Goal::TimesFaster(1.0));
        let alone = self.alone(&process, None)?;
        let (during, mut took) = self.during(&process, None, &["BGSAVE"])?;
        took.sort_by(f64::total_cmp);
        self.note(table, "snapshot under full load, s", took[took.len() / 2]);
        let per_second =
            |measured: &Measured| measured.requests as f64 / measured.elapsed.as_secs_f64();
        table.goal("snapshot under full load, s", Goal::TimesFaster(1.0));
        self.note(table, "requests/s without", per_second(&alone));
        self.note(table, "requests/s during it", per_second(&during));
        let left = per_second(&during) / per_second(&alone) * 100.0;
        self.note(table, "throughput left, %", left);
        table.goal("throughput left, %", Goal::AtLeast(80.0));
        Ok(())
    }

    /// The file is made once, by the first server.
    fn load(&self, table: &mut Table) -> Result<()> {
        let made = self.bench.scratch.join(format!("{}.rdb", self.data.name()));
        if !made.exists() {
            let dir = self.dir()?;
            let first = One {
                program: &self.bench.programs[0],
                ..*self
            };
            let process = first.filled(dir.path(), false)?;
            process.order(&["BGSAVE"])?;
            process.wait_idle(&self.bench.interrupt)?;
            std::fs::rename(dir.path().join("dump.rdb"), &made)?;
        }
        let dir = self.dir()?;
        std::fs::hard_link(&made, dir.path().join("dump.rdb"))?;
        self.time_start(table, &dir, false, 4.0)
    }

    fn replay(&self, table: &mut Table) -> Result<()> {
        let made = self.bench.scratch.join(format!("{}-log", self.data.name()));
        if !made.exists() {
            self.data.write_log(&made, self.bench.args.keys)?;
        }
        let dir = self.dir()?;
        let log = dir.path().join("appendonlydir");
        std::fs::create_dir(&log)?;
        for file in std::fs::read_dir(made.join("appendonlydir"))? {
            let file = file?;
            // A server may go on writing to it: its own copy.
            let copy = log.join(file.file_name());
            std::fs::copy(file.path(), &copy)?;
            // Else it is written to the disk while the server reads it.
            std::fs::File::open(copy)?.sync_all()?;
        }
        self.time_start(table, &dir, true, 3.0)
    }

    /// A virtual machine may get its memory from its host late, which costs whoever comes first twenty times what a page costs else. Nobody
    /// shall.
    fn warm_memory(&self) {
        /// What all servers take per key, and some more.
        const BYTES_PER_KEY: u64 = 400;
        let bytes = self.bench.args.keys * BYTES_PER_KEY;
        drop(std::hint::black_box(vec![1u8; bytes as usize]));
    }

    fn time_start(
        &self,
        table: &mut Table,
        dir: &tempfile::TempDir,
        append_only: bool,
        times_faster: f64,
    ) -> Result<()> {
        self.warm_memory();
        let process = self
            .program
            .start(dir.path(), append_only, &self.bench.interrupt)?;
        let found = process.ask(&["DBSIZE"])?;
        let expected = format!(":{}", self.data.keys(self.bench.args.keys));
        ensure!(found == expected, "{found} keys, not {expected}");
        self.note(table, "ready after, s", process.ready_after.as_secs_f64());
        table.goal("ready after, s", Goal::TimesFaster(times_faster));
        Ok(())
    }
}

/// One large value of each type.
fn large(bench: &Bench<'_>) -> Result<String> {
    let mut table = Table::default();
    let elements = bench.args.elements;
    for round in 0..bench.args.rounds {
        for kind in LARGE {
            for turn in 0..bench.programs.len() {
                let program = &bench.programs[(turn + round) % bench.programs.len()];
                let dir = tempfile::Builder::new()
                    .prefix("server-")
                    .tempdir_in(&bench.scratch)?;
                let process = program.start(dir.path(), false, &bench.interrupt)?;
                kind.fill(&mut Pipe::new(process.address)?, elements)?;
                let make = |out: &mut Vec<u8>, random: u64| kind.change(out, random >> 8, elements);
                let load = Load {
                    address: process.address,
                    // Slow enough for a list, which is trimmed from its ends only.
                    rate: Some(bench.args.rate / 4),
                    connections: 10,
                    make: &make,
                    seed: round as u64 + 1,
                    interrupt: &bench.interrupt,
                };
                let seconds = Duration::from_secs_f64(bench.args.seconds / 2.0);
                let watch = process.watch()?;
                let alone = load.run(|since| Ok(since < seconds))?;
                drop(watch);
                let mut during = Measured::new();
                while during.elapsed < seconds {
                    process.order(&["BGSAVE"])?;
                    let watch = process.watch()?;
                    during.add(&load.run(|_| Ok(watch.is_busy()))?);
                }
                ensure!(
                    process.ask(&["EXISTS", LARGE_KEY])? == ":1",
                    "the value is gone"
                );
                let mut tell = |row: &str, figure| {
                    table.add(&format!("{}: {row}", kind.name()), &program.name, figure);
                };
                tell("maximum without, ms", alone.max_ms());
                tell("maximum during, ms", during.max_ms());
                tell("p99.99 during, ms", during.milliseconds(99.99));
                let row = format!("{}: maximum during, ms", kind.name());
                table.goal(&row, Goal::AtMost(2.0));
            }
        }
    }
    Ok(table.markdown(
        &format!("Large: one value of {elements} elements, written to during its snapshot"),
        &bench.names(),
    ))
}
