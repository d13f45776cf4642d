//! Other servers that keys are sent to. Each has a thread of its own, which may wait as long as it has to, and keeps its connection
//! for some time, as Redis does: a row of MIGRATEs connects once.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::Migration;
use crate::worker::{Mail, Mailbox};

/// How long a connection is kept that nothing is sent over.
const KEPT: Duration = Duration::from_secs(10);
/// So many targets at once.
const TARGETS_MAX: usize = 64;
/// So many migrations wait for one target at once.
const QUEUE_MAX: usize = 1024;
/// A status line is no longer.
const LINE_LEN_MAX: u64 = 16 << 10;

/// Host and port.
type Address = (String, u16);

/// The targets that keys are being sent to, or were of late.
#[derive(Clone, Default)]
pub(crate) struct Migrations(Arc<Mutex<HashMap<Address, SyncSender<Job>>>>);

struct Job {
    migration: Box<Migration>,
    /// Where the outcome goes.
    mailbox: Arc<Mailbox>,
}

/// How far a target has come with a migration.
pub(crate) enum Outcome {
    /// What it said of each key; what it said of those behind the last is not known.
    Answered {
        accepted: Vec<bool>,
        error: Option<String>,
    },
    /// It can't be reached, or does not answer.
    Failed(&'static str),
}

const CONNECTING: &str = "IOERR error or timeout connecting to the client";
const WRITING: &str = "IOERR error or timeout writing to target instance";
const READING: &str = "IOERR error or timeout reading from target instance";

impl Migrations {
    /// Has a target's thread carry out a migration; the outcome goes to the mailbox. Gives it back if that can't be.
    pub(crate) fn send(
        &self,
        migration: Box<Migration>,
        mailbox: Arc<Mailbox>,
    ) -> Result<(), Box<Migration>> {
        let address = migration.address.clone();
        let mut job = Job { migration, mailbox };
        let mut targets = self.0.lock();
        if let Some(target) = targets.get(&address) {
            match target.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(job)) => return Err(job.migration),
                // The thread has just ended.
                Err(TrySendError::Disconnected(back)) => job = back,
            }
        }
        if targets.len() >= TARGETS_MAX {
            return Err(job.migration);
        }
        let (sender, jobs) = sync_channel(QUEUE_MAX);
        let mut target = Target {
            address: address.clone(),
            connection: None,
        };
        let all = self.clone();
        let thread = std::thread::Builder::new().name("djr-migrate".into());
        if thread.spawn(move || target.run(&jobs, &all)).is_err() {
            return Err(job.migration);
        }
        // There is room: the channel is new.
        match sender.try_send(job) {
            Ok(()) => {
                targets.insert(address, sender);
                Ok(())
            }
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Err(job.migration),
        }
    }
}

/// A target's thread.
struct Target {
    address: Address,
    connection: Option<Connection>,
}

impl Target {
    fn run(&mut self, jobs: &Receiver<Job>, all: &Migrations) {
        loop {
            let mut job = match jobs.recv_timeout(KEPT) {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // Under the lock, so that nothing is sent in between.
                    let mut targets = all.0.lock();
                    match jobs.try_recv() {
                        Ok(job) => job,
                        Err(_) => {
                            targets.remove(&self.address);
                            return;
                        }
                    }
                }
            };
            job.migration.outcome = Some(self.carry_out(&job.migration));
            job.mailbox.send(Mail::Migrated(job.migration));
        }
    }

    fn carry_out(&mut self, migration: &Migration) -> Outcome {
        let is_kept = self.connection.is_some();
        match self.attempt(migration) {
            Err((_, error)) if is_kept && !is_timeout(&error) => {
                // It was closed meanwhile.
                match self.attempt(migration) {
                    Ok(outcome) => outcome,
                    Err((what, _)) => Outcome::Failed(what),
                }
            }
            Err((what, _)) => Outcome::Failed(what),
            Ok(outcome) => outcome,
        }
    }

    fn attempt(&mut self, migration: &Migration) -> Result<Outcome, (&'static str, io::Error)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address, migration.timeout)?,
        };
        let outcome = connection.carry_out(migration)?;
        let is_whole = matches!(&outcome, Outcome::Answered { error: None, .. });
        // After an error it is not known which db is selected.
        self.connection = is_whole.then_some(connection);
        Ok(outcome)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

