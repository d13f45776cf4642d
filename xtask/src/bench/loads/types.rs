//! Every other type, scripts, messages, and what Celery's broker does.

use super::super::generator::CHANNEL;
use super::super::reply::Expected;
use super::super::request::{Arg, Command};
use super::super::server::Durability;
use super::{DataSet, Goal, Measure, Step, What, memory};

const KEY: Arg = Arg::Key("key:");
const ONE: Arg = Arg::Text("one");

const fn text(text: &'static str) -> Arg {
    Arg::Text(text)
}

const fn measure(
    name: &'static str,
    steps: &'static [Step],
    pipeline: usize,
    subscribers: usize,
    goal: f64,
) -> Measure {
    Measure {
        name,
        what: What::Requests {
            steps,
            reply: Expected::Any,
            pipeline,
            subscribers,
        },
        goal: Some(Goal::CpuAtMost(goal)),
    }
}

const fn p16(name: &'static str, steps: &'static [Step]) -> Measure {
    measure(name, steps, 16, 0, 0.6)
}

const fn p100(name: &'static str, steps: &'static [Step]) -> Measure {
    measure(name, steps, 100, 0, 0.6)
}

/// In memory, many keys.
const fn keys(
    title: &'static str,
    keys: u64,
    fill: &'static [Command],
    measures: &'static [Measure],
) -> DataSet {
    DataSet {
        title,
        keys,
        fill,
        one_key: false,
        durability: Durability::None,
        fresh_each_round: true,
        measures,
    }
}

/// In memory, many elements of one key.
const fn elements(
    title: &'static str,
    count: u64,
    fill: &'static [Command],
    measures: &'static [Measure],
) -> DataSet {
    DataSet {
        one_key: true,
        ..keys(title, count, fill, measures)
    }
}

const ELEMENTS_100: Arg = Arg::Repeat(100, &[Arg::Index("element:")]);
const ELEMENTS_20: Arg = Arg::Repeat(20, &[Arg::Index("element:")]);
const FIELDS_20: Arg = Arg::Repeat(20, &[Arg::Index("field:"), Arg::Index("value:")]);
const SCORED_20: Arg = Arg::Repeat(20, &[Arg::Index(""), Arg::Index("member:")]);
const FIELD: Arg = Arg::Random("field:", 20);

const PUSH_POP: Step = &[
    &[text("LPUSH"), KEY, Arg::Random("element:", 1_000_000)],
    &[text("RPOP"), KEY],
];
const LRANGE: Step = &[&[text("LRANGE"), KEY, text("0"), text("99")]];
const HSET: Step = &[&[text("HSET"), KEY, FIELD, Arg::Random("value:", 1_000_000)]];
const HGET: Step = &[&[text("HGET"), KEY, FIELD]];
const HGETALL: Step = &[&[text("HGETALL"), KEY]];
const SADD: Step = &[&[text("SADD"), ONE, Arg::Random("member:", 200_000)]];
const SISMEMBER: Step = &[&[text("SISMEMBER"), ONE, Arg::Key("member:")]];
const ZADD: Step = &[&[
    text("ZADD"),
    ONE,
    Arg::Random("", 1_000_000),
    Arg::Key("member:"),
]];
const ZRANGE: Step = &[&[text("ZRANGE"), ONE, Arg::Short("5"), Arg::ShortPlus("5", 9)]];
const ZRANK: Step = &[&[text("ZRANK"), ONE, Arg::Key("member:")]];
const XADD_COMMAND: Command = &[
    text("XADD"),
    KEY,
    text("MAXLEN"),
    text("~"),
    text("1000"),
    text("*"),
    text("field"),
    Arg::Random("value:", 1_000_000),
];
const XADD: Step = &[XADD_COMMAND];
const XREADGROUP: Step = &[
    XADD_COMMAND,
    &[
        text("XREADGROUP"),
        text("GROUP"),
        text("group"),
        text("consumer"),
        text("COUNT"),
        text("1"),
        text("STREAMS"),
        KEY,
        text(">"),
    ],
];
const PFADD: Step = &[&[
    text("PFADD"),
    KEY,
    Arg::Random("element:", 1_000_000_000_000),
]];
const PFADD_AGAIN: Step = &[&[text("PFADD"), KEY, Arg::Random("element:", 200)]];
const GEOSEARCH: Step = &[&[
    text("GEOSEARCH"),
    ONE,
    text("FROMLONLAT"),
    Arg::Random("13.", 1_000_000_000_000),
    Arg::Random("52.", 1_000_000_000_000),
    text("BYRADIUS"),
    text("500"),
    text("m"),
]];
const EVAL: Step = &[&[
    text("EVAL"),
    text("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"),
    text("1"),
    KEY,
    Arg::Value,
]];
const PUBLISH: Step = &[&[text("PUBLISH"), text(CHANNEL), Arg::Value]];

