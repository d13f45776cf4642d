//! What `djr-cli` knows of the values that others store, as a library for its fuzz targets and tests; the program is in
//! `main.rs`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod decode;
