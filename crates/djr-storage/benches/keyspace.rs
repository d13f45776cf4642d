//! What the keyspace costs: nanoseconds per operation and bytes of memory per key.
//!
//! `cargo bench -p djr-storage --bench keyspace [-- KEYS…]`: each number of keys with and without deadlines, each in a process of its
//! own (memory given back would blur the next figure). Without numbers: a thousand (all in cache), a million, five million.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use djr_storage::keyspace::{Expire, Keyspace, KeyspaceOptions};
use djr_storage::value::ValueRef;

const NOW: i64 = 1_700_000_000_000;
const VALUE: [u8; 64] = [b'v'; 64];
const OPERATIONS: usize = 4_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [flag, keys, ttl] = &arguments[..]
        && flag == "--run"
    {
        return run(keys.parse().unwrap_or(1000), ttl == "ttl");
    }
    let mut sizes: Vec<String> = arguments
        .into_iter()
        .filter(|argument| argument.parse::<usize>().is_ok())
        .collect();
    if sizes.is_empty() {
        sizes = ["1000", "1000000", "5000000"].map(String::from).to_vec();
    }
    println!(
        "{:>9} {:>4} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>9} {:>9}",
        "keys",
        "ttl",
        "load",
        "get",
        "set",
        "get p16",
        "get p99",
        "set p16",
        "del",
        "bytes/key",
        "RSS/key"
    );
    for keys in sizes {
        for ttl in ["no", "ttl"] {
            if let Ok(program) = std::env::current_exe() {
                let _ = Command::new(program).args(["--run", &keys, ttl]).status();
            }
        }
    }
}

fn run(keys: usize, ttl: bool) {
    let expire = |number: usize| {
        if ttl {
            Expire::At(NOW + 3_600_000 + number as i64 % 1000)
        } else {
            Expire::Clear
        }
    };
    let before = resident_bytes();
    let keyspace = Keyspace::new(KeyspaceOptions {
        hash_seed: (3, 4),
        ..KeyspaceOptions::default()
    });
    let load = nanoseconds(keys, |number| set(&keyspace, &name(number), expire(number)));
    let (used, resident) = (keyspace.used_bytes(), resident_bytes() - before);
    if std::env::var_os("DETAILS").is_some() {
        let per_key = |bytes: usize| bytes as f64 / keys as f64;
        let (entries, slabs) = (
            per_key(keyspace.entry_bytes(0)),
            per_key(keyspace.held_bytes()),
        );
        println!(
            "entries {entries:.2} in slabs of {slabs:.2}, index {:.2}",
            per_key(keyspace.index_bytes(0))
        );
        if let Ok(rollup) = std::fs::read_to_string("/proc/self/smaps_rollup") {
            println!("{rollup}");
        }
    }
    let mut random = Random(7);
    let get_each = over_batches(&mut random, keys, 4096, |batch| {
        batch.iter().for_each(|key| get(&keyspace, key))
    });
    let set_each = over_batches(&mut random, keys, 4096, |batch| {
        batch
            .iter()
            .enumerate()
            .for_each(|(number, key)| set(&keyspace, key, expire(number)));
    });
    let mut hashes = Vec::new();
    let [get_16, get_99, set_16] = [(16, false), (99, false), (16, true)].map(|(depth, is_set)| {
        over_batches(&mut random, keys, 4096 / depth * depth, |batch| {
            for batch in batch.chunks(depth) {
                hashes.clear();
                hashes.extend(batch.iter().map(|key| keyspace.key(key).hash));
                let turn = keyspace.pin();
                let homes: Vec<_> = hashes
                    .iter()
                    .filter_map(|&hash| keyspace.prefetch(&turn, 0, hash))
                    .collect();
                let strays: Vec<_> = homes
                    .iter()
                    .filter_map(|home| home.prefetch_entry())
                    .collect();
                for stray in strays {
                    stray.prefetch_entry();
                }
                for (number, key) in batch.iter().enumerate() {
                    if is_set {
                        set(&keyspace, key, expire(number))
                    } else {
                        get(&keyspace, key)
                    }
                }
            }
        })
    });
    let delete = nanoseconds(keys, |number| {
        let name = name(number);
        let key = keyspace.key(&name);
        black_box(
            keyspace
                .open(keyspace.footprint(key.hash), NOW)
                .db_mut(0)
                .remove(key),
        );
    });
    println!(
        "{keys:>9} {:>4} {load:>7.1} {get_each:>7.1} {set_each:>7.1} {get_16:>7.1} {get_99:>7.1} {set_16:>7.1} {delete:>7.1} {:>9.2} {:>9.2}",
        if ttl { "yes" } else { "no" },
        used as f64 / keys as f64,
        resident as f64 / keys as f64,
    );
}

fn get(keyspace: &Keyspace, name: &[u8]) {
    let key = keyspace.key(name);
    let access = keyspace.open(keyspace.footprint(key.hash), NOW);
    let mut copy = [0; 64];
    if let Some(ValueRef::String(string)) = access.db(0).get(key).map(|entry| entry.value()) {
        let mut buffer = [0; 20];
        let bytes = string.to_bytes(&mut buffer);
        copy[..bytes.len()].copy_from_slice(bytes);
    }
    black_box(&copy);
}

fn set(keyspace: &Keyspace, name: &[u8], expire: Expire) {
    let key = keyspace.key(name);
    let mut access = keyspace.open(keyspace.footprint(key.hash), NOW);
    black_box(access.db_mut(0).set_string(key, &VALUE, expire));
}

/// 16 bytes: `key:` and twelve digits.
fn name(number: usize) -> [u8; 16] {
    let mut name = *b"key:000000000000";
    let mut left = number;
    for digit in name[4..].iter_mut().rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    name
}

fn nanoseconds(count: usize, mut run: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..count).for_each(&mut run);
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Nanoseconds per key of `run` over batches of random keys, whose making is not counted: the median batch.
fn over_batches(
    random: &mut Random,
    keys: usize,
    size: usize,
    mut run: impl FnMut(&[[u8; 16]]),
) -> f64 {
    let mut batch = vec![[0; 16]; size];
    let mut spent: Vec<_> = (0..(OPERATIONS / size))
        .map(|_| {
            batch
                .iter_mut()
                .for_each(|key| *key = name(random.below(keys)));
            let start = Instant::now();
            run(&batch);
            start.elapsed()
        })
        .collect();
    spent.sort_unstable();
    spent[spent.len() / 2].as_nanos() as f64 / size as f64
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .unwrap_or(0)
        * 4096
}
