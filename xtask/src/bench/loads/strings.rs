//! GET and SET: one pipeline depth beside the other, with and without a log, few keys and many.

use super::super::reply::Expected;
use super::super::request::{Arg, Command};
use super::super::server::Durability;
use super::{DataSet, Goal, Measure, What, memory};

const KEY: Arg = Arg::Key("key:");
const SET: Command = &[Arg::Text("SET"), KEY, Arg::Value];
const SET_WITH_TTL: Command = &[
    Arg::Text("SET"),
    KEY,
    Arg::Value,
    Arg::Text("EX"),
    Arg::Text("1000000"),
];

const fn get(name: &'static str, pipeline: usize, goal: Goal) -> Measure {
    const GET: Command = &[Arg::Text("GET"), KEY];
    Measure {
        name,
        what: What::Requests {
            steps: &[&[GET]],
            reply: Expected::Value,
            pipeline,
            subscribers: 0,
        },
        goal: Some(goal),
    }
}

const fn set(name: &'static str, pipeline: usize, goal: Goal) -> Measure {
    Measure {
        name,
        what: What::Requests {
            steps: &[&[SET]],
            reply: Expected::Ok,
            pipeline,
            subscribers: 0,
        },
        goal: Some(goal),
    }
}

pub(super) const DATA_SETS: &[DataSet] = &[
    DataSet {
        title: "1 million keys, nothing written to disk",
        keys: 1_000_000,
        fill: &[SET],
        one_key: false,
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
        fill: &[SET],
        one_key: false,
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
        fill: &[SET],
        one_key: false,
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
        fill: &[SET],
        one_key: false,
        durability: Durability::Always,
        fresh_each_round: true,
        measures: &[set("set-p16-always", 16, Goal::ThroughputAtLeast(1.8))],
    },
    DataSet {
        title: "5 million keys, memory",
        keys: 5_000_000,
        fill: &[SET],
        one_key: false,
        durability: Durability::None,
        fresh_each_round: true,
        measures: &[memory("memory-5m", 0.88)],
    },
    DataSet {
        title: "5 million keys with a TTL on each, memory",
        keys: 5_000_000,
        fill: &[SET_WITH_TTL],
        one_key: false,
        durability: Durability::None,
        fresh_each_round: true,
        measures: &[memory("memory-5m-ttl", 0.85)],
    },
];
