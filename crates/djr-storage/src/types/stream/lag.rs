//! How many entries a group has passed, and how many it has before it: Redis's estimates, which know when they do not know.

use super::StreamId;
use super::entries::Entries;
use super::group::Group;

impl Entries {
    /// Whether an entry was deleted one by one at `start` or after it.
    fn has_deleted_from(&self, start: StreamId) -> bool {
        !self.is_empty()
            && !self.max_deleted_id().is_zero()
            && self.first_id() <= self.max_deleted_id()
            && start <= self.max_deleted_id()
    }

    /// How many entries were ever added up to `id`, if that can be told.
    fn added_until(&self, id: StreamId) -> Option<i64> {
        let (added, len) = (self.added() as i64, self.len() as i64);
        if added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id() {
            return Some(added);
        }
        if !id.is_zero() && id < self.max_deleted_id() {
            return None;
        }
        if id >= self.last_id() {
            return (id == self.last_id()).then_some(added);
        }
        let gapless = self.max_deleted_id().is_zero() || self.max_deleted_id() < self.first_id();
        match id.cmp(&self.first_id()) {
            std::cmp::Ordering::Less if gapless => Some(added.wrapping_sub(len)),
            std::cmp::Ordering::Equal if gapless => Some(added.wrapping_sub(len).wrapping_add(1)),
            _ => None,
        }
    }
}

impl Group {
    /// How many entries are still to be delivered, if that can be told.
    pub fn lag(&self, entries: &Entries) -> Option<i64> {
        let added = entries.added() as i64;
        if added == 0 || entries.is_empty() {
            return Some(0);
        }
        if self.last_id < entries.first_id() && entries.max_deleted_id() < entries.first_id() {
            // All that live, and nothing between them is gone.
            return Some(entries.len() as i64);
        }
        let read = match self.entries_read {
            Some(read) if !entries.has_deleted_from(self.last_id) => Some(read),
            _ => entries.added_until(self.last_id),
        };
        read.map(|read| added.wrapping_sub(read))
    }

    /// An entry is delivered: if it is a new one, the group has come as far as that.
    pub fn advance(&mut self, entries: &Entries, id: StreamId) {
        if id <= self.last_id {
            return;
        }
        match self.entries_read {
            Some(read)
                if self.last_id >= entries.first_id()
                    && !entries.has_deleted_from(self.last_id) =>
            {
                self.entries_read = Some(read.wrapping_add(1));
            }
            _ if entries.added() > 0 => self.entries_read = entries.added_until(id),
            _ => {}
        }
        self.last_id = id;
    }
}
