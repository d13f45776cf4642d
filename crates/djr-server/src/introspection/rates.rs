//! Operations and bytes per second, for INFO.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// Samples that are kept: as many as Redis has.
const SAMPLES_MAX: usize = 16;

/// What is counted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) commands: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// What was counted of late.
#[derive(Default)]
pub(crate) struct Rates(Mutex<VecDeque<(i64, Totals)>>);

impl Rates {
    /// Takes a sample. `now_ms` is the time of day in milliseconds.
    pub(crate) fn sample(&self, now_ms: i64, totals: Totals) {
        let mut samples = self.0.lock();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back((now_ms, totals));
    }

    /// What there was per second of the samples' time.
    pub(crate) fn per_second(&self) -> Totals {
        let samples = self.0.lock();
        let (Some((from, first)), Some((to, last))) = (samples.front(), samples.back()) else {
            return Totals::default();
        };
        let Some(ms) = u64::try_from(to - from).ok().filter(|ms| *ms > 0) else {
            return Totals::default();
        };
        // CONFIG RESETSTAT sets the totals back.
        let rate = |first: u64, last: u64| last.saturating_sub(first).saturating_mul(1000) / ms;
        Totals {
            commands: rate(first.commands, last.commands),
            bytes_in: rate(first.bytes_in, last.bytes_in),
            bytes_out: rate(first.bytes_out, last.bytes_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_latest_samples() {
        let rates = Rates::default();
        assert_eq!(rates.per_second(), Totals::default());
        for step in 0..100 {
            let totals = Totals {
                commands: step * step,
                bytes_in: 10 * step,
                bytes_out: 0,
            };
            rates.sample(100 * step as i64, totals);
        }
        let found = rates.per_second();
        // From 84² to 99² in a second and a half.
        assert_eq!(found.commands, (99 * 99 - 84 * 84) * 1000 / 1500);
        assert_eq!((found.bytes_in, found.bytes_out), (100, 0));
    }
}
