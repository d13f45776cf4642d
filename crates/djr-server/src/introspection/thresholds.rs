//! From when on a command is worth a note: a worker's copy of the settings, taken once per turn.

use crate::config::{Config, Number};

const SLOWER_THAN: Number = Number::of("slowlog-log-slower-than");
const REQUEST_LARGER_THAN: Number = Number::of("commandlog-request-larger-than");
const REPLY_LARGER_THAN: Number = Number::of("commandlog-reply-larger-than");
const LATENCY_MONITOR_THRESHOLD: Number = Number::of("latency-monitor-threshold");
const LATENCY_TRACKING: Number = Number::of("latency-tracking");

/// What takes longer than this is looked at command by command. A run of short commands, all that one read can bring, takes less.
const RUN_NANOS_MAX: u64 = 1_000_000;
/// The same for the bytes of requests that are executed together.
pub(crate) const RUN_REQUEST_MAX: usize = 128 << 10;
/// The same for their replies.
pub(crate) const RUN_REPLY_MAX: usize = 64 << 10;
/// So long each command is timed by itself after a run of them that took longer than all of them should.
const SUSPICION_MS: i64 = 1000;

/// The settings, in the units of what they are compared with. What is switched off is never reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    /// SLOWLOG: nanoseconds.
    pub(crate) slow_nanos: u64,
    /// LATENCY: nanoseconds.
    pub(crate) event_nanos: u64,
    /// The lesser of both.
    pub(crate) look_nanos: u64,
    /// COMMANDLOG: bytes.
    pub(crate) request_len: usize,
    pub(crate) reply_len: usize,
    /// Whether durations are counted.
    pub(crate) is_tracking: bool,
    /// Whether each command is timed by itself.
    pub(crate) is_exact: bool,
    /// Until when it is so whatever the settings say: milliseconds since 1970.
    exact_until_ms: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            slow_nanos: u64::MAX,
            event_nanos: u64::MAX,
            look_nanos: u64::MAX,
            request_len: usize::MAX,
            reply_len: usize::MAX,
            is_tracking: false,
            is_exact: false,
            exact_until_ms: 0,
        }
    }
}

impl Thresholds {
    /// Takes the settings over.
    #[inline]
    pub(crate) fn refresh(&mut self, config: &Config, now_ms: i64) {
        let slow = config.number(SLOWER_THAN);
        self.slow_nanos = match u64::try_from(slow) {
            Ok(micros) => micros.saturating_mul(1000),
            Err(_) => u64::MAX,
        };
        self.event_nanos = match config.number(LATENCY_MONITOR_THRESHOLD) {
            0 => u64::MAX,
            millis => (millis as u64).saturating_mul(1_000_000),
        };
        self.look_nanos = self.slow_nanos.min(self.event_nanos);
        let bytes = |number| usize::try_from(config.number(number)).unwrap_or(usize::MAX);
        self.request_len = bytes(REQUEST_LARGER_THAN);
        self.reply_len = bytes(REPLY_LARGER_THAN);
        self.is_tracking = config.number(LATENCY_TRACKING) != 0;
        self.is_exact = self.look_nanos < RUN_NANOS_MAX
            || self.request_len < RUN_REQUEST_MAX
            || self.reply_len < RUN_REPLY_MAX
            || now_ms < self.exact_until_ms;
    }

    /// Something was slow, and it can't be said what: the next time it can.
    pub(crate) fn suspect(&mut self, now_ms: i64) {
        self.exact_until_ms = now_ms + SUSPICION_MS;
        self.is_exact = true;
    }
}
