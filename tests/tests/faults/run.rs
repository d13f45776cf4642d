//! A history played to a disk, and what must be found on it afterwards.

use std::sync::Arc;

use djr_engine::testkit::Bench;
use djr_storage::aof::{
    AofConfig, FsyncPolicy, Log, Offset, Recovered, RecoveryError, RecoveryMode, ReplayedCommand,
    encode_select, recover,
};
use djr_storage::disk::{Disk, SimDisk};

use super::history::{Event, History, contents};

/// How the machine or the process ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// With this choice of what was not durable and survives all the same.
    PowerCut(u64),
    Kill,
}

/// A log on a disk of its own.
pub(crate) struct Run<'h> {
    history: &'h History,
    pub(crate) disk: SimDisk,
    config: AofConfig,
    seed: u64,
    /// The offsets after each batch.
    ends: Vec<Offset>,
    /// How many batches were answered: they must survive a kill.
    answered: usize,
    /// How many of them must survive a power cut.
    durable: usize,
    /// The time of the last sync, and of the last event.
    synced_at: i64,
    now: i64,
}

impl<'h> Run<'h> {
    pub(crate) fn new(history: &'h History, policy: FsyncPolicy, seed: u64) -> Self {
        let config = AofConfig {
            policy,
            preallocate_step: 2048,
            ..AofConfig::new("data")
        };
        let began = history.states[0].1;
        Self {
            history,
            disk: SimDisk::new(),
            config,
            seed,
            ends: vec![0],
            answered: 0,
            durable: 0,
            synced_at: began,
            now: began,
        }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.disk.operations()
    }

    /// Plays the history until the end, or until the log fails.
    pub(crate) fn until_the_end(mut self) -> Self {
        // What happens is written down on the way: it ends where a step fails.
        let _ = self.play();
        self
    }

    fn play(&mut self) -> Option<()> {
        let (recovered, _) = recovered(&self.disk, &self.config).ok()?;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let open_new = |config: &AofConfig, end| {
            Log::open_new(disk.clone(), config.clone(), end, Box::new(|_| ()))
        };
        let mut log = Log::open(
            disk.clone(),
            self.config.clone(),
            recovered.state,
            Box::new(|_| ()),
        )
        .ok()?;
        log.set_timestamps(self.seed.is_multiple_of(2));
        let mut events = self.history.events.iter();
        while let Some(event) = events.next() {
            match event {
                Event::Cut(base) => {
                    // A rewrite that fails leaves the log as it was.
                    let Ok(mut rewrite) = log.begin_rewrite() else {
                        self.flush(&log)?;
                        continue;
                    };
                    let mut failed = false;
                    for event in events.by_ref() {
                        match event {
                            Event::Publish => break,
                            Event::Cut(_) | Event::Anew => {}
                            event => self.simple(&log, event)?,
                        }
                    }
                    for (db, words) in base {
                        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                        failed = failed || rewrite.write_command(*db, &words).is_err();
                    }
                    if !failed {
                        let _ = rewrite.finish();
                    }
                    self.flush(&log)?;
                }
                Event::Anew => {
                    let end = log.end();
                    log.seal().ok()?;
                    log.close().ok()?;
                    // Everything logged so far is durable, and must stay so whatever becomes of the new log.
                    self.answered = self.batches_until(end);
                    self.durable = self.answered;
                    log = open_new(&self.config, end).ok()?;
                    log.set_timestamps(!self.seed.is_multiple_of(2));
                }
                Event::Publish => {}
                event => self.simple(&log, event)?,
            }
        }
        log.close().ok()?;
        if log.is_complete() {
            self.durable = self.answered;
        }
        Some(())
    }

    fn simple(&mut self, log: &Log, event: &Event) -> Option<()> {
        match event {
            Event::Batch { db, bytes, at } => {
                self.now = *at;
                self.ends.push(log.append(*db, bytes));
                log.note_time((*at / 1000) as u64);
                Some(())
            }
            _ => self.flush(log),
        }
    }

    /// The end of a turn: what was done is answered.
    fn flush(&mut self, log: &Log) -> Option<()> {
        log.flush().ok()?;
        if self.config.policy == FsyncPolicy::Always {
            // The answers wait for it.
            log.sync().ok()?;
        }
        // A new log is of use only once it is complete.
        if log.is_complete() {
            self.answered = self.answered.max(self.batches_until(log.written()));
        }
        if self.config.policy == FsyncPolicy::EverySec && self.now >= self.synced_at + 1000 {
            log.sync().ok()?;
            self.synced_at = self.now;
        }
        if log.is_complete() {
            self.durable = self.durable.max(self.batches_until(log.durable()));
        }
        Some(())
    }

    fn batches_until(&self, offset: Offset) -> usize {
        self.ends
            .iter()
            .skip(1)
            .filter(|end| **end <= offset)
            .count()
    }

