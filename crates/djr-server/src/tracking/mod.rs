//! Client-side caching: telling clients that what they have read has changed (`CLIENT TRACKING`).
//!
//! ```text
//! read:   engine notes (under the shard's lock) that the client has read the key
//! change: keyspace, in the one place that every change passes ─► engine, at the command's end ─► Core::invalidate
//!             ├─► readers of the key: a message each, at once                ─► their connection, or the one they redirect to
//!             └─► clients that want all changes (BCAST): collected ─► end of turn: one message per prefix
//! ```
//!
//! - [`Tracker`]: what one client has asked for. It does not change: another `CLIENT TRACKING ON` makes a new one.
//! - [`Trackers`]: those of all clients, shared by the workers.
//! - [`Invalidated`]: what a client is told; its form depends on the connection that it is written to.
//!
//! **Invariant:** no lock is taken under those of [`Trackers`]; they are taken under shard locks.

mod delivery;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use djr_engine::Reply;
use djr_protocol::RespVersion;
use parking_lot::RwLock;

pub(crate) use delivery::Broadcast;

/// The channel on which a RESP2 connection gets the invalidations that are redirected to it.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What a client has asked for.
pub(crate) struct Tracker {
    /// The client's number, its worker, and its place there.
    pub(crate) client: u64,
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    /// The client that is told instead; 0: itself.
    pub(crate) redirect: u64,
    pub(crate) mode: Mode,
    pub(crate) noloop: bool,
    /// The client that should have been told is gone.
    pub(crate) is_broken: AtomicBool,
}

/// Which changes a client is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Those of keys that it has read.
    Default,
    /// Those of keys that it has read right behind `CLIENT CACHING YES`.
    OptIn,
    /// Those of keys that it has read, except right behind `CLIENT CACHING NO`.
    OptOut,
    /// Those of all keys with these prefixes.
    Broadcast(Vec<Bytes>),
}

impl Tracker {
    /// The prefixes whose keys it wants to know all changes of; `None` if only of those that it has read.
    /// Bytes of memory that it takes, with what is known of its prefixes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const PREFIX_BYTES: usize = 2 * size_of::<Bytes>() + 64;
        let prefixes = self.prefixes().unwrap_or_default().iter();
        size_of::<Self>()
            + prefixes
                .map(|prefix| PREFIX_BYTES + prefix.len())
                .sum::<usize>()
    }

    pub(crate) fn prefixes(&self) -> Option<&[Bytes]> {
        match &self.mode {
            Mode::Broadcast(prefixes) => Some(prefixes),
            _ => None,
        }
    }
}

/// A session's part in tracking.
pub(crate) struct Tracked {
    pub(crate) tracker: Arc<Tracker>,
    /// `CLIENT CACHING` has been called for the next command.
    pub(crate) caching: bool,
}

impl Tracked {
    /// The client as a reader of what it reads now, unless that is not to be remembered.
    pub(crate) fn reader(&self) -> Option<u64> {
        let remembers = match self.tracker.mode {
            Mode::Default => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
            Mode::Broadcast(_) => false,
        };
        remembers.then_some(self.tracker.client)
    }
}

/// All clients that track keys.
#[derive(Default)]
pub(crate) struct Trackers(RwLock<All>);

#[derive(Default)]
struct All {
    by_client: HashMap<u64, Arc<Tracker>>,
    by_prefix: BTreeMap<Bytes, Vec<Arc<Tracker>>>,
}

impl Trackers {
    /// Adds a tracker, in place of the client's former one. `switch` is told whether there are any, and whether any wants all
    /// changes: before a change of this is let in.
    pub(crate) fn set(&self, tracker: Arc<Tracker>, switch: impl FnOnce(bool, bool)) {
        let mut all = self.0.write();
        all.remove(tracker.client);
        for prefix in tracker.prefixes().into_iter().flatten() {
            let trackers = all.by_prefix.entry(prefix.clone()).or_default();
            trackers.push(tracker.clone());
        }
        all.by_client.insert(tracker.client, tracker);
        switch(true, !all.by_prefix.is_empty());
    }

    /// Removes a client's tracker.
    pub(crate) fn remove(&self, client: u64, switch: impl FnOnce(bool, bool)) {
        let mut all = self.0.write();
        all.remove(client);
        switch(!all.by_client.is_empty(), !all.by_prefix.is_empty());
    }

    pub(crate) fn get(&self, client: u64) -> Option<Arc<Tracker>> {
        self.0.read().by_client.get(&client).cloned()
    }

    /// How many clients track keys.
    pub(crate) fn len(&self) -> usize {
        self.0.read().by_client.len()
    }

    /// How many prefixes there are of which clients want to know all changes.
    pub(crate) fn prefixes(&self) -> usize {
        self.0.read().by_prefix.len()
    }

    fn all(&self) -> Vec<Arc<Tracker>> {
        self.0.read().by_client.values().cloned().collect()
    }

    /// Calls `body` with each prefix and who wants to know of its keys.
    fn each_prefix(&self, mut body: impl FnMut(&Bytes, &[Arc<Tracker>])) {
        for (prefix, trackers) in &self.0.read().by_prefix {
            body(prefix, trackers);
        }
    }
}

impl All {
    fn remove(&mut self, client: u64) {
        let Some(tracker) = self.by_client.remove(&client) else {
            return;
        };
        for prefix in tracker.prefixes().into_iter().flatten() {
            if let Some(trackers) = self.by_prefix.get_mut(prefix) {
                trackers.retain(|other| other.client != client);
                if trackers.is_empty() {
                    self.by_prefix.remove(prefix);
                }
            }
        }
    }
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(crate) enum Invalidated {
    /// These keys have changed (a RESP array), or all (a null). `redirected`: the client has not asked for it itself.
    Keys { keys: Bytes, redirected: bool },
    /// The client that should have been told is gone.
    RedirectBroken(u64),
}

impl Invalidated {
    /// Appends it to the output of a connection. One that speaks RESP2 can be told only what was redirected to it, while it
    /// waits for messages.
    pub(crate) fn append(&self, out: &mut Vec<u8>, version: RespVersion, is_subscriber: bool) {
        let mut reply = Reply::new(out, version);
        match (self, version) {
            (Self::Keys { keys, .. }, RespVersion::V3) => {
                reply.push(2);
                reply.bulk(b"invalidate");
                out.extend_from_slice(keys);
            }
            (
                Self::Keys {
                    keys,
                    redirected: true,
                },
                RespVersion::V2,
            ) if is_subscriber => {
                reply.push(3);
                reply.bulk(b"message");
                reply.bulk(CHANNEL);
                out.extend_from_slice(keys);
            }
            (Self::RedirectBroken(client), RespVersion::V3) => {
                reply.push(2);
                reply.bulk(b"tracking-redir-broken");
                reply.integer(*client as i64);
            }
            (Self::Keys { .. } | Self::RedirectBroken(_), RespVersion::V2) => {}
        }
    }
}

/// Keys as an array.
fn array<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, RespVersion::V3);
    reply.array(keys.len());
    keys.for_each(|key| reply.bulk(key));
    out.into()
}
