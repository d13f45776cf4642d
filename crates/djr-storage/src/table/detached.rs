//! A table's content, taken out of it at once.

use super::Table;
use super::array::Array;
use super::bucket::Raw;

/// What was in a table before [`Table::detach`]: for whoever goes on with it while the table is filled anew.
pub struct Detached {
    /// Without a view; nothing is put into it any more.
    table: Table,
    /// Buckets of both arrays, one behind the other, that were drained or had been emptied before.
    drained: u32,
}

impl Table {
    /// Takes all elements out of the table, which is empty then, as [`clear`](Table::clear) leaves it. Takes no longer for many.
    pub fn detach(&mut self) -> Detached {
        let mut table = Table::with_phase(self.phase);
        std::mem::swap(&mut table.current, &mut self.current);
        std::mem::swap(&mut table.next, &mut self.next);
        table.frontier = std::mem::take(&mut self.frontier);
        table.consumed = std::mem::take(&mut self.consumed);
        table.len = std::mem::take(&mut self.len);
        self.publish();
        Detached {
            drained: table.consumed,
            table,
        }
    }
}

impl Detached {
    /// As [`Table::scan`].
    pub fn scan(&self, cursor: u64, rehash: &impl Fn(Raw) -> u64, f: impl FnMut(Raw)) -> u64 {
        self.table.scan(cursor, rehash, f)
    }

    /// Hands the elements of about so many buckets to `f`, each element once in all calls. The caller frees their blocks, so nothing but
    /// this may be called from then on. Returns whether there are more.
    pub fn drain_step(&mut self, buckets: u32, mut f: impl FnMut(Raw)) -> bool {
        let Table { current, next, .. } = &self.table;
        let all = current.total() + next.total();
        let end = self.drained.saturating_add(buckets).min(all);
        for bucket in self.drained..end {
            match bucket.checked_sub(current.total()) {
                None => current.elements_of(bucket).for_each(&mut f),
                Some(bucket) => next.elements_of(bucket).for_each(&mut f),
            }
        }
        self.drained = end;
        end < all
    }

    /// Bytes that the arrays take.
    pub fn memory_bytes(&self) -> usize {
        self.table.memory_bytes()
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        // A view of the table that they were taken from may still be reading them.
        for array in [&mut self.table.current, &mut self.table.next] {
            let array = std::mem::replace(array, Array::none());
            if array.has_memory() {
                let guard = crossbeam_epoch::pin();
                guard.defer(move || drop(array));
                guard.flush();
            }
        }
    }
}
