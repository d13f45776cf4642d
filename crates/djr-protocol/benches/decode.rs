//! Nanoseconds per message of the codec: `cargo bench -p djr-protocol`. An argument picks the rows that contain it.
//!
//! Each row is the best of many runs over a whole buffer, which is what the code costs when nothing else disturbs it.

use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use djr_protocol::{
    Batch, Limits, ReplyDecoder, ReplyEncoder, RequestDecoder, RespVersion, encode_command,
    format_double,
};

const PIPELINE: usize = 100;
const ROUNDS: usize = 2_000;

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let measure = |name: &str, messages: usize, run: &mut dyn FnMut()| {
        if name.contains(&filter) {
            let best = (0..ROUNDS).map(|_| time(run)).fold(f64::INFINITY, f64::min);
            println!("{name:<40} {:>8.1} ns", best / messages as f64);
        }
    };

    let key = b"key:000000000001";
    let value = [b'x'; 64];
    let requests: [(&str, Vec<&[u8]>); 4] = [
        ("PING", vec![b"PING"]),
        ("GET, key of 16", vec![b"GET", key]),
        ("SET, key of 16, value of 64", vec![b"SET", key, &value]),
        (
            "MSET of 10 pairs",
            [&b"MSET"[..]]
                .into_iter()
                .chain([&key[..], &value[..]].into_iter().cycle().take(20))
                .collect(),
        ),
    ];
    let limits = Limits::default();
    for (name, args) in &requests {
        let mut input = Vec::new();
        for _ in 0..PIPELINE {
            encode_command(&mut input, args);
        }
        let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
        measure(&format!("decode {name}"), PIPELINE, &mut || {
            batch.clear();
            let taken = decoder.decode(black_box(&input), &limits, &mut batch);
            assert_eq!(taken, Ok(input.len()));
        });
        measure(
            &format!("look at the arguments of {name}"),
            PIPELINE,
            &mut || {
                let sum: usize = batch
                    .iter(black_box(&input))
                    .map(|request| request.iter().map(<[u8]>::len).sum::<usize>())
                    .sum();
                black_box(sum);
            },
        );
        measure(&format!("encode {name}"), PIPELINE, &mut || {
            input.clear();
            for _ in 0..PIPELINE {
                encode_command(&mut input, black_box(args));
            }
        });
    }

    let mut out = Vec::new();
    for version in [RespVersion::V2, RespVersion::V3] {
        let mut reply = |name: &str, write: &dyn Fn(&mut ReplyEncoder<'_>)| {
            measure(&format!("reply {name} {version:?}"), PIPELINE, &mut || {
                out.clear();
                let mut encoder = ReplyEncoder::new(&mut out, version);
                for _ in 0..PIPELINE {
                    write(&mut encoder);
                }
                black_box(&out);
            });
        };
        reply("OK", &|reply| reply.ok());
        reply("null", &|reply| reply.null());
        reply("integer 1", &|reply| reply.integer(black_box(1)));
        reply("integer of 12 digits", &|reply| {
            reply.integer(black_box(123_456_789_012))
        });
        reply("bulk of 64", &|reply| reply.bulk(black_box(&value)));
        reply("double 0.1", &|reply| reply.double(black_box(0.1)));
    }
    measure("double of 17 digits", PIPELINE, &mut || {
        out.clear();
        for _ in 0..PIPELINE {
            format_double(black_box(13.361_389_338_970_184), &mut out);
        }
    });

    for (name, text) in [
        ("bulk of 64", [&b"$64\r\n"[..], &value, b"\r\n"].concat()),
        ("OK", b"+OK\r\n".to_vec()),
    ] {
        let stream = text.repeat(PIPELINE);
        let mut decoder = ReplyDecoder::new();
        measure(&format!("decode reply {name}"), PIPELINE, &mut || {
            let mut input = BytesMut::from(&stream[..]);
            let mut values = 0;
            while let Ok(Some(value)) = decoder.decode(&mut input, &limits) {
                black_box(value);
                values += 1;
            }
            assert_eq!(values, PIPELINE);
        });
    }
}

fn time(run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64
}
