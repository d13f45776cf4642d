//! An entry that is changed where it lies.

use super::access::Access;
use super::block::{INLINE_SIZE_MAX, NewValue};
use super::db::StringForm;
use super::entry::EntryRef;
use super::hash::{KeyHash, UnixMillis};
use super::part::Part;
use crate::table::Slot;
use crate::value::{StringRef, ValueRef};

/// An entry for changing it; [`entry`](Self::entry) reads it.
pub struct EntryMut<'a> {
    pub(super) access: &'a Access<'a>,
    pub(super) part: Part<'a>,
    pub(super) slot: Slot,
    pub(super) hash: KeyHash,
}

impl EntryMut<'_> {
    /// The entry for reading.
    pub fn entry(&self) -> EntryRef<'_> {
        EntryRef {
            access: self.access,
            block: self.part.block(self.slot),
            db: self.part.db,
        }
    }

    /// Appends to the string. Returns its new length. The caller has checked that it is a string, and the limit of its length.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        self.edit(|string| {
            string.extend_from_slice(bytes);
            string.len()
        })
    }

    /// Overwrites the string from `offset` on, zeros in between where it was shorter. Returns its new length. The caller has
    /// checked that it is a string, and the limit of its length.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let end = offset.saturating_add(bytes.len());
        self.overwrite(end, |string| {
            string[offset..end].copy_from_slice(bytes);
            string.len()
        })
    }

    /// Changes the bytes of the string in place, zeros appended first where it is shorter than `len_min`. The caller has checked that it
    /// is a string, and the limit of its length.
    pub fn overwrite<R>(&mut self, len_min: usize, change: impl FnOnce(&mut [u8]) -> R) -> R {
        if let ValueRef::String(StringRef::Bytes(bytes)) = self.entry().value()
            && bytes.len() >= len_min
        {
            let changed = self.part.modify_bytes(self.slot, change);
            // Only integers are refused.
            return changed.expect("it is kept as bytes");
        }
        self.edit(|string| {
            if string.len() < len_min {
                string.resize(len_min, 0);
            }
            change(string)
        })
    }

    /// Changes the string, its length too; in place if it is long. The caller has checked that it is a string, and keeps to the limit
    /// of its length.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if self.entry().block.is_heap() {
            let changed = self.part.modify_heap(self.slot, change);
            // Only other forms are refused.
            return changed.expect("it is a long string");
        }
        let string = self.entry().as_string();
        debug_assert!(
            string.is_some(),
            "the caller has checked that it is a string"
        );
        let mut string = string.map_or_else(Vec::new, StringRef::to_vec);
        let result = change(&mut string);
        self.rewrite(if string.len() <= INLINE_SIZE_MAX {
            NewValue::Inline {
                bytes: &string,
                raw: true,
            }
        } else {
            NewValue::Heap {
                bytes: string,
                raw: true,
            }
        });
        result
    }

    /// Replaces the value by the text of an integer; the deadline stays.
    pub fn set_integer(&mut self, integer: i64) {
        self.rewrite(NewValue::Int(integer));
    }

    /// Replaces the value by a string kept in a certain form; the deadline stays.
    pub fn set_string_as(&mut self, bytes: &[u8], form: StringForm) {
        self.rewrite(form.of(bytes));
    }

    /// Says when the entry was last accessed, in seconds before now. Nothing under an LFU policy.
    pub fn set_idle_seconds(&mut self, seconds: u64) {
        let (clocks, block) = (self.access.keyspace.clock(), self.part.block(self.slot));
        if !self.part.state.is_lfu(clocks, self.part.db, block.key()) {
            block.set_clock(clocks.idle_for(seconds, self.part.now));
        }
    }

    /// Sets the logarithmic access counter. Nothing unless the policy is LFU.
    pub fn set_frequency(&mut self, counter: u8) {
        let (clocks, block) = (self.access.keyspace.clock(), self.part.block(self.slot));
        if self.part.state.is_lfu(clocks, self.part.db, block.key()) {
            block.set_clock(clocks.with_frequency(counter, self.part.now));
        }
    }

    /// Sets or clears the deadline.
    pub fn set_expire(&mut self, expire_at: Option<UnixMillis>) {
        let raw = self.part.set_expire_at(self.hash, self.slot, expire_at);
        self.slot = self.part.found_at(self.hash, self.slot, raw);
    }

    fn rewrite(&mut self, value: NewValue<'_>) {
        let (clock, expire_at) = (self.entry().block.clock(), self.entry().expire_at());
        let raw = self
            .part
            .rewrite(self.hash, self.slot, clock, expire_at, value);
        self.slot = self.part.found_at(self.hash, self.slot, raw);
    }
}
