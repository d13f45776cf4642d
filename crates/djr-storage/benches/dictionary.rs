//! Micro-benchmark of dictionaries: `cargo bench -p djr-storage --bench dictionary --profile quick [-- MEMBERS…]`.
//!
//! Members are `member:000000000123`, added and looked up in random order. Processor time in nanoseconds per operation, and the
//! longest single one in microseconds.

use std::hint::black_box;
use std::time::Instant;

use djr_storage::types::Dictionary;
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Numbers below `count` in an order that looks random: each once, as `count` is made odd and the step is prime.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| (index * 2_654_435_761) % count)
}

fn text(number: u64, buffer: &mut Vec<u8>) -> &[u8] {
    use std::io::Write;
    buffer.clear();
    let _ = write!(buffer, "member:{number:012}");
    buffer
}

/// Runs `operation` for each number and prints time per operation and the longest one.
fn measure(name: &str, count: u64, mut operation: impl FnMut(&[u8])) {
    let mut buffer = Vec::new();
    // What making the text costs is taken off.
    let begin = now();
    for number in shuffled(count) {
        black_box(text(number, &mut buffer));
    }
    let overhead = now() - begin;
    let begin = now();
    for number in shuffled(count) {
        operation(text(number, &mut buffer));
    }
    let total = (now() - begin).saturating_sub(overhead);
    println!("  {name:<28} {:6.1} ns", total as f64 / count as f64);
}

fn longest(name: &str, count: u64, mut operation: impl FnMut(&[u8])) {
    let mut buffer = Vec::new();
    let mut longest = 0;
    for number in shuffled(count) {
        let member = text(number, &mut buffer);
        let begin = now();
        operation(member);
        let took = now() - begin;
        longest = longest.max(took);
    }
    println!("  {name:<28} {:6.0} us longest", longest as f64 / 1000.0);
}

fn bench(members: u64) {
    let count = members | 1;
    println!("{count} members");
    let mut set = Dictionary::<()>::new();
    measure("insert", count, |member| {
        black_box(set.insert_new(member, ()));
    });
    println!(
        "  {:<28} {:6.1} bytes per member",
        "memory",
        set.memory_bytes() as f64 / count as f64
    );
    measure("find", count, |member| {
        black_box(set.contains(member));
    });
    let begin = now();
    let (mut cursor, mut seen) = (0, 0);
    loop {
        cursor = set.scan(cursor, 100, |entry| seen += entry.member().len());
        if cursor == 0 {
            break;
        }
    }
    black_box(seen);
    println!(
        "  {:<28} {:6.1} ns",
        "scan by 100",
        (now() - begin) as f64 / count as f64
    );
    let begin = now();
    let clone = set.clone();
    println!(
        "  {:<28} {:6.1} ns",
        "clone",
        (now() - begin) as f64 / count as f64
    );
    let begin = Instant::now();
    drop(clone);
    println!(
        "  {:<28} {:6.0} us",
        "drop all",
        begin.elapsed().as_nanos() as f64 / 1000.0
    );
    measure("remove and tidy", count, |member| {
        black_box(set.remove(member));
        set.tidy_step(|_, _| {});
    });
    let mut scores = Dictionary::<f64>::new();
    longest("insert with a score", count, |member| {
        black_box(scores.insert(member, 1.0));
    });
    longest("remove with a score", count, |member| {
        black_box(scores.remove(member));
        scores.tidy_step(|_, _| {});
    });
}

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![130, 10_000, 1_000_000]
    } else {
        sizes
    };
    sizes.into_iter().for_each(bench);
}
