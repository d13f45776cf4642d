//! Why the log can't go on.

use std::io;
use std::path::Path;

/// Why something could not be logged. Cloned to everyone who asks, because a failed log stays failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A disk operation failed.
    #[error("can't {operation} {file}: {message}")]
    Io {
        /// What was tried: `write`, `fsync`, …
        operation: &'static str,
        /// The file's path.
        file: String,
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// The operating system's words.
        message: String,
    },
    /// The log was closed by a clean stop.
    #[error("the append-only file is closed")]
    Closed,
    /// A rewrite is running; there is one at a time.
    #[error("Background append only file rewriting already in progress")]
    RewriteInProgress,
}

impl LogError {
    pub(super) fn io(operation: &'static str, file: &Path, error: &io::Error) -> LogError {
        LogError::Io {
            operation,
            file: file.display().to_string(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}
