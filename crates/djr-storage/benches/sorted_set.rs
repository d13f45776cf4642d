//! Micro-benchmark of sorted sets: `cargo bench -p djr-storage --bench sorted_set --profile quick [-- MEMBERS…]`.
//!
//! Members are 14 bytes (`member:1234567`), scores are random, except for *lex*: all are 0. Times are nanoseconds per operation, over
//! all members in random order; *range* is 100 members by rank. *Longest* is the longest single insertion or removal. Bytes are all that the
//! structure takes, divided by its members.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

use djr_storage::types::{Object, SortedSet, SortedSetLimits};

/// Processor time of this thread: what others do meanwhile does not count.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn mix(key: u64) -> u64 {
    let mixed = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn member(number: u64) -> [u8; 14] {
    let mut member = *b"member:0000000";
    let mut rest = number;
    for digit in member[7..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    member
}

/// Each number below `count`, in an order that looks random.
fn shuffled(count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    numbers.sort_by_key(|number| mix(*number));
    numbers
}

/// Runs `step` for each number; nanoseconds per step.
fn time(numbers: &[u64], mut step: impl FnMut(u64)) -> f64 {
    let started = now();
    numbers.iter().for_each(|number| step(*number));
    (now() - started) as f64 / numbers.len() as f64
}

/// The longest of the steps, in nanoseconds.
fn longest(numbers: &[u64], mut step: impl FnMut(u64)) -> u64 {
    let timed = numbers.iter().map(|number| {
        let started = now();
        step(*number);
        now() - started
    });
    timed.max().unwrap_or(0)
}

fn run(count: u64) {
    let limits = SortedSetLimits::default();
    let numbers = shuffled(count);
    let score = |number: u64| (mix(number ^ 0x55) % (10 * count)) as f64 / 4.0;
    let mut set = SortedSet::new();
    let insert = time(&numbers, |n| {
        set.insert(&member(n), score(n), &limits);
    });
    let bytes = set.memory_bytes() as f64 / count as f64;
    let get = time(&numbers, |n| {
        black_box(set.score(&member(n)));
    });
    let rank = time(&numbers, |n| {
        black_box(set.rank(&member(n)));
    });
    let some = &numbers[..numbers.len().min(20_000)];
    let range = time(some, |n| {
        let start = n as usize;
        for (member, score) in set.range(start..start + 100) {
            black_box((member.len(), score));
        }
    });
    let update = time(&numbers, |n| {
        set.insert(&member(n), score(n) + 1000.0, &limits);
    });
    let small_update = time(&numbers, |n| {
        set.insert(&member(n), score(n) + 1000.0 + 1e-6, &limits);
    });
    let remove = time(&numbers, |n| {
        set.remove(&member(n));
    });
    let mut lex = SortedSet::new();
    let lex_insert = time(&numbers, |n| {
        lex.insert(&member(n), 0.0, &limits);
    });
    let mut timed = SortedSet::new();
    let longest_insert = longest(&numbers, |n| {
        timed.insert(&member(n), score(n), &limits);
    });
    let longest_remove = longest(&numbers, |n| {
        timed.remove(&member(n));
    });
    println!(
        "{count:>9} | {insert:>6.0} {lex_insert:>6.0} {update:>6.0} {small_update:>6.0} {remove:>6.0} | {get:>6.0} {rank:>6.0} {range:>6.0} \
         | {bytes:>5.1} | {:>7.1} {:>7.1}",
        longest_insert as f64 / 1000.0,
        longest_remove as f64 / 1000.0,
    );
}

fn main() {
    let chosen: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if chosen.is_empty() {
        vec![1_000, 100_000, 1_000_000]
    } else {
        chosen
    };
    println!(
        "          |             changes, ns            |      looks, ns       |       |   longest, us"
    );
    println!(
        "  members | insert    lex update  small remove |    get   rank  range | bytes |  insert  remove"
    );
    sizes.into_iter().for_each(run);
}
