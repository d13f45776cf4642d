//! Work on many keys, or on a whole server.
//!
//! | module | option |
//! |---|---|
//! | [`pipe`] | `--pipe`, with [`replies`] that counts what comes back |
//! | [`scan`] | `--scan`, and the walk over all keys that the others use |
//! | [`keys`] | `--bigkeys`, `--memkeys`, `--hotkeys` |
//! | [`keystats`] | `--keystats` |
//! | [`survey`] | what these ask about each key |
//! | [`rdb`] | `--rdb`, `--functions-rdb`, `--replica` |

pub(crate) mod keys;
pub(crate) mod keystats;
pub(crate) mod pipe;
pub(crate) mod rdb;
mod replies;
pub(crate) mod scan;
mod survey;

use std::io;

use djr_client::{ClientError, ServerError};

use crate::session::report;

/// Why the work ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BulkError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is to be printed, as it is.
    #[error("{0}")]
    Said(String),
    /// Standard output, or a file.
    #[error("{0}")]
    Output(#[from] io::Error),
}

impl From<ServerError> for BulkError {
    fn from(error: ServerError) -> BulkError {
        BulkError::Client(error.into())
    }
}

impl BulkError {
    /// Tells the user, unless it is he who has left (`| head`).
    pub(crate) fn report(&self) {
        match self {
            BulkError::Client(error) => report(error),
            BulkError::Said(line) => eprintln!("{line}"),
            BulkError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            BulkError::Output(error) => eprintln!("Error: {error}"),
        }
    }
}
