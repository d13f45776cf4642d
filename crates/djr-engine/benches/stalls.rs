//! The longest single command on keys of a million elements: no command but those that are documented as O(n) may take over a millisecond, the
//! growth of tables included.
//!
//! ```text
//! cargo bench -p djr-engine --features testkit --bench stalls
//! ```
//!
//! Every scenario is run several times, the same commands each time, and of each command the shortest of its times counts: what the
//! machine does now and then falls out, what the structure does at this very command stays.
//!
//! `DJR_ELEMENTS` and `DJR_ROUNDS` set how many elements there are, and how often each scenario is run; a word on the command line picks scenarios.

use std::sync::mpsc;
use std::time::Instant;

use djr_engine::testkit::Bench;
use djr_storage::keyspace::disposal::dispose_with;
use djr_storage::memory::Allocator;

/// The server's: the longest command is often one that waits for its allocator.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

type Words = Vec<Vec<u8>>;

/// So many commands of one kind.
struct Step {
    kind: &'static str,
    count: u64,
    words: Box<dyn Fn(u64) -> Words>,
}

fn step(kind: &'static str, count: u64, line: impl Fn(u64) -> String + 'static) -> Step {
    let words = move |index| {
        let line = line(index);
        let words = line.split(' ').map(|word| word.as_bytes().to_vec());
        words.collect()
    };
    Step {
        kind,
        count,
        words: Box::new(words),
    }
}

/// A permutation of the numbers below 2^32, far from their order.
fn mix(index: u64) -> u64 {
    let mut mixed = (index as u32).wrapping_mul(0x9E37_79B1);
    mixed ^= mixed >> 15;
    u64::from(mixed.wrapping_mul(0x85EB_CA77))
}

struct Scenario {
    name: &'static str,
    set_up: fn(&Bench),
    steps: Vec<Step>,
}

