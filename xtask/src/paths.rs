//! Where things are in this repository.

use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`.
///
/// Cargo names this crate's folder when it runs the verb; a binary started by hand falls back to
/// where it was built.
pub(crate) fn workspace() -> PathBuf {
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    crate_dir
        .parent()
        .map_or_else(|| crate_dir.clone(), Path::to_path_buf)
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