struct Connection {
    stream: BufReader<TcpStream>,
    db: Option<i64>,
}

impl Connection {
    fn open((host, port): &Address, timeout: Duration) -> Result<Self, (&'static str, io::Error)> {
        let addresses = (host.as_str(), *port).to_socket_addrs();
        let mut last = None;
        for address in addresses.map_err(|error| (CONNECTING, error))? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Self {
                        stream: BufReader::new(stream),
                        db: None,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            // As Redis, which writes while it still connects.
            Some(error) => Err((WRITING, error)),
            None => Err((CONNECTING, io::ErrorKind::NotFound.into())),
        }
    }

    fn carry_out(&mut self, migration: &Migration) -> Result<Outcome, (&'static str, io::Error)> {
        let timeout = Some(migration.timeout);
        let stream = self.stream.get_mut();
        let timeouts = stream.set_read_timeout(timeout);
        timeouts
            .and_then(|()| stream.set_write_timeout(timeout))
            .map_err(|error| (WRITING, error))?;
        // First what may refuse everything behind it.
        let db = migration.db_there;
        let mut greeting = Vec::new();
        let mut greetings = 0;
        if !migration.auth.is_empty() {
            let mut words: Vec<&[u8]> = vec![b"AUTH"];
            words.extend(migration.auth.iter().map(|word| &**word));
            djr_protocol::encode_command(&mut greeting, &words);
            greetings += 1;
        }
        if self.db != Some(db) {
            let text = db.to_string();
            djr_protocol::encode_command(&mut greeting, &[b"SELECT", text.as_bytes()]);
            greetings += 1;
        }
        self.write(&greeting)?;
        let mut error = None;
        for _ in 0..greetings {
            error = error.or(self.read_status()?);
        }
        if error.is_some() {
            let accepted = vec![false; migration.keys.len()];
            return Ok(Outcome::Answered { accepted, error });
        }
        self.db = Some(db);
        for key in &migration.keys {
            let mut request = Vec::new();
            let ttl = key.ttl.to_string();
            let mut words: Vec<&[u8]> =
                vec![b"RESTORE", &key.watch.key, ttl.as_bytes(), &key.payload];
            if migration.replace || key.is_resent {
                words.push(b"REPLACE");
            }
            djr_protocol::encode_command(&mut request, &words);
            self.write(&request)?;
        }
        let mut accepted = Vec::with_capacity(migration.keys.len());
        for _ in &migration.keys {
            let refusal = match self.read_status() {
                Ok(refusal) => refusal,
                Err(failure) if accepted.is_empty() => return Err(failure),
                Err((what, _)) => {
                    // What has been accepted has been accepted.
                    return Ok(Outcome::Answered {
                        accepted,
                        error: Some(what.into()),
                    });
                }
            };
            accepted.push(refusal.is_none());
            error = error.or(refusal);
        }
        Ok(Outcome::Answered { accepted, error })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), (&'static str, io::Error)> {
        let written = self.stream.get_mut().write_all(bytes);
        written.map_err(|error| (WRITING, error))
    }

    /// The next reply: `None` for a status, else the error that it is.
    fn read_status(&mut self) -> Result<Option<String>, (&'static str, io::Error)> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(LINE_LEN_MAX)
            .read_until(b'\n', &mut line);
        read.map_err(|error| (READING, error))?;
        let text = line
            .strip_suffix(b"\r\n")
            .ok_or((READING, io::ErrorKind::UnexpectedEof.into()))?;
        match text.split_first() {
            Some((b'-', error)) => Ok(Some(format!(
                "ERR Target instance replied with error: {}",
                String::from_utf8_lossy(error)
            ))),
            Some((b'+', _)) => Ok(None),
            _ => Err((READING, io::ErrorKind::InvalidData.into())),
        }
    }
}
