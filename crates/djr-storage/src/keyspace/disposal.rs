//! Freeing what is large, by whoever has the time for it: giving back the memory of a million elements takes milliseconds, in which nobody
//! should have to wait for a shard's lock.
//!
//! This crate starts no threads. Whoever embeds it names a [disposer](dispose_with); without one everything is freed on the spot. It is one per
//! process: values that are gone belong to no keyspace any more.

use std::sync::OnceLock;

use crate::value::Value;

/// What takes this many bytes is freed by the disposer. Below that, handing it over would take longer than freeing it.
pub const LARGE_BYTES: usize = 256 << 10;

type Disposer = Box<dyn Fn(Value) + Send + Sync>;

static DISPOSER: OnceLock<Disposer> = OnceLock::new();

/// Has large values that are removed or overwritten handed to `disposer`, under the lock of their shard: it is to send them elsewhere, quickly.
/// The first one named stays.
pub fn dispose_with(disposer: impl Fn(Value) + Send + Sync + 'static) {
    let _ = DISPOSER.set(Box::new(disposer));
}

/// Who frees a value that takes so many bytes; `None`: it is to be freed here and now.
#[inline]
pub(super) fn disposer(bytes: usize) -> Option<&'static (dyn Fn(Value) + Send + Sync)> {
    if bytes < LARGE_BYTES {
        return None;
    }
    DISPOSER.get().map(|disposer| &**disposer)
}
