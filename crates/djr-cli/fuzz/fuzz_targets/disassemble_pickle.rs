//! Whatever a pickle says, reading and writing it ends, within limits on what is written.
#![no_main]

use djr_cli::decode::pickle::{Limits, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // Smaller than for people, so that each try is short.
    let limits = Limits {
        nodes_max: 10_000,
        steps_max: 20_000,
    };
    if let Ok(nodes) = read(input, &limits) {
        assert!(nodes.len() <= limits.nodes_max + 1);
        let _ = (nodes.to_python(), nodes.to_json());
    }
});
