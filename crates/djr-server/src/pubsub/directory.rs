//! Which workers have subscribers for a name: shared by all of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use djr_engine::glob;
use indexmap::IndexMap;
use parking_lot::RwLock;
use smallvec::SmallVec;

use super::Kind;

/// Locks for the names of channels: enough that workers seldom meet.
const STRIPES: usize = 16;

/// The number of subscribers by worker.
type Counts = SmallVec<[u32; 4]>;

/// How many subscribers each worker has for each name.
pub(crate) struct Directory {
    kinds: [Names; 3],
}

struct Names {
    hasher: RandomState,
    stripes: Box<[RwLock<IndexMap<Bytes, Counts>>]>,
    /// Names that somebody has subscribed to.
    len: AtomicUsize,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            kinds: [STRIPES, 1, STRIPES].map(Names::new),
        }
    }

    /// Notes how many subscribers a worker has for a name now.
    pub(super) fn set(&self, kind: Kind, name: &Bytes, worker: usize, count: usize) {
        let names = &self.kinds[kind.index()];
        let mut stripe = names.stripe(name).write();
        if count > 0 && !stripe.contains_key(name) {
            stripe.insert(name.clone(), Counts::new());
            names.len.fetch_add(1, Relaxed);
        }
        let Some(counts) = stripe.get_mut(name) else {
            return;
        };
        if counts.len() <= worker {
            counts.resize(worker + 1, 0);
        }
        counts[worker] = u32::try_from(count).unwrap_or(u32::MAX);
        if counts.iter().all(|count| *count == 0) {
            stripe.swap_remove(name);
            names.len.fetch_sub(1, Relaxed);
        }
    }

    /// How many names of a kind somebody has subscribed to.
    pub(crate) fn len(&self, kind: Kind) -> usize {
        self.kinds[kind.index()].len.load(Relaxed)
    }

    /// How many subscribers a name has.
    pub(crate) fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        let stripe = self.kinds[kind.index()].stripe(name).read();
        stripe.get(name).map_or(0, |counts| sum(counts))
    }

    /// Calls `found` with each worker but `own` that has subscribers for a name, and their number.
    pub(super) fn others(
        &self,
        kind: Kind,
        name: &[u8],
        own: usize,
        mut found: impl FnMut(usize, usize),
    ) {
        let names = &self.kinds[kind.index()];
        if names.len.load(Relaxed) == 0 {
            return;
        }
        let stripe = names.stripe(name).read();
        if let Some(counts) = stripe.get(name) {
            each_other(counts, own, &mut found);
        }
    }

    /// The same with each pattern that matches a channel.
    pub(super) fn others_matching(
        &self,
        channel: &[u8],
        own: usize,
        mut found: impl FnMut(&Bytes, usize, usize),
    ) {
        let names = &self.kinds[Kind::Pattern.index()];
        if names.len.load(Relaxed) == 0 {
            return;
        }
        for stripe in &names.stripes {
            for (pattern, counts) in stripe.read().iter() {
                let mut matches = None;
                each_other(counts, own, |worker, count| {
                    if *matches.get_or_insert_with(|| glob::matches(pattern, channel)) {
                        found(pattern, worker, count);
                    }
                });
            }
        }
    }

    /// The names that match a pattern; all of them without one.
    pub(crate) fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let mut names = Vec::new();
        for stripe in &self.kinds[kind.index()].stripes {
            let stripe = stripe.read();
            let matching = stripe
                .keys()
                .filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)));
            names.extend(matching.cloned());
        }
        names
    }
}

fn sum(counts: &[u32]) -> usize {
    counts.iter().map(|count| *count as usize).sum()
}

fn each_other(counts: &[u32], own: usize, mut found: impl FnMut(usize, usize)) {
    for (worker, count) in counts.iter().enumerate() {
        if worker != own && *count > 0 {
            found(worker, *count as usize);
        }
    }
}

impl Names {
    fn new(stripes: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            stripes: (0..stripes).map(|_| RwLock::default()).collect(),
            len: AtomicUsize::new(0),
        }
    }

    fn stripe(&self, name: &[u8]) -> &RwLock<IndexMap<Bytes, Counts>> {
        let stripes = self.stripes.len();
        let index = match stripes {
            1 => 0,
            _ => self.hasher.hash_one(name) as usize % stripes,
        };
        &self.stripes[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(directory: &Directory, kind: Kind, name: &[u8], own: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        directory.others(kind, name, own, |worker, count| found.push((worker, count)));
        found
    }

    #[test]
    fn names_come_with_their_first_subscriber_and_go_with_their_last() {
        let directory = Directory::new();
        let name = Bytes::from_static(b"news");
        directory.set(Kind::Channel, &name, 2, 1);
        directory.set(Kind::Channel, &name, 0, 3);
        assert_eq!(directory.len(Kind::Channel), 1);
        assert_eq!(directory.len(Kind::Shard), 0);
        assert_eq!(directory.subscribers(Kind::Channel, b"news"), 4);
        assert_eq!(others(&directory, Kind::Channel, b"news", 0), [(2, 1)]);
        assert_eq!(
            others(&directory, Kind::Channel, b"news", 1),
            [(0, 3), (2, 1)]
        );
        assert_eq!(others(&directory, Kind::Shard, b"news", 1), []);
        directory.set(Kind::Channel, &name, 2, 0);
        directory.set(Kind::Channel, &name, 0, 0);
        directory.set(Kind::Channel, &name, 0, 0);
        assert_eq!(directory.len(Kind::Channel), 0);
        assert_eq!(directory.names(Kind::Channel, None).len(), 0);
    }

    #[test]
    fn patterns_are_found_by_what_they_match() {
        let directory = Directory::new();
        for (pattern, worker) in [("n*", 0), ("n*", 1), ("m*", 1), ("*s", 2)] {
            directory.set(
                Kind::Pattern,
                &Bytes::from_static(pattern.as_bytes()),
                worker,
                1,
            );
        }
        let mut found = Vec::new();
        directory.others_matching(b"news", 0, |pattern, worker, count| {
            found.push((pattern.clone(), worker, count));
        });
        found.sort();
        let expected = [("*s", 2, 1), ("n*", 1, 1)];
        assert_eq!(
            found,
            expected.map(|(pattern, worker, count)| (Bytes::from(pattern), worker, count))
        );
    }
}
