//! Every decoder, from the outermost layer on: zlib, gzip, xz, zstd, LZ4, base64, JSON, MessagePack, pickle; and a body of
//! Celery's. Nothing of that panics, and memory stays within the fuzzer's bounds.
#![no_main]

use djr_cli::decode::{Content, decode, message_body};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let decoded = decode(input);
    assert!(decoded.layers.len() <= 7, "{:?}", decoded.layers);
    let _ = (decoded.to_text(), decoded.to_json());
    if let Content::Json(message) = &decoded.content
        && let Some(body) = message_body(message)
    {
        let _ = body.to_text();
    }
});
