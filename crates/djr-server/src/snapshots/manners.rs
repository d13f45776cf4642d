//! How a thread that writes a snapshot shares the processor with those that serve clients.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::clock;

/// So long it keeps a processor before it lets go of it: a scheduler may look only every few milliseconds whether somebody else waits.
const TURN: Duration = Duration::from_micros(500);
/// What it steps back by. Not all the way: it may be stopped while it has a shard locked, and has to come back soon.
const NICE: i32 = 3;

thread_local! {
    /// When this thread let go last.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets go of the processor if it is time to.
pub(super) fn rest() {
    let now = clock::monotonic();
    match BEGAN.get() {
        Some(began) if now.saturating_duration_since(began) < TURN => return,
        Some(_) => std::thread::yield_now(),
        None => {}
    }
    BEGAN.set(Some(now));
}

/// Others come first from now on, where there are not processors enough.
pub(super) fn step_back() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("setpriority: {error}");
    }
}
