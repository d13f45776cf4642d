//! Helpers for the tests that run against a whole server.

pub mod facts;
pub mod random_commands;
pub mod reference;
