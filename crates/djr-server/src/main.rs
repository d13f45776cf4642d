//! `djr-server`: the daemon.

fn main() {}
