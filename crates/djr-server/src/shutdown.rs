//! How the server comes to its end: who asks for it, and whether a last snapshot is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::shared::Shared;

/// How the server is asked to end: by the words of `SHUTDOWN`, or of `shutdown-on-sigterm` and `shutdown-on-sigint`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// With a last snapshot, although there are no save points.
    pub(crate) save: bool,
    /// Without one, although there are.
    pub(crate) nosave: bool,
    /// Even if the snapshot can't be written.
    pub(crate) force: bool,
}

impl Wish {
    /// Takes a word. `false`: it is none. NOW, SAFE and FAILOVER are about replicas and clusters: there are none to wait for.
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        match &word.to_ascii_lowercase()[..] {
            b"save" => self.save = true,
            b"nosave" => self.nosave = true,
            b"force" => self.force = true,
            b"now" | b"safe" | b"failover" | b"default" => {}
            _ => return false,
        }
        true
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, `shutdown-on-sigterm`.
    Terminate,
    /// SIGINT, `shutdown-on-sigint`.
    Interrupt,
}

impl Shared {
    /// Has the server end. If that needs a last snapshot it is written first, while there is a way back: `false` means that it could not be, and
    /// that the server goes on. (What changes between here and the end is in another one.)
    pub(crate) fn end(self: &Arc<Self>, wish: Wish) -> bool {
        let mut saves = match wish.nosave {
            true => false,
            false => wish.save || !self.config.save_points().is_empty(),
        };
        if saves && self.snapshots.save_before_the_end(self).is_err() {
            if !wish.force {
                return false;
            }
            saves = false;
        }
        self.shutdown.set_save(saves);
        self.shutdown.request();
        self.wake_workers();
        true
    }

    /// As [`end`](Self::end), as it is configured for this signal. Where the log has everything, only the snapshot at the very end is tried.
    pub(crate) fn end_on(self: &Arc<Self>, signal: StopSignal) -> bool {
        let mut wish = Wish::default();
        for word in self.config.shutdown_on(signal).split(' ') {
            wish.add(word.as_bytes());
        }
        if self.log().is_some() {
            if wish.save || wish.nosave {
                self.shutdown.set_save(wish.save);
            }
            self.shutdown.request();
            self.wake_workers();
            return true;
        }
        self.end(wish)
    }
}

/// How the server comes to its end.
#[derive(Default)]
pub(crate) struct Shutdown {
    requested: AtomicBool,
    /// 0: as configured; 1: with a last snapshot; 2: without.
    save: AtomicU8,
    restart_after: Mutex<Option<Duration>>,
    /// The thread that waits for the end.
    waiter: Mutex<Option<Thread>>,
}

impl Shutdown {
    /// Whether workers should stop.
    #[inline]
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Asks the server to end. Workers finish their turn.
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::Release);
        if let Some(thread) = self.waiter.lock().as_ref() {
            thread.unpark();
        }
    }

    /// Whether a last snapshot is written at the end, if somebody has said so.
    pub(crate) fn save(&self) -> Option<bool> {
        match self.save.load(Ordering::Relaxed) {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        }
    }

    fn set_save(&self, save: bool) {
        self.save.store(if save { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Asks the server to end, and whoever runs it to start it again.
    pub(crate) fn request_restart(&self, delay: Duration) {
        *self.restart_after.lock() = Some(delay);
        self.request();
    }

    /// Whether the server is to be started again, and after what time.
    pub(crate) fn restart_after(&self) -> Option<Duration> {
        *self.restart_after.lock()
    }

    /// Blocks until the end is asked for.
    pub(crate) fn wait(&self) {
        *self.waiter.lock() = Some(std::thread::current());
        while !self.is_requested() {
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }
}
