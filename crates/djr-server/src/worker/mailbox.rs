//! What other threads send to a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;
use parking_lot::Mutex;

use super::driver::Accepted;
use super::waits::Ended;

/// A message to a worker.
pub(crate) enum Mail {
    /// A new connection for it to serve.
    Connection(Accepted),
    /// Close the client with this id, if it is still there.
    Kill(u64),
    /// Answer the client whose wait has ended.
    Ended(Box<Ended>),
}

/// A worker's queue of messages.
pub(crate) struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    /// There is something: read without the lock.
    full: AtomicBool,
    waker: Arc<Waker>,
}

impl Mailbox {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self {
            mails: Mutex::default(),
            full: AtomicBool::new(false),
            waker,
        }
    }

    /// Sends, and wakes the worker.
    pub(crate) fn send(&self, mail: Mail) {
        self.mails.lock().push(mail);
        self.full.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the worker's waiting.
    pub(crate) fn wake(&self) {
        // Fails only where the worker has ended.
        let _ = self.waker.wake();
    }

    /// Takes everything.
    pub(crate) fn take(&self) -> Vec<Mail> {
        if !self.full.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.mails.lock())
    }
}
