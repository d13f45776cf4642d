//! What a writing command did, in the form that the log and the replicas get.

use djr_protocol::encode_command;

use crate::Args;
use crate::blocking::Blocked;
use crate::registry::Registry;

/// What a writing command did. Replaying it reads no clock and draws no random number, so it
/// always rebuilds the same state.
#[must_use]
#[derive(Debug)]
pub enum Effect {
    /// Nothing changed: nothing is logged (`DEL missing`, `SET … NX` refused).
    None,
    /// The request is deterministic: its own bytes are logged.
    Verbatim,
    /// Something equivalent and deterministic was written by
    /// [`WriteContext::rewrite`](crate::WriteContext::rewrite), which gives this proof.
    Rewritten(Rewritten),
    /// There was nothing to take: the client waits, as [`WriteContext::block`](crate::WriteContext::block) was told.
    Blocked(Blocked),
}

/// Proof that the rewritten form of a command has been written. Only `rewrite` makes one.
#[derive(Debug)]
pub struct Rewritten(pub(crate) ());

/// The effects of one unit (a command, a whole `EXEC`, a script): one batch of the log, replayed
/// whole or not at all.
#[derive(Debug, Default)]
pub struct Effects {
    encoded: Vec<u8>,
    commands: usize,
    /// The db that the first command speaks of, and the one that the encoded bytes stand at.
    dbs: Option<(u32, u32)>,
}

impl Effects {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.encoded.clear();
        self.commands = 0;
        self.dbs = None;
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.commands
    }

    /// Adds a request as it came; by its command's own name, if that has been renamed.
    pub fn push_request(&mut self, registry: &Registry, db: u32, args: &Args<'_>) {
        self.enter(db);
        match (registry.original_name(args.get(0)), args.raw()) {
            (None, Some(raw)) => self.encoded.extend_from_slice(raw),
            (original, _) => {
                let name = original.map_or(args.get(0), str::as_bytes);
                let args: Vec<_> = std::iter::once(name).chain(args.from(1)).collect();
                encode_command(&mut self.encoded, &args);
            }
        }
    }

    /// Adds one command in `db`.
    pub fn push(&mut self, db: u32, args: &[&[u8]]) {
        self.enter(db);
        encode_command(&mut self.encoded, args);
    }

    /// Appends the unit to `log` as one batch.
    pub fn append_to(&mut self, log: &mut dyn EffectLog) {
        let Some((first, last)) = self.dbs else {
            return;
        };
        if self.commands == 1 {
            log.append(first, &[&self.encoded]);
        } else {
            // The log notes one db per batch, so a batch ends where it began.
            if first != last {
                select(&mut self.encoded, first);
            }
            log.append(
                first,
                &[
                    b"*1\r\n$5\r\nMULTI\r\n",
                    &self.encoded,
                    b"*1\r\n$4\r\nEXEC\r\n",
                ],
            );
        }
        self.clear();
    }

    fn enter(&mut self, db: u32) {
        self.commands += 1;
        match &mut self.dbs {
            None => self.dbs = Some((db, db)),
            Some((_, last)) if *last != db => {
                *last = db;
                select(&mut self.encoded, db);
            }
            Some(_) => {}
        }
    }
}

/// In lower case, as the log itself writes it: by an upper-case one recovery knows what another server has appended.
fn select(out: &mut Vec<u8>, db: u32) {
    encode_command(out, &[b"select", db.to_string().as_bytes()]);
}

/// Where effects go while the locks of their keys are held: the append-only file and the replicas.
pub trait EffectLog {
    /// Appends one batch of RESP commands, given in parts, that begins and ends in `db`.
    fn append(&mut self, db: u32, parts: &[&[u8]]);
}

/// Keeps nothing: while a log is replayed, and where persistence is off.
impl EffectLog for () {
    fn append(&mut self, _db: u32, _parts: &[&[u8]]) {}
}
