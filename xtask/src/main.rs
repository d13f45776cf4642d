//! The verbs of this repository: `cargo xtask WORD`.

fn main() {}
