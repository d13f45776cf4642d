//! LATENCY DOCTOR: what took long, in words.

use std::fmt::Write;

use crate::commands::Context;
use crate::config::Number;
use crate::introspection::{Event, Series};

const THRESHOLD: Number = Number::of("latency-monitor-threshold");
const SLOWER_THAN: Number = Number::of("slowlog-log-slower-than");

/// A report of all events, and what can be done about them.
pub(super) fn advice(context: &Context<'_>) -> String {
    let shared = &context.core.shared;
    let threshold = shared.config.number(THRESHOLD);
    let events = shared.introspection.latency.all();
    if threshold == 0 && events.is_empty() {
        return "Nothing is known: latencies are not monitored. 'CONFIG SET latency-monitor-threshold <milliseconds>' begins to note \
                what takes at least so long.\n"
            .into();
    }
    if events.is_empty() {
        return format!(
            "Nothing took {threshold} milliseconds or more since latencies are monitored, or since they were last reset.\n"
        );
    }
    let mut text = String::from("Some things took long:\n\n");
    for (number, (event, series)) in events.iter().enumerate() {
        line(&mut text, number + 1, *event, series);
    }
    text.push_str("\nWhat can be done:\n\n");
    for (event, _) in &events {
        for advice in remedies(*event, shared.config.number(SLOWER_THAN)) {
            text.push_str("- ");
            text.push_str(advice);
            text.push('\n');
        }
    }
    text
}

fn line(text: &mut String, number: usize, event: Event, series: &Series) {
    let count = series.history.len().max(1) as f64;
    let average = series.history.iter().map(|(_, ms)| *ms as f64).sum::<f64>() / count;
    let deviations = series
        .history
        .iter()
        .map(|(_, ms)| (*ms as f64 - average).abs());
    let deviation = deviations.sum::<f64>() / count;
    let first = series.history.front().map_or(0, |(at, _)| *at);
    let period = (series.latest().0 - first) as f64 / (count - 1.0).max(1.0);
    let result = writeln!(
        text,
        "{number}. {}: {} times of late (average {average:.0} ms, mean deviation {deviation:.0} ms, every {period:.2} s). The longest \
         ever: {} ms.",
        event.name(),
        series.history.len(),
        series.max_ms
    );
    debug_assert!(result.is_ok(), "writing to a string does not fail");
}

fn remedies(event: Event, slower_than: i64) -> &'static [&'static str] {
    match event {
        Event::Command if slower_than < 0 => &[
            "SLOWLOG is switched off: 'CONFIG SET slowlog-log-slower-than 1000' has it note the commands that are slow.",
        ],
        Event::Command => &[
            "See in SLOWLOG which commands are slow. Those that go over all elements of a large value, or over all keys, have relatives \
             that do it in steps (SCAN, HSCAN, SSCAN, ZSCAN, XRANGE … COUNT).",
        ],
        Event::FastCommand => &[
            "Commands that are always short had to wait: for another one that kept the same keys, or for a processor. See whether \
             the machine is busy with something else, or swaps.",
        ],
        Event::AofWrite => &[
            "The disk takes the log slowly. See whether something else keeps it busy; a faster one helps, as does a directory of its own.",
        ],
        Event::ExpireCycle => {
            &["Very many keys expire at the same time: spread their times to live."]
        }
        Event::EvictionCycle => {
            &["Memory is short, and making room takes time: raise maxmemory, or write less."]
        }
        Event::DefragCycle => &[
            "Moving memory together takes long at a time: lower active-defrag-cycle-us, and see whether the machine is busy with something else.",
        ],
    }
}
