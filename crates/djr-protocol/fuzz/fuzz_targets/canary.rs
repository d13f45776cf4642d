//! Crashes on purpose: `cargo xtask smoke` checks that the fuzzer finds it, and so that it could find anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    assert!(!input.starts_with(b"tweet"), "the canary sings");
});
