//! The expiry index of a part: it follows each deadline, and what is due in it is removed.

use std::sync::atomic::Ordering::Relaxed;

use super::Part;
use crate::keyspace::access::Expired;
use crate::keyspace::hash::{KeyHash, UnixMillis};
use crate::keyspace::shard::block_of;
use crate::keyspace::wheel::Wheel;

/// At least so many fields are removed from a hash that is looked at.
const FIELDS_PER_STEP: usize = 8;

/// What a step of the active expiry did to one part.
#[derive(Default)]
pub(in crate::keyspace) struct PartProgress {
    pub(in crate::keyspace) expired: usize,
    pub(in crate::keyspace) expired_fields: usize,
    pub(in crate::keyspace) steps: usize,
    pub(in crate::keyspace) more: bool,
}

impl Part<'_> {
    /// Has the index follow a change of a deadline.
    #[inline]
    pub(super) fn file(&mut self, hash: KeyHash, old: Option<UnixMillis>, new: Option<UnixMillis>) {
        if let Some(new) = new
            && Wheel::must_file(old, new)
        {
            let now = self.now;
            let wheel = self.state.dbs[self.place]
                .wheel
                .get_or_insert_with(|| Box::new(Wheel::new(now)));
            wheel.file(new, hash.0 as u32);
            self.count_index();
        }
    }

    /// Has the index look at a new value's parts.
    #[cold]
    pub(super) fn file_parts(&mut self, hash: KeyHash, next_expire: Option<UnixMillis>) {
        self.file(hash, None, next_expire);
    }

    /// Works off what is due in the expiry index: at most `limit` pieces of work. `on_expired` is told before a key is removed, and of
    /// each field that was.
    pub(in crate::keyspace) fn expire_step(
        &mut self,
        limit: usize,
        on_expired: &mut dyn FnMut(Expired<'_>),
    ) -> PartProgress {
        let now = self.now;
        let mut progress = PartProgress::default();
        if self
            .state
            .dbs
            .get(self.place)
            .is_none_or(|db| db.wheel.is_none())
        {
            return progress;
        }
        self.renew_stale_wheel();
        while progress.steps < limit {
            if self.refile_some() {
                progress.steps += 8;
                continue;
            }
            let Some(wheel) = &mut self.state.dbs[self.place].wheel else {
                break;
            };
            let Some(element) = wheel.pop(now) else { break };
            progress.steps += 1;
            self.look_at(element, limit, &mut progress, on_expired);
        }
        let db = &mut self.state.dbs[self.place];
        progress.more = db.refile_from.is_some()
            || db
                .wheel
                .as_mut()
                .is_some_and(|wheel| wheel.behind_ms(now).is_some());
        self.count_index();
        progress
    }

    /// How long the oldest due piece of work has been due.
    pub(in crate::keyspace) fn behind_ms(&mut self) -> u64 {
        let now = self.now;
        let wheel = self
            .state
            .dbs
            .get_mut(self.place)
            .and_then(|db| db.wheel.as_mut());
        wheel.and_then(|wheel| wheel.behind_ms(now)).unwrap_or(0)
    }

    /// Removes what has expired of the entries that an element of the index stands for, and files the others anew.
    fn look_at(
        &mut self,
        element: u32,
        limit: usize,
        progress: &mut PartProgress,
        on_expired: &mut dyn FnMut(Expired<'_>),
    ) {
        let now = self.now;
        loop {
            let mut next = None::<UnixMillis>;
            let found = self.state.dbs[self.place]
                .table
                .find(u64::from(element), |raw| {
                    // SAFETY: an element of the table, which is not changed meanwhile. That its hash may differ does no harm.
                    match unsafe { block_of(raw) }.due() {
                        Some(at) if at < now => true,
                        Some(at) => {
                            next = Some(next.map_or(at, |other| other.min(at)));
                            false
                        }
                        None => false,
                    }
                });
            let Some(slot) = found else {
                return self.file_element(element, next);
            };
            let block = self.block(slot);
            if block.expire_at().is_some_and(|at| at < now) {
                on_expired(Expired::Key(block.key()));
                self.remove(slot);
                progress.expired += 1;
                continue;
            }
            // The last step may take some fields more than are left of the limit.
            let limit = limit.saturating_sub(progress.steps).max(FIELDS_PER_STEP);
            let (count, removed) = self.expire_parts(slot, limit, on_expired);
            progress.steps += count;
            progress.expired_fields += count;
            if removed {
                continue;
            }
            let due = self.block(slot).due();
            if count > 0 && due.is_some_and(|at| at < now) {
                // There are more than the limit: the element comes out again at once.
                return self.file_element(element, due);
            }
            if count == 0 && due.is_some_and(|at| at < now) {
                debug_assert!(false, "a structure keeps what has expired");
                return self.file_element(element, Some(now));
            }
        }
    }

    fn file_element(&mut self, element: u32, at: Option<UnixMillis>) {
        if let (Some(at), Some(wheel)) = (at, &mut self.state.dbs[self.place].wheel) {
            wheel.file(at, element);
        }
    }

    /// Starts over with a new wheel if the old one is mostly elements that stand for nothing.
    fn renew_stale_wheel(&mut self) {
        let counters = self.shard.counters(self.place);
        let expires = counters.expires.load(Relaxed) + counters.sub_expires.load(Relaxed);
        let db = &mut self.state.dbs[self.place];
        if db.refile_from.is_none()
            && db
                .wheel
                .as_ref()
                .is_some_and(|wheel| wheel.is_stale(expires))
        {
            // Deadlines that pass before the walk has got to their entries are found by it.
            db.wheel = Some(Box::new(Wheel::new(self.now)));
            db.refile_from = Some(0);
        }
    }

    /// Goes on filing the entries of a bucket in a new wheel. Returns whether there was something to do.
    fn refile_some(&mut self) -> bool {
        let (keyspace, db) = (self.keyspace, &mut self.state.dbs[self.place]);
        let (Some(cursor), Some(wheel)) = (db.refile_from, &mut db.wheel) else {
            return false;
        };
        // SAFETY: elements of the table, which is not changed meanwhile.
        let rehash = |raw| unsafe { keyspace.rehash(block_of(raw)) };
        let next = db.table.scan(cursor, &rehash, |raw| {
            // SAFETY: as above.
            if let Some(at) = unsafe { block_of(raw) }.due() {
                wheel.file(at, rehash(raw) as u32);
            }
        });
        db.refile_from = (next != 0).then_some(next);
        true
    }
}
