//! Replay on several threads.
//!
//! ```text
//! the reader of the log ─► route: which lane has the shard of its key ─┬─► lane 0: decode, prefetch, execute
//!                                                                      └─► lane 1: …
//! ```
//!
//! A lane has a group of shards to itself, so lanes never wait for a lock, and the commands of a key stay in order. What touches
//! the shards of several lanes, or has no keys that can be read off its arguments, is a barrier: all lanes end what they have, then
//! it runs alone. Nobody sees the keyspace meanwhile, so transactions need nothing special: they were logged whole, or are not replayed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use djr_engine::command::{Command, KeyShape};
use djr_engine::spec::Run;
use djr_engine::{Args, Executor, Reply};
use djr_protocol::{Limits, RequestDecoder, RespVersion, encode_command};
use djr_storage::aof::ReplayedCommand;
use parking_lot::Mutex;

use super::replay::{REPLAY_NOW, ReplayShell, refused};
use crate::session::{Ahead, Requests};
use crate::shared::Shared;

/// Bytes of commands that are handed over at once.
const BATCH_LEN: usize = 64 << 10;
/// Batches that wait for a lane.
const BATCHES_AHEAD: usize = 8;
/// Commands longer than this do not go through a lane.
const COMMAND_LEN_MAX: usize = 64 << 20;

/// What a lane is sent.
enum Work {
    /// Commands of one db, as RESP.
    Batch(u32, Vec<u8>),
    /// Tell when all before is done.
    Barrier(Sender<()>),
}

struct Lane {
    work: Option<SyncSender<Work>>,
    /// Buffers that come back to be used again.
    empty: Receiver<Vec<u8>>,
    /// What is not sent yet, and its db.
    buffer: Vec<u8>,
    db: u32,
    thread: Option<JoinHandle<()>>,
}

/// The lanes of a replay.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    lanes: Vec<Lane>,
    failure: Arc<Mutex<Option<String>>>,
}

/// Where a command goes.
enum Route {
    Lane(usize),
    /// To all lanes' end.
    Barrier,
}

impl Lanes {
    /// So many lanes; with fewer than two there are none, and every command is a barrier that costs nothing.
    pub(super) fn new(shared: &Arc<Shared>, count: usize) -> Self {
        let failure = Arc::default();
        let count = if count < 2 { 0 } else { count };
        let lanes = (0..count).filter_map(|_| Lane::start(shared, &failure).ok());
        Self {
            lanes: lanes.collect(),
            shared: shared.clone(),
            failure,
        }
    }

    /// Takes a command over. `Ok(false)`: everything before it is done, and the caller has to run it.
    pub(super) fn take(&mut self, replayed: &ReplayedCommand<'_>) -> Result<bool, String> {
        match self.route(replayed) {
            Route::Lane(lane) => {
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.push(replayed);
                    if lane.buffer.len() >= BATCH_LEN {
                        lane.send();
                        self.check()?;
                    }
                }
                Ok(true)
            }
            Route::Barrier => {
                self.finish()?;
                Ok(false)
            }
        }
    }

    /// Waits until all lanes have done what they have.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        let (done, all_done) = channel();
        for lane in &mut self.lanes {
            lane.send();
            if let Some(work) = &lane.work {
                // Fails only if the lane's thread has ended by a panic: see below.
                let _ = work.send(Work::Barrier(done.clone()));
            }
        }
        drop(done);
        let count = all_done.iter().count();
        self.check()?;
        if count < self.lanes.len() {
            return Err("a thread of the replay has ended by a panic".to_owned());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.failure.lock().take().map_or(Ok(()), Err)
    }

    fn route(&self, replayed: &ReplayedCommand<'_>) -> Route {
        if self.lanes.is_empty() || replayed.db >= self.shared.engine.keyspace.dbs() {
            return Route::Barrier;
        }
        let lane = command(&self.shared, replayed.args)
            .filter(|command| {
                matches!(command.run, Run::Read(_) | Run::Write(_))
                    && !command.opens_all()
                    && command.accepts(replayed.args.len())
            })
            .and_then(|command| self.lane_of(command, replayed.args));
        lane.map_or(Route::Barrier, Route::Lane)
    }

    /// The lane of all its keys. `None`: there is none, or several.
    fn lane_of(&self, command: &Command, args: &[&[u8]]) -> Option<usize> {
        let (first, last, step) = match command.key_shape {
            KeyShape::One(at) => (at as usize, at as usize, 1),
            KeyShape::Range { first, last, step } => {
                let last = match usize::try_from(last) {
                    Ok(last) => last,
                    Err(_) => args.len().checked_sub(last.unsigned_abs() as usize)?,
                };
                (first as usize, last, step.max(1) as usize)
            }
            KeyShape::None | KeyShape::Search => return None,
        };
        let keyspace = &self.shared.engine.keyspace;
        let lane = |key: &&[u8]| keyspace.share(keyspace.key(key).hash, self.lanes.len());
        let mut keys = args.get(first..=last)?.iter().step_by(step);
        let found = lane(keys.next()?);
        let len: usize = args.iter().map(|arg| arg.len()).sum();
        (len <= COMMAND_LEN_MAX && keys.all(|key| lane(key) == found)).then_some(found)
    }
}