    /// Everything is there after a clean end.
    pub(crate) fn check_all(&self, history: &History) {
        if self.durable + 1 == history.states.len() {
            let found = self.check(history, Ending::PowerCut(self.seed));
            assert_eq!(found, self.durable, "seed {}: a clean end", self.seed);
        }
    }

    /// Recovers from how it ended; returns how many batches there are.
    pub(crate) fn check(&self, history: &History, ending: Ending) -> usize {
        let (disk, least) = match ending {
            Ending::PowerCut(seed) => (self.disk.after_power_cut(seed), self.durable),
            Ending::Kill => (self.disk.after_kill(), self.answered),
        };
        self.check_disk(history, &disk, least, &format!("{ending:?}"))
    }

    /// The power goes a second time, at each operation of the recovery.
    pub(crate) fn check_with_second_cut(&self, history: &History, seed: u64) {
        for cut in 0.. {
            let disk = self.disk.after_power_cut(seed);
            disk.cut_power_at(cut);
            if let Ok((recovered, _)) = recovered(&disk, &self.config) {
                let disk: Arc<dyn Disk> = Arc::new(disk.clone());
                let config = self.config.clone();
                drop(Log::open(disk, config, recovered.state, Box::new(|_| ())));
            }
            if !disk.is_off() {
                break;
            }
            let again = disk.after_power_cut(seed ^ cut);
            let place = format!("second cut {seed} {cut}");
            self.check_disk(history, &again, self.durable, &place);
        }
    }

    fn check_disk(&self, history: &History, disk: &SimDisk, least: usize, place: &str) -> usize {
        let place = format!("seed {}, {:?}, {place}", self.seed, self.config.policy);
        let (recovered, mut bench) = match recovered(disk, &self.config) {
            Ok(recovered) => recovered,
            Err(error) => panic!("{place}: {error}\n{}", show_files(disk)),
        };
        let end = recovered.report.end;
        // A write may end short behind the `select` with which a batch begins, and then that stays: it changes nothing.
        let selects = [0, 10].map(|db| {
            let mut select = Vec::new();
            encode_select(&mut select, db);
            select.len() as u64
        });
        let is_end_of = |offset: &Offset| *offset == end || selects.contains(&(end - *offset));
        let before = self.ends.iter().rposition(|offset| *offset <= end);
        let Some(found) = before.filter(|found| is_end_of(&self.ends[*found])) else {
            let files = show_files(disk);
            panic!(
                "{place}: half a batch: {end} is none of {:?}\n{files}",
                self.ends
            );
        };
        assert!(
            found >= least,
            "{place}: {found} batches, {least} were promised"
        );
        let (state, at) = &history.states[found];
        // Of a command that logs several batches the states between are not known.
        let between = state.is_empty() && found > 0;
        if !between {
            assert!(
                contents(&bench, *at) == *state,
                "{place}: not the state after {found} batches\nfound: {:#?}\nexpected: {state:#?}",
                contents(&bench, *at)
            );
        }
        // It goes on from there.
        let held: Arc<dyn Disk> = Arc::new(disk.clone());
        let config = self.config.clone();
        let log = Log::open(held, config, recovered.state, Box::new(|_| ()));
        let log = log.unwrap_or_else(|error| panic!("{place}: {error}"));
        log.append(0, b"*3\r\n$3\r\nSET\r\n$5\r\nafter\r\n$1\r\n1\r\n");
        log.close()
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        bench.shell.db = 0;
        bench.run(&[b"SET", b"after", b"1"]);
        let (_, again) = self::recovered(&disk.after_power_cut(self.seed), &self.config)
            .unwrap_or_else(|error| panic!("{place}, then: {error}"));
        assert!(
            contents(&again, *at) == contents(&bench, *at),
            "{place}: it did not go on"
        );
        found
    }
}

/// What is on a disk: each run of the same byte that is long is shown as one, and how often.
fn show_files(disk: &SimDisk) -> String {
    let mut text = String::new();
    for path in disk.paths() {
        let bytes = disk.contents(&path).unwrap_or_default();
        text += &format!("\n{}, {} bytes: ", path.display(), bytes.len());
        for run in bytes.chunk_by(|a, b| a == b) {
            match run.len() {
                ..8 => text += &run.escape_ascii().to_string(),
                len => text += &format!("[{len} times {}]", run[..1].escape_ascii()),
            }
        }
    }
    text
}

/// Recovers into a new engine.
fn recovered(disk: &SimDisk, config: &AofConfig) -> Result<(Recovered, Bench), RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut bench = Bench::new();
    bench.now = 0;
    let mut replay = |command: &ReplayedCommand<'_>| {
        bench.shell.db = command.db;
        let reply = bench.run(command.args);
        match reply.first() {
            Some(b'-') => Err(String::from_utf8_lossy(&reply).into_owned()),
            _ => Ok(()),
        }
    };
    let recovered = recover(&disk, config, RecoveryMode::Refuse, true, &mut replay)?;
    Ok((recovered, bench))
}
