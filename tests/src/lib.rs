//! Helpers for the tests that run against a whole server.

#![forbid(unsafe_code)]

pub mod commands_doc;
pub mod comparison;
pub mod connection;
pub mod facts;
pub mod killable;
pub mod ours;
pub mod ports;
pub mod random_commands;
pub mod reference;
pub mod reply;
pub mod transcript;
