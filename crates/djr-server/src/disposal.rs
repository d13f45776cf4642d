//! The thread that frees large values: see [`djr_storage::keyspace::disposal`].

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;

use djr_storage::keyspace::disposal::dispose_with;

/// So many values may wait. Who removes more frees them himself, so that memory is given back as fast as it is used.
const WAITING_MAX: u64 = 1024;

static WAITING: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// Starts the thread, once in a process. Without it (there may be too many threads) values are freed where they are removed.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("djr-lazyfree".into());
        let started = thread.spawn(move || {
            for value in receiver {
                drop(value);
                WAITING.fetch_sub(1, Relaxed);
                FREED.fetch_add(1, Relaxed);
            }
        });
        if let Err(error) = started {
            tracing::warn!("large values are freed where they are removed: {error}");
            return;
        }
        dispose_with(move |value| {
            if WAITING.load(Relaxed) < WAITING_MAX {
                WAITING.fetch_add(1, Relaxed);
                // The thread does not end.
                let _ = sender.send(value);
            }
        });
    });
}

/// How many values wait to be freed, and how many have been.
pub(crate) fn counts() -> (u64, u64) {
    (WAITING.load(Relaxed), FREED.load(Relaxed))
}
