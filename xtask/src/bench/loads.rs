//! The table of loads, and what DJR is to reach in each.
//!
//! A new load is one entry of a table: [`strings`] for the plain commands, [`types`] for those of the other types, scripts, messages and
//! queues. A data set brings the commands that fill it.

use super::reply::Expected;
use super::request::Command;
use super::server::Durability;

/// A server in a certain state, and the loads that are run against it there.
pub(crate) struct DataSet {
    pub(crate) title: &'static str,
    pub(crate) keys: u64,
    /// Run once for every key.
    pub(crate) fill: &'static [Command],
    /// What is filled in are elements of one key, not keys.
    pub(crate) one_key: bool,
    pub(crate) durability: Durability,
    /// Start and fill the servers afresh in every round, so that the luck of one process's memory
    /// layout does not count for all rounds. Not for what takes long to fill.
    pub(crate) fresh_each_round: bool,
    pub(crate) measures: &'static [Measure],
}

/// One line of the table, per server.
pub(crate) struct Measure {
    /// What `--only` looks at.
    pub(crate) name: &'static str,
    pub(crate) what: What,
    pub(crate) goal: Option<Goal>,
}

/// Commands that a client sends at once.
pub(crate) type Step = &'static [Command];

pub(crate) enum What {
    /// Requests for random keys, as fast as the server takes them.
    Requests {
        steps: &'static [Step],
        reply: Expected,
        pipeline: usize,
        subscribers: usize,
    },
    /// Resident memory for each key that was filled in.
    MemoryPerKey,
}

/// What DJR is to reach: its figure divided by Valkey's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    CpuAtMost(f64),
    ThroughputAtLeast(f64),
    MemoryAtMost(f64),
}

mod strings;
mod types;

/// All there is, in the order in which it is run.
pub(crate) fn data_sets() -> impl Iterator<Item = &'static DataSet> {
    strings::DATA_SETS.iter().chain(types::DATA_SETS)
}

/// The loads of the types, whose geometric mean has a goal too.
pub(crate) fn of_types() -> impl Iterator<Item = &'static Measure> {
    let of_one_step =
        |measure: &&Measure| matches!(measure.what, What::Requests { steps: [_], .. });
    let measures = types::DATA_SETS.iter().flat_map(|set| set.measures);
    measures.filter(of_one_step)
}

/// Of the ratios of [`of_types`].
pub(crate) const GEOMETRIC_MEAN_GOAL: Goal = Goal::CpuAtMost(0.5);

const fn memory(name: &'static str, goal: f64) -> Measure {
    Measure {
        name,
        what: What::MemoryPerKey,
        goal: Some(Goal::MemoryAtMost(goal)),
    }
}

impl Goal {
    /// Whether a ratio reaches it.
    pub(crate) fn reached(self, ratio: f64) -> bool {
        match self {
            Goal::CpuAtMost(most) | Goal::MemoryAtMost(most) => ratio <= most,
            Goal::ThroughputAtLeast(least) => ratio >= least,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::CpuAtMost(most) | Goal::MemoryAtMost(most) => write!(f, "≤ {most:.2}"),
            Goal::ThroughputAtLeast(least) => write!(f, "≥ {least:.1}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = data_sets()
            .flat_map(|set| set.measures)
            .map(|m| m.name)
            .collect::<Vec<_>>();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_goal_is_reached_at_its_limit() {
        assert!(Goal::CpuAtMost(0.5).reached(0.5));
        assert!(!Goal::MemoryAtMost(0.5).reached(0.51));
        assert!(Goal::ThroughputAtLeast(1.8).reached(1.8));
        assert!(!Goal::ThroughputAtLeast(1.8).reached(1.7));
    }
}
