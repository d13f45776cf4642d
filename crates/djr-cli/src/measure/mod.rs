//! How a server, or this machine, is doing: `--stat`, `--latency…`, `--intrinsic-latency`, `--lru-test`.

pub(crate) mod intrinsic;
pub(crate) mod latency;
pub(crate) mod lru_test;
pub(crate) mod stat;
