//! Micro-benchmark of streams: `cargo bench -p djr-storage --bench streams --profile quick [-- ENTRIES…]`.
//!
//! Entries have two fields with short values, as task queues have them. Times are the medians of several rounds, in nanoseconds
//! per entry.

use std::hint::black_box;

use djr_storage::types::stream::{Group, Pending, StreamId, Trim, TrimTo};
use djr_storage::types::{Object, Stream, StreamLimits};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 5;
const WORDS: [&[u8]; 4] = [b"task", b"send-mail-to-someone", b"retries", b"3"];

fn main() {
    let counts: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let counts = if counts.is_empty() {
        vec![100, 10_000, 1_000_000]
    } else {
        counts
    };
    println!(
        "{:>9}  {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "entries", "append", "walk", "back", "seek", "deliver", "ack", "bytes"
    );
    for count in counts {
        let mut times = [const { Vec::new() }; 6];
        let mut bytes = 0.0;
        for _ in 0..ROUNDS {
            bytes = round(count, &mut times);
        }
        print!("{count:>9} ");
        for mut times in times {
            times.sort_by(f64::total_cmp);
            print!(" {:>7.1}", times[times.len() / 2]);
        }
        println!(" {bytes:>7.1}");
    }
}

/// Returns bytes per entry.
fn round(count: u64, times: &mut [Vec<f64>; 6]) -> f64 {
    let limits = StreamLimits::default();
    let mut stream = Stream::default();
    let [append, walk, back, seek, deliver, acknowledge] = times;
    append.push(per_entry(count, || {
        for number in 1..=count {
            let id = StreamId::new(1_700_000_000_000 + number, 0);
            stream.append(id, 2, |index| WORDS[index], &limits);
        }
    }));
    let bytes = stream.memory_bytes() as f64 / count as f64;
    let entries = stream.entries();
    walk.push(per_entry(count, || {
        for entry in entries.range(StreamId::MIN, StreamId::MAX) {
            for word in entry.words() {
                black_box(word);
            }
        }
    }));
    back.push(per_entry(count, || {
        black_box(entries.range_back(StreamId::MIN, StreamId::MAX).count());
    }));
    seek.push(per_entry(count, || {
        for number in 0..count {
            let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
            black_box(entries.get(StreamId::new(1_700_000_000_001 + number, 0)));
        }
    }));
    stream.add_group(b"group", Group::new(StreamId::MIN, Some(0)));
    deliver.push(per_entry(count, || {
        stream.update_group(b"group", |entries, group| {
            let (consumer, _) = group.add_consumer(b"consumer", 0);
            while let Some(entry) = group
                .last_id
                .next()
                .and_then(|next| entries.range(next, StreamId::MAX).next())
            {
                group.advance(entries, entry.id());
                let pending = Pending {
                    consumer,
                    delivered_at: 0,
                    deliveries: 1,
                };
                group.assign(entry.id(), pending);
            }
        });
    }));
    acknowledge.push(per_entry(count, || {
        stream.update_group(b"group", |_, group| {
            for number in 1..=count {
                group.acknowledge(StreamId::new(1_700_000_000_000 + number, 0));
            }
        });
    }));
    let trim = Trim {
        to: TrimTo::MaxLen(0),
        approximate: false,
        limit: 0,
        references: Default::default(),
    };
    black_box(stream.trim(&trim));
    bytes
}

fn per_entry(count: u64, run: impl FnOnce()) -> f64 {
    let start = cpu_nanoseconds();
    run();
    (cpu_nanoseconds() - start) as f64 / count as f64
}

/// Of this thread: others may be busy.
fn cpu_nanoseconds() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
