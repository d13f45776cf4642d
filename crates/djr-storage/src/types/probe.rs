//! A structure for the keyspace's own tests: bytes, deadlines, and a count of those that live.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::Object;
use crate::keyspace::UnixMillis;
use crate::value::{Encoding, Kind};

thread_local! {
    static LIVING: Cell<usize> = const { Cell::new(0) };
}

/// Bytes, and parts that are nothing but a deadline.
#[derive(Debug)]
pub struct Probe {
    pub(crate) bytes: Vec<u8>,
    pub(crate) deadlines: BTreeSet<UnixMillis>,
}

impl Probe {
    /// How many there are in this thread.
    pub(crate) fn living() -> usize {
        LIVING.get()
    }

    /// Appends something that tells it from others, in place of a value of an RDB file.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        out.push(0xff);
        out.extend_from_slice(&self.bytes);
        self.deadlines
            .iter()
            .for_each(|at| out.extend_from_slice(&at.to_le_bytes()));
    }
}

impl Default for Probe {
    fn default() -> Self {
        LIVING.set(LIVING.get() + 1);
        Self {
            bytes: Vec::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.bytes.clone_from(&self.bytes);
        clone.deadlines.clone_from(&self.deadlines);
        clone
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        LIVING.set(LIVING.get() - 1);
    }
}

impl Object for Probe {
    const KIND: Kind = Kind::Probe;

    fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// In two parts if it is long.
    fn relocate(&mut self, from: u128, _budget: usize) -> u128 {
        super::relocate_vec(&mut self.bytes);
        u128::from(from == 0 && self.bytes.len() > 100)
    }

    fn is_vacant(&self) -> bool {
        self.bytes.is_empty() && self.deadlines.is_empty()
    }

    fn encoding(&self) -> Encoding {
        Encoding::Listpack
    }

    fn next_expire(&self) -> Option<UnixMillis> {
        self.deadlines.first().copied()
    }

    fn expire_parts(
        &mut self,
        now: UnixMillis,
        limit: usize,
        on_expired: &mut dyn FnMut(&[u8]),
    ) -> usize {
        let mut count = 0;
        while count < limit
            && let Some(&at) = self.deadlines.first()
            && at < now
        {
            self.deadlines.pop_first();
            on_expired(at.to_string().as_bytes());
            count += 1;
        }
        count
    }
}
