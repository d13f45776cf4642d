//! Requests ahead of the one that runs: their keys are hashed, and what they will touch is on the way to the cache.

use djr_engine::{Args, Engine, Prepared};
use djr_protocol::Batch;
use djr_storage::keyspace::{Home, Turn};

use super::dispatch::Requests;

/// How far ahead of the running request others are prepared: their keys hashed, their buckets on the way to the cache.
const BUCKETS_AHEAD: usize = 16;
/// How far ahead the entries are on the way, which needs their buckets.
const ENTRIES_AHEAD: usize = 8;
/// The same for entries that are not in the bucket where they would be first.
const STRAYS_AHEAD: usize = 4;
/// The same for what hangs from an entry: a list, a hash, …
const STRUCTURES_AHEAD: usize = 2;
/// The same for what is looked up in it, if it is large.
const MEMBERS_AHEAD: usize = 1;

/// What is known of the requests just ahead of the one that runs. Preparing them goes on between the commands, so that the
/// memory works while the commands do.
pub(crate) struct Ahead<'t> {
    /// By the request's index in the batch, modulo its size.
    ring: [(Prepared, Option<Home<'t>>); BUCKETS_AHEAD],
    /// The hash of the member that the next request looks for in a dictionary.
    member: Option<u64>,
    turn: &'t Turn,
    db: u32,
}

impl<'t> Ahead<'t> {
    /// Prepares the first requests of a batch in a session of `db`, and has the buckets of their keys loaded.
    pub(crate) fn new(
        requests: &Requests,
        input: &[u8],
        engine: &Engine,
        turn: &'t Turn,
        db: u32,
    ) -> Self {
        let mut ahead = Self {
            ring: [(Prepared::default(), None); BUCKETS_AHEAD],
            member: None,
            turn,
            db,
        };
        for index in 0..requests.batch.len().min(BUCKETS_AHEAD) {
            ahead.prepare(index, &requests.batch, input, engine);
        }
        ahead
    }

    /// Has the entries of the first requests loaded. Some time after [`new`](Self::new), and before they run.
    pub(crate) fn prefetch_entries(&mut self) {
        (0..ENTRIES_AHEAD).for_each(|index| self.prefetch_entry(index));
        (0..STRAYS_AHEAD).for_each(|index| self.prefetch_entry(index));
    }

    /// Has what hangs from the entries of the first requests loaded. Some time after [`prefetch_entries`](Self::prefetch_entries).
    pub(super) fn prefetch_structures(&mut self, batch: &Batch, input: &[u8], engine: &Engine) {
        for index in 0..STRUCTURES_AHEAD.min(batch.len()) {
            self.prefetch_structure(index, batch, input, engine);
        }
    }

    /// What is known of request `index`, which runs now; goes on with those behind it.
    #[inline(always)]
    pub(crate) fn advance(
        &mut self,
        index: usize,
        batch: &Batch,
        input: &[u8],
        engine: &Engine,
    ) -> Prepared {
        let (prepared, _) = self.ring[index % BUCKETS_AHEAD];
        self.prefetch_entry(index + STRAYS_AHEAD);
        self.prefetch_entry(index + ENTRIES_AHEAD);
        self.prefetch_structure(index + STRUCTURES_AHEAD, batch, input, engine);
        self.prepare(index + BUCKETS_AHEAD, batch, input, engine);
        prepared
    }

    /// Prepares a request, if there is one of this number, and has the bucket of its key loaded.
    #[inline(always)]
    fn prepare(&mut self, index: usize, batch: &Batch, input: &[u8], engine: &Engine) {
        let element = &mut self.ring[index % BUCKETS_AHEAD];
        if index >= batch.len() {
            *element = (Prepared::default(), None);
            return;
        }
        let prepared = engine.prepare(&Args::new(batch.request(index, input)));
        let home = prepared
            .key()
            .and_then(|hash| engine.keyspace.prefetch(self.turn, self.db, hash));
        *element = (prepared, home);
    }

    #[inline(always)]
    fn prefetch_structure(&mut self, index: usize, batch: &Batch, input: &[u8], engine: &Engine) {
        if let Some(hash) = self.member.take()
            && let Some(before) = index.checked_sub(STRUCTURES_AHEAD - MEMBERS_AHEAD)
            && let Some(key) = self.ring[before % BUCKETS_AHEAD].0.key()
        {
            engine.keyspace.prefetch_member(self.db, key, hash);
        }
        let (prepared, _) = &self.ring[index % BUCKETS_AHEAD];
        if let Some(wanted) = prepared.wanted_structure() {
            let member = wanted
                .member_at
                .and_then(|at| batch.request(index, input).get(at));
            self.member = engine
                .keyspace
                .prefetch_structure(self.db, wanted.key, member);
        }
    }

    #[inline(always)]
    fn prefetch_entry(&mut self, index: usize) {
        let (_, home) = &mut self.ring[index % BUCKETS_AHEAD];
        if let Some(bucket) = *home {
            *home = bucket.prefetch_entry();
        }
    }
}
