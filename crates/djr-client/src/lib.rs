//! Async client for DJR, Redis and Valkey.

#![forbid(unsafe_code)]
