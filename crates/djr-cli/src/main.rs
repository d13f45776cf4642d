//! `djr-cli`: the command-line client.

fn main() {}
