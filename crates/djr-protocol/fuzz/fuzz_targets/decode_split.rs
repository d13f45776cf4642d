//! Requests do not depend on how their bytes are split, and are those of the model.
//!
//! Input: how many cuts there are (a byte), the cuts, the stream. The number's highest bit: not authenticated.
#![no_main]

#[path = "../../tests/checks/mod.rs"]
mod checks;

use djr_protocol::Limits;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let [count, rest @ ..] = input
        && let Some((cuts, stream)) = rest.split_at_checked(usize::from(count & 7))
    {
        let limits = Limits {
            authenticated: count & 0x80 == 0,
            inline_len_max: 64,
            ..Limits::default()
        };
        checks::decode_split(stream, cuts, &limits);
    }
});
