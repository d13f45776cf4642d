//! What the server tells about the commands that it runs: how long each takes, which were slow or large, and, to those who ask for it, every
//! single one as it runs.

mod command_log;
mod histogram;
mod latency_monitor;
mod monitor;
mod rates;
mod redact;
mod stopwatch;
mod thresholds;

pub(crate) use command_log::{CommandLog, Entry, Kind};
pub(crate) use histogram::{Distribution, Histogram};
pub(crate) use latency_monitor::{Event, LatencyMonitor, Series};
pub(crate) use monitor::{Monitors, forget as forget_monitor};
pub(crate) use rates::{Rates, Totals};
use redact::shown_args;
pub(crate) use stopwatch::{Source, Stopwatch};
pub(crate) use thresholds::Thresholds;

/// What all workers add to, and any may ask.
#[derive(Default)]
pub(crate) struct Introspection {
    /// SLOWLOG and COMMANDLOG.
    pub(crate) command_log: CommandLog,
    /// LATENCY.
    pub(crate) latency: LatencyMonitor,
    /// MONITOR.
    pub(crate) monitors: Monitors,
    /// Of the whole server.
    pub(crate) rates: Rates,
}
