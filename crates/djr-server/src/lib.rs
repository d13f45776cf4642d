//! The DJR server: workers, sessions, configuration, administration.

#![forbid(unsafe_code)]
