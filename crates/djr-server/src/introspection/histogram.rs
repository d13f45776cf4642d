//! How durations are distributed, with a precision of two digits, counted by one thread and read by any.

use djr_engine::stats::Counter;

/// Each power of two is divided into 2 to the power of this.
const SUB_BITS: u32 = 7;
const SUB_COUNT: u64 = 1 << SUB_BITS;
/// Longer ones count as this: more than a minute.
const NANOS_MAX: u64 = (1 << 36) - 1;
const BUCKETS: usize = bucket_of(NANOS_MAX) + 1;

/// The bucket of a duration in nanoseconds.
const fn bucket_of(nanos: u64) -> usize {
    let nanos = if nanos > NANOS_MAX { NANOS_MAX } else { nanos };
    // One bucket per nanosecond below 2 * SUB_COUNT, then each power of two in SUB_COUNT buckets.
    let bits = u64::BITS - (nanos | SUB_COUNT).leading_zeros();
    let shift = bits - SUB_BITS - 1;
    ((shift as usize) << SUB_BITS) + (nanos >> shift) as usize
}

/// The longest duration of a bucket.
const fn highest_of(bucket: usize) -> u64 {
    if bucket < 2 * SUB_COUNT as usize {
        return bucket as u64;
    }
    let shift = (bucket >> SUB_BITS) as u32 - 1;
    let start = (SUB_COUNT + (bucket as u64 & (SUB_COUNT - 1))) << shift;
    start + (1 << shift) - 1
}

/// Counts of durations. One thread adds.
pub(crate) struct Histogram {
    counts: Box<[Counter]>,
    /// All durations together, in nanoseconds.
    nanos: Counter,
}

impl Histogram {
    /// Counts `calls`, of which there is at least one, that took so long together.
    #[inline]
    pub(crate) fn add(&self, nanos: u64, calls: u64) {
        let each = nanos.checked_div(calls).unwrap_or(0);
        if let Some(counter) = self.counts.get(bucket_of(each)) {
            counter.add(calls);
        }
        self.nanos.add(nanos);
    }

    /// Forgets everything. Additions under way may survive.
    pub(crate) fn reset(&self) {
        self.counts.iter().for_each(Counter::reset);
        self.nanos.reset();
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| Counter::default()).collect(),
            nanos: Counter::default(),
        }
    }
}

/// The sum of some histograms at a moment.
#[derive(Default)]
pub(crate) struct Distribution {
    counts: Vec<u64>,
    /// Durations in all.
    pub(crate) calls: u64,
    /// All of them together, in nanoseconds.
    pub(crate) nanos: u64,
}

impl Distribution {
    /// Adds what a histogram has counted so far.
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(BUCKETS, 0);
        for (sum, counter) in self.counts.iter_mut().zip(&histogram.counts) {
            let count = counter.get();
            *sum += count;
            self.calls += count;
        }
        self.nanos += histogram.nanos.get();
    }

    /// Nanoseconds that so many percent of the durations do not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let wanted = (percent / 100.0 * self.calls as f64).ceil().max(1.0) as u64;
        let mut sum = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return highest_of(bucket);
            }
        }
        0
    }

    /// How many durations are at most so long, near enough.
    pub(crate) fn up_to(&self, nanos: u64) -> u64 {
        let end = (bucket_of(nanos) + 1).min(self.counts.len());
        self.counts[..end].iter().sum()
    }

    /// The counts of LATENCY HISTOGRAM: microseconds, doubling, and how many durations are at most so long. Steps that add nothing
    /// are left out.
    pub(crate) fn doubling(&self) -> Vec<(u64, u64)> {
        let mut steps = Vec::new();
        let (mut nanos, mut before) = (1024_u64, 0);
        while before < self.calls && nanos <= NANOS_MAX {
            let highest = highest_of(bucket_of(nanos));
            let count = self.up_to(nanos);
            if count > before {
                steps.push((highest / 1000, count));
                before = count;
            }
            nanos *= 2;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(next), bucket, "the first of it");
            assert_eq!(bucket_of(highest_of(bucket)), bucket, "the last of it");
            next = highest_of(bucket) + 1;
        }
        assert_eq!(next, NANOS_MAX + 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_steps_of_latency_histogram_are_those_of_redis() {
        let histogram = Histogram::default();
        for power in 0..20 {
            histogram.add((1000 << power) + 1, 1);
        }
        let mut sum = Distribution::default();
        sum.add(&histogram);
        let micros: Vec<_> = sum.doubling().iter().map(|(micros, _)| *micros).collect();
        assert_eq!(micros[..10], [1, 2, 4, 8, 16, 33, 66, 132, 264, 528]);
        assert_eq!(sum.doubling().last().map(|(_, count)| *count), Some(20));
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_a_hundredth(mut nanos in prop::collection::vec(1_u64..50_000_000_000, 1..200), percent in 0.0..100.0_f64) {
            let histogram = Histogram::default();
            nanos.iter().for_each(|nanos| histogram.add(*nanos, 1));
            let mut sum = Distribution::default();
            sum.add(&histogram);
            nanos.sort_unstable();
            let rank = (percent / 100.0 * nanos.len() as f64).ceil().max(1.0) as usize;
            let exact = nanos[rank - 1];
            let found = sum.percentile(percent);
            prop_assert!(found >= exact && found as f64 <= exact as f64 * 1.01 + 1.0, "{found} for {exact}");
        }
    }
}