/// What kombu does for each task: the producer's push, the worker's wait over the four priorities, its note of what it has taken, and the
/// acknowledgement.
const KOMBU: &[Step] = &[
    &[&[text("LPUSH"), text("celery"), Arg::Value]],
    &[&[
        text("BRPOP"),
        text("celery"),
        text("celery\u{6}\u{16}3"),
        text("celery\u{6}\u{16}6"),
        text("celery\u{6}\u{16}9"),
        text("1"),
    ]],
    &[
        &[text("MULTI")],
        &[
            text("ZADD"),
            text("unacked_index"),
            Arg::Random("", 1_000_000),
            Arg::Connection("tag:"),
        ],
        &[
            text("HSET"),
            text("unacked"),
            Arg::Connection("tag:"),
            Arg::Value,
        ],
        &[text("EXEC")],
    ],
    &[
        &[text("MULTI")],
        &[text("ZREM"), text("unacked_index"), Arg::Connection("tag:")],
        &[text("HDEL"), text("unacked"), Arg::Connection("tag:")],
        &[text("EXEC")],
    ],
];

pub(super) const DATA_SETS: &[DataSet] = &[
    keys(
        "10 000 lists of 100 elements",
        10_000,
        &[&[text("RPUSH"), KEY, ELEMENTS_100]],
        &[
            p16("lpush-rpop-p16", &[PUSH_POP]),
            p100("lpush-rpop-p100", &[PUSH_POP]),
            p16("lrange-100-p16", &[LRANGE]),
            p100("lrange-100-p100", &[LRANGE]),
        ],
    ),
    keys(
        "100 000 hashes of 20 fields",
        100_000,
        &[&[text("HSET"), KEY, FIELDS_20]],
        &[
            p16("hset-p16", &[HSET]),
            p100("hset-p100", &[HSET]),
            p16("hget-p16", &[HGET]),
            p100("hget-p100", &[HGET]),
            p16("hgetall-p16", &[HGETALL]),
            p100("hgetall-p100", &[HGETALL]),
        ],
    ),
    elements(
        "a set of 100 000 members",
        100_000,
        &[&[text("SADD"), ONE, Arg::Key("member:")]],
        &[
            p16("sismember-p16", &[SISMEMBER]),
            p100("sismember-p100", &[SISMEMBER]),
            p16("sadd-p16", &[SADD]),
            p100("sadd-p100", &[SADD]),
        ],
    ),
    elements(
        "a sorted set of 100 000 members",
        100_000,
        &[&[
            text("ZADD"),
            ONE,
            Arg::Random("", 1_000_000),
            Arg::Key("member:"),
        ]],
        &[
            p16("zadd-p16", &[ZADD]),
            p100("zadd-p100", &[ZADD]),
            p16("zrange-10-p16", &[ZRANGE]),
            p100("zrange-10-p100", &[ZRANGE]),
            p16("zrank-p16", &[ZRANK]),
            p100("zrank-p100", &[ZRANK]),
        ],
    ),
    keys(
        "1 000 streams",
        1_000,
        &[
            XADD_COMMAND,
            &[
                text("XGROUP"),
                text("CREATE"),
                KEY,
                text("group"),
                text("0"),
            ],
        ],
        &[
            p16("xadd-p16", &[XADD]),
            p100("xadd-p100", &[XADD]),
            p16("xadd-xreadgroup-p16", &[XREADGROUP]),
            p100("xadd-xreadgroup-p100", &[XREADGROUP]),
        ],
    ),
    // Filled so far that the load does not change what they are: servers that take more requests would else measure something else.
    keys(
        "1 000 HyperLogLogs of 4 000 elements",
        1_000,
        &[&[
            text("PFADD"),
            KEY,
            Arg::Repeat(4_000, &[Arg::Index("element:")]),
        ]],
        &[p16("pfadd-p16", &[PFADD]), p100("pfadd-p100", &[PFADD])],
    ),
    keys(
        "10 000 HyperLogLogs of 200 elements",
        10_000,
        &[&[
            text("PFADD"),
            KEY,
            Arg::Repeat(200, &[Arg::Index("element:")]),
        ]],
        &[
            p16("pfadd-sparse-p16", &[PFADD_AGAIN]),
            p100("pfadd-sparse-p100", &[PFADD_AGAIN]),
        ],
    ),
    elements(
        "100 000 places in a degree of longitude and latitude",
        100_000,
        &[&[
            text("GEOADD"),
            ONE,
            Arg::Random("13.", 1_000_000_000_000),
            Arg::Random("52.", 1_000_000_000_000),
            Arg::Key("place:"),
        ]],
        &[
            p16("geosearch-p16", &[GEOSEARCH]),
            p100("geosearch-p100", &[GEOSEARCH]),
        ],
    ),
    keys(
        "100 000 strings: scripts of two calls, messages to 100 subscribers",
        100_000,
        &[&[text("SET"), KEY, Arg::Value]],
        &[
            measure("eval-p16", &[EVAL], 16, 0, 0.8),
            measure("eval-p100", &[EVAL], 100, 0, 0.8),
            measure("publish-100-p16", &[PUBLISH], 16, 100, 0.6),
            measure("publish-100-p100", &[PUBLISH], 100, 100, 0.6),
        ],
    ),
    // 1.5 times the tasks for each second of CPU.
    keys(
        "Celery's broker: four round trips for each task",
        1,
        &[&[text("HSET"), text("unacked"), text("none"), text("")]],
        &[measure("kombu", KOMBU, 1, 0, 0.667)],
    ),
    keys(
        "memory of a list of 20 elements",
        1_000_000,
        &[&[text("RPUSH"), KEY, ELEMENTS_20]],
        &[memory("memory-list-20", 1.0)],
    ),
    keys(
        "memory of a hash of 20 fields",
        1_000_000,
        &[&[text("HSET"), KEY, FIELDS_20]],
        &[memory("memory-hash-20", 1.0)],
    ),
    keys(
        "memory of a set of 20 members",
        1_000_000,
        &[&[text("SADD"), KEY, ELEMENTS_20]],
        &[memory("memory-set-20", 1.0)],
    ),
    keys(
        "memory of a sorted set of 20 members",
        1_000_000,
        &[&[text("ZADD"), KEY, SCORED_20]],
        &[memory("memory-sorted-set-20", 1.0)],
    ),
    elements(
        "memory of each element of a list of a million",
        1_000_000,
        &[&[text("RPUSH"), ONE, Arg::Key("element:")]],
        &[memory("memory-list-1m", 0.8)],
    ),
    elements(
        "memory of each field of a hash of a million",
        1_000_000,
        &[&[text("HSET"), ONE, Arg::Key("field:"), Arg::Key("value:")]],
        &[memory("memory-hash-1m", 0.8)],
    ),
    elements(
        "memory of each member of a set of a million",
        1_000_000,
        &[&[text("SADD"), ONE, Arg::Key("member:")]],
        &[memory("memory-set-1m", 0.8)],
    ),
    elements(
        "memory of each member of a sorted set of a million",
        1_000_000,
        &[&[
            text("ZADD"),
            ONE,
            Arg::Random("", 1_000_000),
            Arg::Key("member:"),
        ]],
        &[memory("memory-sorted-set-1m", 0.8)],
    ),
];
