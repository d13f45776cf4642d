//! The one place that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use djr_storage::keyspace::UnixMillis;

/// The time of day, in milliseconds since 1970. 0 if the clock stands before that.
pub(crate) fn unix_millis() -> UnixMillis {
    since_epoch().as_millis() as UnixMillis
}

/// The time of day, in microseconds since 1970. 0 if the clock stands before that.
pub(crate) fn unix_micros() -> u64 {
    since_epoch().as_micros() as u64
}

fn since_epoch() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A clock that never goes back, for measuring.
#[inline]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