fn scenarios(n: u64) -> Vec<Scenario> {
    let few = n / 10;
    let plain: fn(&Bench) = |_| {};
    let list = |name, set_up| Scenario {
        name,
        set_up,
        steps: vec![
            step("RPUSH", n, |i| format!("RPUSH k element:{i}")),
            step("LPUSH", few, |i| format!("LPUSH k element:{i}")),
            step("LRANGE of 10 at the end", 1000, |_| {
                "LRANGE k -10 -1".into()
            }),
            step("LSET at the end", 1000, |i| format!("LSET k -3 other:{i}")),
            step("LPOP", few, |_| "LPOP k".into()),
            step("RPOP", few, |_| "RPOP k".into()),
            step("UNLINK", 1, |_| "UNLINK k".into()),
        ],
    };
    vec![
        list("list", plain),
        list("list, an element a chunk", |bench| {
            bench.engine.settings.list_max_listpack_size.set(1);
        }),
        Scenario {
            name: "hash",
            set_up: plain,
            steps: vec![
                step("HSET", n, |i| format!("HSET k field:{} {i}", mix(i))),
                step("HGET", few, |i| format!("HGET k field:{}", mix(i))),
                step("HINCRBY", few, |i| format!("HINCRBY k field:{} 1", mix(i))),
                step("HSCAN", 1000, |i| format!("HSCAN k {}", mix(i) << 20)),
                step("HRANDFIELD", 1000, |_| "HRANDFIELD k".into()),
                step("HDEL", n / 2, |i| format!("HDEL k field:{}", mix(i))),
                step("UNLINK", 1, |_| "UNLINK k".into()),
            ],
        },
        Scenario {
            name: "hash with deadlines",
            set_up: plain,
            steps: vec![
                step("HSETEX", n, |i| {
                    format!("HSETEX k EX {} FIELDS 1 field:{} {i}", 1 + i % 1000, mix(i))
                }),
                step("HLEN", 1000, |_| "HLEN k".into()),
                step("HPERSIST", few, |i| {
                    format!("HPERSIST k FIELDS 1 field:{}", mix(i))
                }),
                step("HDEL", few, |i| format!("HDEL k field:{}", mix(i))),
                step("DEL", 1, |_| "DEL k".into()),
            ],
        },
        Scenario {
            name: "set",
            set_up: plain,
            steps: vec![
                step("SADD", n, |i| format!("SADD k member:{}", mix(i))),
                step("SISMEMBER", few, |i| {
                    format!("SISMEMBER k member:{}", mix(i))
                }),
                step("SRANDMEMBER", 1000, |_| "SRANDMEMBER k 10".into()),
                step("SPOP", few, |_| "SPOP k".into()),
                step("SREM", n / 2, |i| format!("SREM k member:{}", mix(i))),
                step("SET over it", 1, |_| "SET k v".into()),
            ],
        },
        Scenario {
            name: "sorted set",
            set_up: plain,
            steps: vec![
                step("ZADD", n, |i| format!("ZADD k {} member:{i}", mix(i))),
                step("ZINCRBY", few, |i| format!("ZINCRBY k {i} member:{i}")),
                step("ZRANK", few, |i| format!("ZRANK k member:{i}")),
                step("ZRANGE of 10", 1000, |i| {
                    format!("ZRANGE k {} {}", i * 100, i * 100 + 9)
                }),
                step("ZPOPMIN", few, |_| "ZPOPMIN k".into()),
                step("ZREM", n / 2, |i| format!("ZREM k member:{i}")),
                step("UNLINK", 1, |_| "UNLINK k".into()),
            ],
        },
        Scenario {
            name: "stream",
            set_up: plain,
            steps: vec![
                step("XADD", n, |i| format!("XADD k {}-1 field value:{i}", i + 1)),
                step("XGROUP CREATE", 1, |_| "XGROUP CREATE k g 0".into()),
                step("XREADGROUP of 10", few, |_| {
                    "XREADGROUP GROUP g c COUNT 10 STREAMS k >".into()
                }),
                step("XACK", few, |i| {
                    format!("XACK k g {}-1", mix(i) % 1_000_000)
                }),
                step("XAUTOCLAIM of 10", 1000, |_| {
                    "XAUTOCLAIM k g d 0 0 COUNT 10".into()
                }),
                step("XRANGE of 10", few, |i| {
                    format!("XRANGE k {} + COUNT 10", mix(i) % 1_000_000)
                }),
                step("XDEL", few, |i| format!("XDEL k {}-1", mix(i) % 1_000_000)),
                step("XADD with approximate trimming", few, |i| {
                    format!("XADD k MAXLEN ~ 1000 {}-2 field value", 1 << 30 | i)
                }),
                step("UNLINK", 1, |_| "UNLINK k".into()),
            ],
        },
        Scenario {
            name: "keys",
            set_up: plain,
            steps: vec![
                step("SET", n, |i| format!("SET key:{} value:{i}", mix(i))),
                step("GET", few, |i| format!("GET key:{}", mix(i))),
                step("EXPIRE", few, |i| {
                    format!("EXPIRE key:{} {}", mix(i), 100 + i % 77)
                }),
                step("SCAN", 1000, |i| format!("SCAN {}", mix(i) << 32)),
                step("DEL", n / 2, |i| format!("DEL key:{}", mix(i))),
                step("FLUSHALL", 1, |_| "FLUSHALL".into()),
            ],
        },
        Scenario {
            name: "string",
            set_up: plain,
            steps: vec![
                step("APPEND", n, |_| "APPEND k twenty-bytes-at-once".into()),
                step("SETRANGE", few, |i| format!("SETRANGE k {} x", i * 200)),
                step("SETBIT", few, |i| {
                    format!("SETBIT k {} 1", mix(i) % 100_000_000)
                }),
                step("UNLINK", 1, |_| "UNLINK k".into()),
            ],
        },
    ]
}

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn main() {
    let (n, rounds) = (number("DJR_ELEMENTS", 1_000_000), number("DJR_ROUNDS", 3));
    let picked = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"));
    // As a server does.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || receiver.into_iter().for_each(drop));
    dispose_with(move |value| _ = sender.send(value));
    println!(
        "{n} elements, {rounds} rounds; the longest command of each kind, in microseconds, and which one it was"
    );
    for scenario in scenarios(n) {
        if picked
            .as_ref()
            .is_some_and(|word| !scenario.name.contains(word.as_str()))
        {
            continue;
        }
        // By step and command: the shortest time so far, in nanoseconds.
        let mut times: Vec<Vec<u32>> = Vec::new();
        for round in 0..rounds {
            let mut bench = Bench::new();
            (scenario.set_up)(&bench);
            for (index, step) in scenario.steps.iter().enumerate() {
                if round == 0 {
                    times.push(vec![u32::MAX; step.count as usize]);
                }
                for (number, shortest) in times[index].iter_mut().enumerate() {
                    let words = (step.words)(number as u64);
                    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    let start = Instant::now();
                    let reply = bench.run(&words);
                    let taken = start.elapsed().as_nanos().min(u32::MAX.into()) as u32;
                    *shortest = (*shortest).min(taken);
                    assert!(!reply.starts_with(b"-"), "{}", reply.escape_ascii());
                    bench.shell.log.0.clear();
                }
            }
        }
        for (step, times) in scenario.steps.iter().zip(&times) {
            let longest = times.iter().enumerate().max_by_key(|(_, nanos)| **nanos);
            let Some((number, nanos)) = longest else {
                continue;
            };
            let over = times.iter().filter(|nanos| **nanos > 1_000_000).count();
            println!(
                "{:28} {:32} {:>9.1}  at {number} of {}{}",
                scenario.name,
                step.kind,
                f64::from(*nanos) / 1000.0,
                step.count,
                if over > 0 {
                    format!("  OVER A MILLISECOND: {over} times")
                } else {
                    String::new()
                },
            );
        }
    }
}
