//! The commands of DJR: declaration, parsing, execution, effects.

#![forbid(unsafe_code)]
