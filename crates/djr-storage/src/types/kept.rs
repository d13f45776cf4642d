//! Large structures that are read out in short steps, as they were at a moment, while they change: what a snapshot does with values that
//! take too long to be copied at once.
//!
//! [`Object::keep`](super::Object::keep) is the moment: it takes no longer for many elements. From then on the structure puts aside what
//! is changed or removed before it was read, in the pieces that it is made of (a member, a chunk of a list, a block of a stream), and
//! passes by what is added. [`Kept::walk`] reads some more in the form of RDB files.
//!
//! Whatever becomes of the value meanwhile: if it is dropped (`DEL`, expired, evicted, overwritten, its db flushed, made anew in another
//! encoding), what is left to be read goes to the [`Ticket`], and is read there. A clone keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// See [`keep_above`].
static KEEP_ABOVE: AtomicUsize = AtomicUsize::new(64 << 10);

/// Structures that take more bytes than this are kept and read in steps; smaller ones are copied at once, which takes some ten microseconds.
pub(crate) fn keep_above() -> usize {
    KEEP_ABOVE.load(Ordering::Relaxed)
}

/// Has smaller structures kept, too: so tests need no large ones.
#[doc(hidden)]
pub fn set_keep_above(bytes: usize) {
    KEEP_ABOVE.store(bytes, Ordering::Relaxed);
}

/// What reading an element costs beside its bytes, where copying a byte costs 1: it is somewhere in memory.
pub(crate) const ELEMENT_COST: usize = 64;

/// A structure that is kept, or what is left of one.
pub trait Kept: Send {
    /// Appends some more of what there was at the moment, of about this cost. Returns whether there is more; else nothing is kept any more.
    fn walk(&mut self, budget: usize, out: &mut Vec<u8>) -> bool;

    /// Whether the next step's bytes are elements in whose strings something may be gained by compression.
    fn is_at_elements(&self) -> bool {
        true
    }

    /// Whom it is kept for. What is left of a structure that was dropped has none: nobody else needs to find it.
    fn ticket(&self) -> Option<&Arc<Ticket>>;

    /// Keeps nothing any more.
    fn end_keep(&mut self);
}

/// The connection between a structure that is kept and who reads it.
#[derive(Default)]
pub struct Ticket {
    remains: Mutex<Option<Box<dyn Kept>>>,
    has_remains: AtomicBool,
    is_cancelled: AtomicBool,
    /// Where the value is: for the keyspace.
    shard: AtomicU32,
}

impl Ticket {
    /// For a value in this shard.
    pub(crate) fn new(shard: u32) -> Arc<Self> {
        let ticket = Self::default();
        ticket.set_shard(shard);
        Arc::new(ticket)
    }

    /// The number that was [set](Self::set_shard) last.
    pub(crate) fn shard(&self) -> u32 {
        self.shard.load(Ordering::Acquire)
    }

    /// Notes where the value is.
    pub(crate) fn set_shard(&self, shard: u32) {
        self.shard.store(shard, Ordering::Release);
    }

    /// Nobody reads it any more.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        // Out of the lock: it may take long to free.
        let remains = self.remains.lock().take();
        drop(remains);
    }

    /// Takes what is left of a structure that is dropped.
    fn hand_over(&self, remains: Box<dyn Kept>) {
        let mut slot = self.remains.lock();
        if !self.is_cancelled.load(Ordering::Acquire) {
            *slot = Some(remains);
            self.has_remains.store(true, Ordering::Release);
        }
    }

    /// Whether the structure was dropped.
    pub(crate) fn has_remains(&self) -> bool {
        self.has_remains.load(Ordering::Acquire)
    }

    /// What is left of the structure, if it was dropped.
    pub(crate) fn take_remains(&self) -> Option<Box<dyn Kept>> {
        if !self.has_remains() {
            return None;
        }
        self.remains.lock().take()
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("shard", &self.shard())
            .field("has_remains", &self.has_remains())
            .finish_non_exhaustive()
    }
}

/// Before a structure is dropped: what was taken out of it, whole, goes to whom it is kept for. It has no ticket any more: else it would be
/// handed over again, and for ever, if nobody wants it.
#[cold]
pub(super) fn hand_over<T: Kept + 'static>(ticket: &Ticket, remains: T) {
    debug_assert!(remains.ticket().is_none(), "handed over twice");
    ticket.hand_over(Box::new(remains));
}

/// What a structure keeps. Belongs to it alone: a clone has none.
#[derive(Debug)]
pub(super) struct Slot<K>(Option<Box<K>>);

impl<K> Slot<K> {
    pub(super) const EMPTY: Self = Self(None);

    pub(super) fn set(&mut self, keep: K) {
        self.0 = Some(Box::new(keep));
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&K> {
        self.0.as_deref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut K> {
        self.0.as_deref_mut()
    }

    #[inline]
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

impl<K> Default for Slot<K> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<K> Clone for Slot<K> {
    fn clone(&self) -> Self {
        Self::EMPTY
    }
}
