//! Several threads run commands of all kinds while snapshots are taken. The order of the log is the truth: what a snapshot holds is what
//! the commands before its cut make, byte for byte.
//!
//! `DJR_SEED` repeats the commands of a run (not how the threads meet).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use djr_engine::command::Command;
use djr_engine::registry::{Registry, Resolved};
use djr_engine::{
    Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Rng, Shell,
};
use djr_protocol::{Batch, Limits, RequestDecoder, RespVersion};
use djr_storage::keyspace::{
    Expired, Footprint, Keyspace, KeyspaceOptions, Portion, UnixMillis, WholeEntries,
};
use djr_storage::rdb::{Uncompressed, write_value};

const DBS: u32 = 3;
const WRITERS: u64 = 4;
/// Commands of each writer between two snapshots, and snapshots.
const COMMANDS: usize = 4000;
const SNAPSHOTS: usize = 6;

/// Every batch, in the order in which it was appended: under the locks of its keys.
type Log = Arc<Mutex<Vec<(u32, Vec<u8>)>>>;

struct Appender(Log);

impl EffectLog for Appender {
    fn append(&mut self, db: u32, parts: &[&[u8]]) {
        self.0
            .lock()
            .expect("as it was made")
            .push((db, parts.concat()));
    }
}

struct Session {
    db: u32,
    log: Box<dyn EffectLog>,
}

impl Shell for Session {
    fn db(&self) -> u32 {
        self.db
    }
    fn select(&mut self, db: u32) {
        self.db = db;
    }
    fn run(
        &mut self,
        _: &'static Command,
        _: &Args<'_>,
        _: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        Err(CommandError::text("ERR not here"))
    }
    fn permit(&mut self, _: &'static Command, _: &Args<'_>) -> Result<(), CommandError> {
        Ok(())
    }
    fn log(&mut self) -> &mut dyn EffectLog {
        &mut *self.log
    }
}

fn engine(seed: (u64, u64)) -> Engine {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    Engine {
        keyspace: Keyspace::new(KeyspaceOptions {
            dbs: DBS,
            shards: 16,
            hash_seed: seed,
        }),
        registry: REGISTRY.get_or_init(|| Registry::leak(djr_engine::commands::FAMILIES)),
        settings: Default::default(),
        scripts: Default::default(),
        functions: Default::default(),
    }
}

/// Runs a command; its reply does not matter.
fn run(
    engine: &Engine,
    executor: &mut Executor,
    session: &mut Session,
    words: &[Vec<u8>],
    now: UnixMillis,
) -> Result<(), String> {
    let request = OwnedRequest::from_args(words.iter());
    let args = request.args();
    let Resolved::Command(command) = engine.registry.resolve(&args) else {
        panic!("no such command: {}", shown(words));
    };
    assert!(command.accepts(args.len()), "arity: {}", shown(words));
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, RespVersion::V3);
    engine
        .execute(executor, command, &args, now, session, &mut reply)
        .map_err(|error| format!("{}: {error}", shown(words)))
}