/// The command, or of a container the subcommand.
fn command(shared: &Shared, args: &[&[u8]]) -> Option<&'static Command> {
    let command = shared.engine.registry.declared().find(args.first()?)?;
    if command.subcommands.is_empty() {
        return Some(command);
    }
    let name = args.get(1)?;
    let mut all = command.subcommands.iter();
    all.find(|sub| sub.spec.name.as_bytes().eq_ignore_ascii_case(name))
}

impl Lane {
    fn start(shared: &Arc<Shared>, failure: &Arc<Mutex<Option<String>>>) -> std::io::Result<Self> {
        let (work, to_do) = sync_channel(BATCHES_AHEAD);
        let (used, empty) = channel();
        let (shared, failure) = (shared.clone(), failure.clone());
        let thread = std::thread::Builder::new().name("djr-replay".into());
        let thread = thread.spawn(move || run(&shared, &to_do, &used, &failure))?;
        Ok(Self {
            work: Some(work),
            empty,
            buffer: Vec::with_capacity(BATCH_LEN * 2),
            db: 0,
            thread: Some(thread),
        })
    }

    fn push(&mut self, replayed: &ReplayedCommand<'_>) {
        if self.db != replayed.db {
            self.send();
            self.db = replayed.db;
        }
        match replayed.encoded {
            Some(bytes) => self.buffer.extend_from_slice(bytes),
            None => encode_command(&mut self.buffer, replayed.args),
        }
    }

    fn send(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut next = self.empty.try_recv().unwrap_or_default();
        next.clear();
        let full = std::mem::replace(&mut self.buffer, next);
        if let Some(work) = &self.work {
            let _ = work.send(Work::Batch(self.db, full));
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // What ends the thread.
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been told of by `finish`.
            let _ = thread.join();
        }
    }
}

/// A lane's thread.
fn run(
    shared: &Shared,
    to_do: &Receiver<Work>,
    used: &Sender<Vec<u8>>,
    failure: &Mutex<Option<String>>,
) {
    let mut executor = Executor::new(0);
    let mut requests = Requests::default();
    let mut out = Vec::new();
    let mut failed = false;
    while let Ok(work) = to_do.recv() {
        match work {
            Work::Barrier(done) => drop(done.send(())),
            // Nothing more is applied; the reader of the log will hear of it.
            Work::Batch(..) if failed => {}
            Work::Batch(db, bytes) => {
                let done = run_batch(shared, &mut executor, &mut requests, db, &bytes, &mut out);
                if let Err(error) = done {
                    failed = true;
                    failure.lock().get_or_insert(error);
                }
                let _ = used.send(bytes);
            }
        }
    }
}

fn run_batch(
    shared: &Shared,
    executor: &mut Executor,
    requests: &mut Requests,
    db: u32,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let engine = &shared.engine;
    let limits = Limits {
        bulk_len_max: usize::MAX,
        args_max: usize::MAX,
        ..Limits::default()
    };
    let mut shell = ReplayShell::new(db);
    let mut position = 0;
    while position < bytes.len() {
        let rest = bytes.get(position..).unwrap_or_default();
        requests.batch.clear();
        let taken = RequestDecoder::new()
            .decode(rest, &limits, &mut requests.batch)
            .map_err(|error| error.to_string())?;
        if taken == 0 {
            return Err("a command could not be decoded again".to_owned());
        }
        position += taken;
        let turn = engine.keyspace.pin();
        let mut ahead = Ahead::new(requests, rest, engine, &turn, db);
        ahead.prefetch_entries();
        for index in 0..requests.batch.len() {
            let args = Args::new(requests.batch.request(index, rest));
            let prepared = ahead.advance(index, &requests.batch, rest, engine);
            let Some(command) = prepared.command else {
                return Err(engine.unknown_command(&args).to_string());
            };
            let args = prepared.hashed(args);
            out.clear();
            let mut reply = Reply::new(out, RespVersion::V2);
            engine
                .execute(executor, command, &args, REPLAY_NOW, &mut shell, &mut reply)
                .map_err(|error| refused(command, &args, &error))?;
        }
    }
    Ok(())
}
