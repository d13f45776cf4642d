//! Helpers for the tests that run against a whole server.

#![forbid(unsafe_code)]

pub mod commands_doc;
pub mod facts;
pub mod random_commands;
pub mod reference;
