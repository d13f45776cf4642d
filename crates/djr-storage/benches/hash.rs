//! Micro-benchmark of hashes: `cargo bench -p djr-storage --bench hash --profile quick [-- FIELDS…]`.
//!
//! Fields are `field:00000123`, values eight bytes. Processor time in nanoseconds per field, and memory in bytes per field.

use std::hint::black_box;

use djr_storage::types::hash::FieldExpire;
use djr_storage::types::{Hash, HashLimits, Object};
use rustix::time::{ClockId, clock_gettime};

/// Operations of which the time is taken, at least.
const OPERATIONS: u64 = 1_000_000;
const NOW: i64 = 1_700_000_000_000;

/// Processor time of this thread in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Names of the fields in an order that looks random.
fn names(count: u64) -> Vec<String> {
    let count = count | 1;
    (0..count)
        .map(|index| format!("field:{:08}", (index * 2_654_435_761) % count))
        .collect()
}

fn filled(names: &[String], expire: FieldExpire) -> Hash {
    let mut hash = Hash::new();
    for name in names {
        let value = &name.as_bytes()[6..];
        hash.put(name.as_bytes(), value, expire, NOW, HashLimits::default());
    }
    hash
}

fn measure(name: &str, fields: usize, mut all: impl FnMut()) {
    let rounds = OPERATIONS.div_ceil(fields as u64);
    let begin = now();
    (0..rounds).for_each(|_| all());
    let per_field = (now() - begin) as f64 / (rounds * fields as u64) as f64;
    println!("  {name:<28} {per_field:6.1} ns");
}

fn bench(count: u64) {
    let names = names(count);
    let fields = names.len();
    let limits = HashLimits::default();
    for (kind, expire) in [
        ("without deadlines", FieldExpire::Clear),
        ("with deadlines", FieldExpire::At(NOW + 1_000_000)),
    ] {
        let mut hash = filled(&names, expire);
        println!("{fields} fields {kind}: {}", hash.encoding().name());
        let bytes = hash.memory_bytes() as f64 / fields as f64;
        println!("  {:<28} {bytes:6.1} bytes", "memory");
        measure("fill", fields, || {
            black_box(filled(&names, expire));
        });
        measure("get", fields, || {
            for name in &names {
                black_box(hash.get(name.as_bytes(), NOW));
            }
        });
        measure("set anew", fields, || {
            for name in &names {
                hash.put(name.as_bytes(), b"12345678", expire, NOW, limits);
            }
        });
        measure("get all", fields, || {
            black_box(
                hash.iter(NOW)
                    .map(|(_, found)| found.value.len())
                    .sum::<usize>(),
            );
        });
    }
}

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![20, 1000, 1_000_000]
    } else {
        sizes
    };
    sizes.into_iter().for_each(bench);
}
