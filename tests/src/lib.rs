//! Helpers for the tests that run against a whole server.

pub mod facts;
