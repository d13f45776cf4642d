//! The process's allocator, and when it gives empty pages back to the system.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

/// To be the `#[global_allocator]` of a server's program: mimalloc.
pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay` in `mimalloc.h`: how long empty pages are kept, in milliseconds.
const PURGE_DELAY: c_int = 15;

// Of the library that `mimalloc` brings along.
unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Has empty pages kept until [`give_back`]. By itself the allocator gives back all those that any thread has emptied since a second ago, on
/// the thread that empties one just then: after many deletions that took a worker 40 ms.
pub fn keep_empty_pages() {
    // SAFETY: sets an atomic variable. It is a valid option in all versions since 2.0.
    unsafe { mi_option_set(PURGE_DELAY, c_long::from(i32::MAX)) };
}

/// Gives empty pages back. Takes some ten microseconds for 64 KiB: for a thread that nobody waits for.
pub fn give_back() {
    // SAFETY: may be called at any time, by any thread.
    unsafe { mi_collect(true) };
}
