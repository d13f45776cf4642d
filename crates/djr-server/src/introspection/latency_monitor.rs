//! LATENCY: what took longer than `latency-monitor-threshold`, by kind of event.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

/// Samples that are kept of each kind.
const SAMPLES_MAX: usize = 160;

/// What may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A command that is short as a rule.
    FastCommand,
    /// Any other.
    Command,
    /// Handing the log to the operating system.
    AofWrite,
    /// A round of the active expiry.
    ExpireCycle,
    /// Making room.
    EvictionCycle,
    /// A slice of the active defragmentation.
    DefragCycle,
}

impl Event {
    /// As Redis calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Event::FastCommand => "fast-command",
            Event::Command => "command",
            Event::AofWrite => "aof-write",
            Event::ExpireCycle => "expire-cycle",
            Event::EvictionCycle => "eviction-cycle",
            Event::DefragCycle => "active-defrag-cycle",
        }
    }
}

/// Samples of an event: when (seconds since 1970) and how long (milliseconds), the oldest first. Of a second the longest.
pub(crate) type History = VecDeque<(i64, u64)>;

/// What is known of an event.
#[derive(Clone, Default)]
pub(crate) struct Series {
    pub(crate) history: History,
    /// The longest ever, in milliseconds.
    pub(crate) max_ms: u64,
    /// Milliseconds in all, and how often.
    pub(crate) sum_ms: u64,
    pub(crate) count: u64,
}

impl Series {
    fn add(&mut self, at: i64, millis: u64) {
        self.max_ms = self.max_ms.max(millis);
        self.sum_ms += millis;
        self.count += 1;
        match self.history.back_mut() {
            Some((second, longest)) if *second == at => *longest = (*longest).max(millis),
            _ => {
                if self.history.len() == SAMPLES_MAX {
                    self.history.pop_front();
                }
                self.history.push_back((at, millis));
            }
        }
    }

    /// The latest sample.
    pub(crate) fn latest(&self) -> (i64, u64) {
        self.history.back().copied().unwrap_or_default()
    }

    /// The shortest sample that is kept.
    pub(crate) fn min_ms(&self) -> u64 {
        self.history.iter().map(|(_, ms)| *ms).min().unwrap_or(0)
    }
}

/// All events.
#[derive(Default)]
pub(crate) struct LatencyMonitor(Mutex<BTreeMap<Event, Series>>);

impl LatencyMonitor {
    /// Notes that an event took so long. `at` is in seconds since 1970.
    #[cold]
    pub(crate) fn add(&self, event: Event, at: i64, nanos: u64) {
        let millis = nanos / 1_000_000;
        self.0.lock().entry(event).or_default().add(at, millis);
    }

    /// All events that there were.
    pub(crate) fn all(&self) -> Vec<(Event, Series)> {
        let events = self.0.lock();
        events
            .iter()
            .map(|(event, it)| (*event, it.clone()))
            .collect()
    }

    /// An event by its name, if there was one.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Series> {
        let events = self.0.lock();
        let found = events
            .iter()
            .find(|(event, _)| event.name().as_bytes() == name);
        found.map(|(_, series)| series.clone())
    }

    /// Forgets the events of these names, or all if there is no name. Returns how many there were.
    pub(crate) fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.0.lock();
        let before = events.len();
        events.retain(|event, _| !names.is_empty() && !names.contains(&event.name().as_bytes()));
        before - events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_second_the_longest_is_kept() {
        let monitor = LatencyMonitor::default();
        for (at, millis) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            monitor.add(Event::Command, at, millis * 1_000_000);
        }
        let series = monitor.get(b"command").expect("there was one");
        assert_eq!(series.history, [(1, 9), (2, 3)]);
        assert_eq!(
            (series.latest(), series.max_ms, series.min_ms()),
            ((2, 3), 9, 3)
        );
        assert_eq!((series.sum_ms, series.count), (24, 4));
    }

    #[test]
    fn a_reset_is_of_those_that_are_named() {
        let monitor = LatencyMonitor::default();
        monitor.add(Event::Command, 1, 1);
        monitor.add(Event::ExpireCycle, 1, 1);
        assert_eq!(monitor.reset(&[b"command", b"nothing"]), 1);
        assert_eq!(monitor.reset(&[]), 1);
        assert!(monitor.all().is_empty());
    }

    #[test]
    fn so_many_samples_are_kept() {
        let monitor = LatencyMonitor::default();
        (0..1000).for_each(|at| monitor.add(Event::Command, at, 1_000_000));
        let series = monitor.get(b"command").expect("there was one");
        assert_eq!(series.history.len(), SAMPLES_MAX);
        assert_eq!(series.history.front(), Some(&(840, 1)));
    }
}
