//! What can go wrong.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use djr_protocol::ReplyError;

use crate::options::Address;

/// Why a command has no reply, or which error the reply was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's answer is an error. The connection is fine.
    #[error(transparent)]
    Reply(#[from] ServerError),
    /// The URL can't be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The settings for TLS can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no connection to be had.
    #[error("Could not connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server closed the connection.
    #[error("Server closed the connection")]
    Closed,
    /// The connection was lost within a transaction, after `MULTI` or `WATCH`: it is to be begun again. Only with
    /// [`Options::reconnect`](crate::Options::reconnect): the next command gets a new connection.
    #[error("The connection was lost within a transaction")]
    TransactionLost,
    /// No reply within [`Options::reply_timeout`](crate::Options::reply_timeout).
    #[error("No reply within {}", seconds(*.0))]
    Timeout(Duration),
    /// What the server sent is not RESP. The connection can't be used any more.
    #[error("Protocol error: {0}")]
    Protocol(#[from] ReplyError),
    /// This command has no reply, or many: use [`Client::send`](crate::Client::send) and
    /// [`Client::receive`](crate::Client::receive).
    #[error("{0} doesn't have exactly one reply: use send and receive")]
    NotOneReply(&'static str),
    /// A command needs a name.
    #[error("A command needs at least its name")]
    EmptyCommand,
}

impl ClientError {
    /// Whether the connection is lost with this error.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        matches!(
            self,
            ClientError::Connect { .. }
                | ClientError::Io(_)
                | ClientError::Closed
                | ClientError::TransactionLost
                | ClientError::Protocol(_)
        )
    }
}

/// So that [`Client::connect`](crate::Client::connect) takes [`Options`](crate::Options) as well as what may not become some.
impl From<Infallible> for ClientError {
    fn from(never: Infallible) -> ClientError {
        match never {}
    }
}

/// An error reply: a code such as `ERR` or `WRONGTYPE`, and the text for people after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(.0))]
pub struct ServerError(pub(crate) Bytes);

impl ServerError {
    /// The whole text, as the server sent it.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The first word: `ERR`, `WRONGTYPE`, `NOAUTH`, `MOVED`, …
    ///
    /// ```
    /// # async fn run(client: &mut djr_client::Client) {
    /// use djr_client::ClientError;
    ///
    /// match client.command(&["INCR", "list"]).await {
    ///     Err(ClientError::Reply(error)) if error.code() == b"WRONGTYPE" => println!("not a number"),
    ///     other => println!("{other:?}"),
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn code(&self) -> &[u8] {
        self.0.split(|&byte| byte == b' ').next().unwrap_or(&self.0)
    }
}

impl From<Bytes> for ServerError {
    fn from(text: Bytes) -> ServerError {
        ServerError(text)
    }
}

/// Why a URL can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Neither of the schemes that are understood.
    #[error("Invalid URL scheme '{0}': redis://, rediss:// and unix:// are understood")]
    Scheme(String),
    /// A `%` without two hexadecimal digits.
    #[error("Incomplete percent encoding in the URL")]
    PercentEncoding,
    /// A character in the password that has a meaning in URLs: what comes after it was not taken for a part of the password.
    #[error("A '/', '?' or '%' in the password has to be percent-encoded in the URL")]
    Credentials,
    /// The text after the colon is not a port.
    #[error("Invalid port '{0}' in the URL")]
    Port(String),
    /// The path is not the number of a database.
    #[error("Invalid database number '{0}' in the URL")]
    Db(String),
    /// A query parameter with an unknown name or value.
    #[error("Unknown parameter '{0}' in the URL")]
    Parameter(String),
    /// `unix://` without a path.
    #[error("A unix:// URL needs the path of a socket")]
    NoPath,
}

/// Why TLS can't be used as it was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Neither a host name nor an IP address.
    #[error("Invalid server name '{0}' for TLS")]
    ServerName(String),
    /// A file that can't be read, or doesn't hold what it should.
    #[error("Can't use {}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody to trust.
    #[error("No certificate authorities to trust: {0}")]
    Authorities(String),
    /// A certificate without a key, or the other way round.
    #[error("A client certificate needs its private key, and a key its certificate")]
    HalfIdentity,
    /// None of these cipher suites is known.
    #[error("None of the ciphers '{0}' is supported")]
    Ciphers(String),
    /// What rustls says.
    #[error("TLS: {0}")]
    Settings(#[from] rustls::Error),
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
