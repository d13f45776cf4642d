//! Helpers for the tests that run against a whole server.
