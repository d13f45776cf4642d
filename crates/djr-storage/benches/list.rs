//! Micro-benchmark of lists: `cargo bench -p djr-storage --bench list --profile quick [-- ELEMENTS…]`.
//!
//! Elements are 15 bytes (`element:1234567`). Times are nanoseconds per operation: *push* fills the list at one end, *pop* empties
//! it at the other; *queue* does one of each by turns on a list of that length; *range* is 100 elements at a random index, *index* and
//! *set* are at a random index. *Longest* is the longest single push, pop or insertion in the middle. Bytes are all that the structure
//! takes, divided by its elements.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

use djr_storage::types::list::{End, Side};
use djr_storage::types::{List, ListLimits, Object};

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

fn element(number: u64) -> [u8; 15] {
    let mut element = *b"element:0000000";
    let mut rest = number;
    for digit in element[8..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    element
}

/// Runs `step` so many times; nanoseconds per step.
fn time(count: u64, mut step: impl FnMut(u64)) -> f64 {
    let started = now();
    (0..count).for_each(&mut step);
    (now() - started) as f64 / count as f64
}

/// The longest of the steps, in nanoseconds.
fn longest(count: u64, mut step: impl FnMut(u64)) -> u64 {
    let timed = (0..count).map(|number| {
        let started = now();
        step(number);
        now() - started
    });
    timed.max().unwrap_or(0)
}

fn push(list: &mut List, end: End, number: u64, limits: ListLimits) {
    list.push(end, [&element(number)[..]].into_iter(), limits);
}

fn pop(list: &mut List, end: End, limits: ListLimits) {
    list.drain(end, 1, limits, |element| {
        black_box(element);
    });
}

fn run(count: u64, limits: ListLimits) {
    let mut list = List::new();
    let push_time = time(count, |n| push(&mut list, End::Front, n, limits));
    let bytes = list.memory_bytes() as f64 / count as f64;
    let some = 200_000;
    let queue = time(some, |n| {
        push(&mut list, End::Front, n, limits);
        pop(&mut list, End::Back, limits);
    });
    let some = 20_000;
    let index = time(some, |n| {
        black_box(list.get((mix(n) % count) as i64));
    });
    let set = time(some, |n| {
        list.set((mix(n) % count) as i64, &element(n), limits);
    });
    let range = time(some, |n| {
        let start = mix(n) % count.saturating_sub(100).max(1);
        list.iter_from(start as usize)
            .take(100)
            .for_each(|element| {
                black_box(element);
            });
    });
    let pop_time = time(count, |_| pop(&mut list, End::Back, limits));
    assert!(list.is_empty());

    let longest_push = longest(count, |n| push(&mut list, End::Back, n, limits));
    // The pivot is near the beginning, so that what is measured is not the search.
    let pivot = element(100.min(count - 1));
    let longest_insert = longest(count.min(20_000), |n| {
        list.insert(Side::After, &pivot, &element(n + count), limits);
    });
    let longest_pop = longest(count, |_| pop(&mut list, End::Front, limits));
    println!(
        "{count:>9} {:>5} {push_time:>7.1} {pop_time:>7.1} {queue:>7.1} {index:>8.1} {set:>8.1} {range:>8.1} {bytes:>7.2} {:>9.1}",
        limits.max_listpack_size,
        longest_push.max(longest_insert).max(longest_pop) as f64 / 1000.0
    );
}

fn main() {
    let counts: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let counts = if counts.is_empty() {
        vec![20, 1000, 100_000, 1_000_000]
    } else {
        counts
    };
    println!(
        " elements limit    push     pop   queue    index      set    range   bytes longest us"
    );
    for count in counts {
        for max_listpack_size in [-2, 1] {
            let limits = ListLimits {
                max_listpack_size,
                compress_depth: 0,
            };
            run(count, limits);
        }
    }
}
