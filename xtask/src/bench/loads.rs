//! The table of loads, and what DJR is to reach in each.
//!
//! A new load is one entry of [`DATA_SETS`]; a load of another type brings a data set with its own
//! `fill` command.

use super::reply::Expected;
use super::request::{Arg, Command};
use super::server::Durability;

/// A server in a certain state, and the loads that are run against it there.
pub(crate) struct DataSet {
    pub(crate) title: &'static str,
    pub(crate) keys: u64,
    /// Run once for every key; answers `+OK`.
    pub(crate) fill: Command,
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

pub(crate) enum What {
    /// Requests for random keys, as fast as the server takes them.
    Requests {
        command: Command,
        reply: Expected,
        pipeline: usize,
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

const SET: Command = &[Arg::Text("SET"), Arg::Key, Arg::Value];
const SET_WITH_TTL: Command = &[
    Arg::Text("SET"),
    Arg::Key,
    Arg::Value,
    Arg::Text("EX"),
    Arg::Text("1000000"),
];

const fn get(name: &'static str, pipeline: usize, goal: Goal) -> Measure {
    const GET: Command = &[Arg::Text("GET"), Arg::Key];
    Measure {
        name,
        what: What::Requests {
            command: GET,
            reply: Expected::Value,
            pipeline,
        },
        goal: Some(goal),
    }
}

const fn set(name: &'static str, pipeline: usize, goal: Goal) -> Measure {
    Measure {
        name,
        what: What::Requests {
            command: SET,
            reply: Expected::Ok,
            pipeline,
        },
        goal: Some(goal),
    }
}

const fn memory(name: &'static str, goal: f64) -> Measure {
    Measure {
        name,
        what: What::MemoryPerKey,
        goal: Some(Goal::MemoryAtMost(goal)),
    }
}

pub(crate) const DATA_SETS: &[DataSet] = &[
    DataSet {
        title: "1 million keys, nothing written to disk",
        keys: 1_000_000,
        fill: SET,
        durability: Durability::None,
        fresh_each_round: true,
        measures: &[
            get("get-p1", 1, Goal::CpuAtMost(0.80)),
            set("set-p1", 1, Goal::CpuAtMost(0.78)),
            get("get-p16", 16, Goal::CpuAtMost(0.50)),
            set("set-p16", 16, Goal::CpuAtMost(0.35)),
            get("get-p100", 100, Goal::CpuAtMost(0.27)),
            set("set-p100", 100, Goal::CpuAtMost(0.20)),
        ],
    },
    DataSet {
        title: "10 million keys, nothing written to disk",
        keys: 10_000_000,
        fill: SET,
        durability: Durability::None,
        fresh_each_round: false,
        measures: &[
            get("get-p16-10m", 16, Goal::CpuAtMost(0.60)),
            set("set-p16-10m", 16, Goal::CpuAtMost(0.40)),
        ],
    },
    DataSet {
        title: "1 million keys, appendonly yes, appendfsync everysec",
        keys: 1_000_000,
        fill: SET,
        durability: Durability::EverySecond,
        fresh_each_round: true,
        measures: &[
            set("set-p16-everysec", 16, Goal::CpuAtMost(0.46)),
            set("set-p100-everysec", 100, Goal::CpuAtMost(0.30)),
        ],
    },
    DataSet {
        title: "1 million keys, appendonly yes, appendfsync always",
        keys: 1_000_000,
        fill: SET,
        durability: Durability::Always,
        fresh_each_round: true,
        measures: &[set("set-p16-always", 16, Goal::ThroughputAtLeast(1.8))],
    },
    DataSet {
        title: "5 million keys, memory",
        keys: 5_000_000,
        fill: SET,
        durability: Durability::None,
        fresh_each_round: true,
        measures: &[memory("memory-5m", 0.88)],
    },
    DataSet {
        title: "5 million keys with a TTL on each, memory",
        keys: 5_000_000,
        fill: SET_WITH_TTL,
        durability: Durability::None,
        fresh_each_round: true,
        measures: &[memory("memory-5m-ttl", 0.85)],
    },
];

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
        let mut names = DATA_SETS
            .iter()
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
