//! What other threads send to a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;
use parking_lot::Mutex;

use super::backup::Backup;
use super::driver::Accepted;
use super::waits::Ended;
use crate::commands::Migration;
use crate::pubsub::Message;

/// A message to a worker.
pub(crate) enum Mail {
    /// A new connection for it to serve.
    Connection(Accepted),
    /// Close the client with this id, if it is still there.
    Kill(u64),
    /// Rules of users have changed: look whether all subscribers may still be it.
    UsersChanged,
    /// Answer the client whose wait has ended.
    Ended(Box<Ended>),
    /// A backup is ready to be sent.
    Backup(Box<Backup>),
    /// Another server has answered a MIGRATE.
    Migrated(Box<Migration>),
    /// Clients take more than `maxmemory-clients`, and the largest is one of its own.
    EvictClients,
}

/// A worker's queue of messages.
pub(crate) struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    /// There is something: read without the lock.
    full: AtomicBool,
    /// What others have published, in the order of each of them.
    messages: Mutex<Vec<Message>>,
    has_messages: AtomicBool,
    waker: Arc<Waker>,
}

impl Mailbox {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self {
            mails: Mutex::default(),
            full: AtomicBool::new(false),
            messages: Mutex::default(),
            has_messages: AtomicBool::new(false),
            waker,
        }
    }

    /// Sends, and wakes the worker.
    pub(crate) fn send(&self, mail: Mail) {
        self.mails.lock().push(mail);
        self.full.store(true, Ordering::Release);
        self.wake();
    }

    /// Sends all of these messages at once, and wakes the worker.
    pub(crate) fn send_messages(&self, messages: &mut Vec<Message>) {
        self.messages.lock().append(messages);
        if !self.has_messages.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Takes the messages.
    #[inline]
    pub(crate) fn take_messages(&self) -> Vec<Message> {
        if !self.has_messages.load(Ordering::Acquire) {
            return Vec::new();
        }
        // In this order: what is added in between is taken now, or announced anew.
        self.has_messages.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.messages.lock())
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
