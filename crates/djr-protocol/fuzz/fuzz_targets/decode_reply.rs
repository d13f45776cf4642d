//! Replies do not depend on how their bytes are split, and survive being encoded again.
//!
//! Input: how many cuts there are (a byte), the cuts, the stream.
#![no_main]

#[path = "../../tests/checks/mod.rs"]
mod checks;

use djr_protocol::Limits;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let [count, rest @ ..] = input
        && let Some((cuts, stream)) = rest.split_at_checked(usize::from(count & 7))
    {
        checks::decode_reply(stream, cuts, &Limits::default());
    }
});