fn shown(words: &[Vec<u8>]) -> String {
    let words = words.iter().map(|word| word.escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// Draws a command. `%k` and `%j` are keys of any type, `%s`, `%l`, `%e`, `%h`, `%z`, `%x` of one; `%v` is a value, `%m` a member, `%n` a
/// number, `%t` a deadline near by, `%d` a db.
fn draw(rng: &mut Rng, now: UnixMillis) -> Vec<Vec<u8>> {
    const TEMPLATES: &[(u64, &str)] = &[
        (8, "SET %s %v"),
        (3, "SET %s %v PXAT %t"),
        (2, "APPEND %s %v"),
        (1, "SETRANGE %s %n %v"),
        (2, "INCRBY count:%n %n"),
        (1, "SETBIT bits:%n %n 1"),
        (3, "DEL %k"),
        (1, "UNLINK %k %j"),
        (2, "RENAME %k %j"),
        (1, "COPY %k %j REPLACE"),
        (1, "COPY %k %j DB %d REPLACE"),
        (1, "MOVE %k %d"),
        (2, "PEXPIREAT %k %t"),
        (1, "PERSIST %k"),
        (4, "RPUSH %l %v %v %m"),
        (2, "LPUSH %l %v"),
        (2, "LPOP %l"),
        (1, "RPOP %l %n"),
        (1, "LSET %l 0 %v"),
        (1, "LINSERT %l BEFORE %m %v"),
        (1, "LTRIM %l %n -1"),
        (1, "LMOVE %l %l LEFT RIGHT"),
        (5, "SADD %e %m %m %n"),
        (2, "SREM %e %m %n"),
        (1, "SPOP %e"),
        (1, "SMOVE %e %e %m"),
        (1, "SUNIONSTORE %e %e %e"),
        (6, "HSET %h %m %v %n %n"),
        (2, "HDEL %h %m %n"),
        (1, "HINCRBY %h number %n"),
        (3, "HPEXPIREAT %h %t FIELDS 1 %m"),
        (1, "HPERSIST %h FIELDS 1 %m"),
        (6, "ZADD %z %n %m %n %n"),
        (2, "ZREM %z %m"),
        (1, "ZINCRBY %z %n %m"),
        (1, "ZPOPMIN %z"),
        (1, "ZREMRANGEBYRANK %z 0 2"),
        (1, "SPOP %e 5"),
        (1, "LREM %l 1 %m"),
        (1, "ZREMRANGEBYSCORE %z %n 1000"),
        (1, "XDEL %x %n"),
        (1, "XACK %x group %n"),
        (1, "XGROUP DELCONSUMER %x group consumer"),
        (1, "RENAMENX %k %j"),
        (1, "ZUNIONSTORE %z 2 %z %z"),
        (5, "XADD %x * %m %v"),
        (1, "XTRIM %x MAXLEN %n"),
        (1, "XGROUP CREATE %x group 0 MKSTREAM"),
        (2, "XREADGROUP GROUP group consumer COUNT 3 STREAMS %x >"),
        (1, "XAUTOCLAIM %x group other 0 0"),
        (1, "PFADD hll:%n %m %n"),
        (2, "GET %k"),
        (1, "HGETALL %h"),
        (1, "TYPE %k"),
    ];
    const SELDOM: &[&str] = &["FLUSHDB", "SWAPDB 0 1", "SWAPDB 1 2", "FLUSHALL"];
    let template = if rng.below(1500) == 0 {
        SELDOM[rng.below(SELDOM.len() as u64) as usize]
    } else {
        let all: u64 = TEMPLATES.iter().map(|(weight, _)| weight).sum();
        let mut left = rng.below(all);
        let drawn = TEMPLATES.iter().find(|(weight, _)| {
            let found = left < *weight;
            left = left.saturating_sub(*weight);
            found
        });
        drawn.expect("as it was made").1
    };
    let words = template.split(' ').map(|word| {
        let Some((before, kind)) = word.split_once('%') else {
            return word.as_bytes().to_vec();
        };
        let mut of = |letters: &[u8]| {
            let letter = letters[rng.below(letters.len() as u64) as usize];
            // Some keys are met often and grow large.
            let keys = if rng.below(3) == 0 { 3 } else { 200 };
            format!("{}:{}", letter as char, rng.below(keys)).into_bytes()
        };
        match kind {
            "k" | "j" => of(b"slehzx"),
            "v" => {
                let len = [5, 30, 100, 5000][rng.below(4) as usize];
                let len = 1 + rng.below(len) as usize;
                vec![b'a' + rng.below(26) as u8; len]
            }
            "m" => format!("member:{}", rng.below(3000)).into_bytes(),
            "n" => format!("{before}{}", rng.below(2000)).into_bytes(),
            "t" => (now - 50 + rng.below(300) as i64).to_string().into_bytes(),
            "d" => rng.below(u64::from(DBS)).to_string().into_bytes(),
            letter => of(letter.as_bytes()),
        }
    });
    words.collect()
}

type State = BTreeMap<(u32, Vec<u8>), (Option<UnixMillis>, Vec<u8>)>;

/// Everything in a keyspace. Sets, hashes and sorted sets that are tables have no order of their own.
fn state(keyspace: &Keyspace) -> State {
    let mut found = State::new();
    let access = keyspace.open(Footprint::ALL, UnixMillis::MIN);
    for db in 0..DBS {
        access.db(db).for_each(|entry| {
            let mut value = Uncompressed::default();
            write_value(&mut value, entry.value(), UnixMillis::MIN);
            let content = (entry.expire_at(), in_order(&value.0));
            found.insert((db, entry.key().to_vec()), content);
        });
    }
    found
}

/// The same value with its elements in order, where they have none.
fn in_order(value: &[u8]) -> Vec<u8> {
    use djr_storage::rdb::{Reader, VERSION_OF_FIELD_EXPIRY, ValueLimits, read_value};
    use djr_storage::value::{Encoding, Kind};
    let mut reader = Reader::new(value);
    let kind = reader.byte().expect("as it was made");
    let read = read_value(
        &mut reader,
        kind,
        VERSION_OF_FIELD_EXPIRY,
        &ValueLimits::default(),
    );
    let read = read.unwrap_or_else(|error| panic!("type {kind}: {error}"));
    assert!(reader.rest().is_empty(), "something behind the value");
    let is_table = read
        .as_ref()
        .as_object::<djr_storage::types::Set>()
        .is_some_and(is_table)
        || read
            .as_ref()
            .as_object::<djr_storage::types::Hash>()
            .is_some_and(is_table)
        || read
            .as_ref()
            .as_object::<djr_storage::types::SortedSet>()
            .is_some_and(is_table);
    // When a consumer was last seen is not in the log.
    let is_stream = read.as_ref().kind() == Kind::Stream;
    if !is_table && !is_stream {
        return value.to_vec();
    }
    fn is_table<T: djr_storage::types::Object>(object: &T) -> bool {
        matches!(object.encoding(), Encoding::Hashtable | Encoding::Skiplist)
    }
    let mut elements: Vec<Vec<u8>> = Vec::new();
    read.as_ref().rewrite(b"", &mut |words| {
        let step = match &words[0].to_ascii_uppercase()[..] {
            b"SADD" => 1,
            b"HSET" | b"ZADD" => 2,
            _ => words.len().max(3) - 2,
        };
        for element in words[2..].chunks(step) {
            let mut bytes = words[0].to_vec();
            for word in element {
                bytes.push(b' ');
                bytes.extend_from_slice(word);
            }
            elements.push(bytes);
        }
    });
    if is_table {
        elements.sort();
    }
    elements.concat()
}

fn brief((expire_at, value): &(Option<UnixMillis>, Vec<u8>)) -> String {
    let end = value.len().min(200);
    format!("{expire_at:?} {}", value[..end].escape_ascii())
}

/// What the first batches of the log make.
fn replay(log: &[(u32, Vec<u8>)]) -> State {
    let engine = engine((7, 8));
    let mut executor = Executor::new(0);
    let mut session = Session {
        db: 0,
        log: Box::new(()),
    };
    let (mut batch, limits) = (Batch::new(), Limits::default());
    for (db, bytes) in log {
        session.db = *db;
        batch.clear();
        let mut decoder = RequestDecoder::new();
        let taken = decoder
            .decode(bytes, &limits, &mut batch)
            .expect("as it was made");
        assert_eq!(taken, bytes.len(), "whole commands");
        for request in batch.iter(bytes) {
            let words: Vec<Vec<u8>> = request.iter().map(<[u8]>::to_vec).collect();
            match &words[0].to_ascii_uppercase()[..] {
                b"MULTI" | b"EXEC" => {}
                b"SELECT" => {
                    session.db = String::from_utf8_lossy(&words[1])
                        .parse()
                        .expect("as it was made");
                }
                // Before every deadline: what was there when it was logged is there.
                _ => run(&engine, &mut executor, &mut session, &words, 0).expect("as it was made"),
            }
        }
    }
    state(&engine.keyspace)
}

#[test]
fn a_snapshot_is_the_state_at_its_cut() {
    let seed = std::env::var("DJR_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("seed {seed}");
    // Values that are no larger than this are copied at once, others read in steps: both are to be met.
    djr_storage::types::kept::set_keep_above(1500);
    let engine = engine((3, 4));
    let log = Log::default();
    let clock = AtomicI64::new(1_700_000_000_000);
    let stop = AtomicBool::new(false);
    let barrier = std::sync::Barrier::new(WRITERS as usize + 1);
    let mut snapshots = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (engine, log, clock, barrier) = (&engine, &log, &clock, &barrier);
            scope.spawn(move || {
                let mut rng = Rng::new(seed * 1000 + writer);
                let mut executor = Executor::new(writer);
                let mut session = Session {
                    db: 0,
                    log: Box::new(Appender(log.clone())),
                };
                for _ in 0..SNAPSHOTS {
                    barrier.wait();
                    for _ in 0..COMMANDS {
                        let now = clock.load(Relaxed);
                        session.db = (rng.below(4) % 3) as u32;
                        let words = draw(&mut rng, now);
                        // Refusals (another type, no such key) are part of it.
                        let _ = run(engine, &mut executor, &mut session, &words, now);
                    }
                }
            });
        }
        {
            let (engine, log, clock, stop) = (&engine, &log, &clock, &stop);
            scope.spawn(move || {
                let mut appender = Appender(log.clone());
                while !stop.load(Relaxed) {
                    let now = clock.fetch_add(1, Relaxed);
                    for shard in 0..engine.keyspace.shards() {
                        let mut told = |db: u32, expired: Expired<'_>| {
                            djr_engine::engine::log_expiry(&mut appender, db, expired);
                        };
                        engine.keyspace.expire_step(shard, now, 20, &mut told);
                        engine.keyspace.idle_step(shard, 2);
                    }
                    std::thread::yield_now();
                }
            });
        }
        for round in 0..SNAPSHOTS {
            barrier.wait();
            // Not at once, but while they write.
            while log.lock().expect("as it was made").len() < round * 3000 + 500 && round == 0 {
                std::thread::yield_now();
            }
            let (cut, offset) = {
                let mut access = engine.keyspace.open(Footprint::ALL, clock.load(Relaxed));
                let cut = access.begin_snapshot().expect("none is under way");
                (cut, log.lock().expect("as it was made").len())
            };
            let mut snapshot = cut.walk(&engine.keyspace);
            let mut taken = State::new();
            let mut portion = Portion::default();
            let mut whole = WholeEntries::default();
            let (mut steps, mut pieces) = (0, 0);
            loop {
                // Large values take several steps.
                let more = snapshot.step_of(500, &mut portion);
                for item in portion.items() {
                    let Some(entry) = whole.add(item) else {
                        pieces += 1;
                        continue;
                    };
                    let content = (entry.expire_at, in_order(entry.value));
                    let before = taken.insert((entry.db, entry.key.to_vec()), content);
                    assert!(before.is_none(), "an entry twice");
                }
                portion.clear();
                steps += 1;
                // So that it lasts.
                std::thread::sleep(std::time::Duration::from_micros(100));
                if !more {
                    break;
                }
            }
            let after = log.lock().expect("as it was made").len();
            println!(
                "cut at {offset}, end at {after}, {} entries, {steps} steps, {pieces} pieces",
                taken.len()
            );
            snapshots.push((offset, taken));
        }
        stop.store(true, Relaxed);
    });
    let log = log.lock().expect("as it was made");
    for (offset, taken) in snapshots {
        let expected = replay(&log[..offset]);
        for (key, content) in &expected {
            let found = taken.get(key);
            assert!(
                found == Some(content),
                "seed {seed}, cut at {offset}, db {} key {}: {} instead of {}",
                key.0,
                key.1.escape_ascii(),
                found.map_or("nothing".into(), brief),
                brief(content),
            );
        }
        assert_eq!(taken.len(), expected.len(), "keys that were not there");
    }
    // And what is there at the end is what the log makes.
    assert!(
        state(&engine.keyspace) == replay(&log),
        "log and keyspace differ"
    );
}
