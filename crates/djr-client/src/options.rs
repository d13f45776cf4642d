//! Where to connect to, and how.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use djr_protocol::Limits;

use crate::error::UrlError;
use crate::tls::Tls;
use crate::url;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A name or an IP address (IPv6 without brackets), and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Default for Address {
    fn default() -> Address {
        Address::Tcp("127.0.0.1".to_owned(), 6379)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Which protocol to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2: `HELLO` is not sent at all.
    Resp2,
    /// RESP3 if the server knows `HELLO`, RESP2 otherwise.
    #[default]
    Auto,
    /// RESP3, or no connection.
    Resp3,
}

/// Whether a lost connection is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reconnect {
    /// Every further command fails.
    #[default]
    Never,
    /// Before the next command, with this many attempts. The first is made at once, then the client waits for
    /// `delay`, and twice as long after each further attempt, up to a second.
    Attempts {
        /// How often to try, at least once.
        attempts: u32,
        /// How long to wait after the first attempt that failed.
        delay: Duration,
    },
}

/// How to connect. Public fields with defaults; a URL becomes one by [`str::parse`].
///
/// ```
/// use djr_client::{Address, Options};
///
/// let options: Options = "redis://worker:secret@broker.example:6380/2".parse()?;
/// assert_eq!(options.address, Address::Tcp("broker.example".into(), 6380));
/// assert_eq!(options.username.as_deref(), Some("worker"));
/// assert_eq!(options.db, 2);
///
/// let local = Options { db: 1, ..Options::default() };
/// assert_eq!(local.address.to_string(), "127.0.0.1:6379");
/// # Ok::<(), djr_client::UrlError>(())
/// ```
#[derive(Clone)]
pub struct Options {
    /// Where the server listens; 127.0.0.1, port 6379.
    pub address: Address,
    /// TLS, or none.
    pub tls: Option<Tls>,
    /// Which addresses of a host to try first; in the order of the resolver.
    pub prefer_ip: Option<IpVersion>,
    /// Multipath TCP, where the operating system has it; no.
    pub mptcp: bool,
    /// The ACL user; without one a password is that of `default`.
    pub username: Option<String>,
    /// The password, or none.
    pub password: Option<Vec<u8>>,
    /// The database to begin with; 0.
    pub db: u32,
    /// Which protocol to speak; RESP3 if possible.
    pub protocol: Protocol,
    /// How long connecting may take, the handshake included; 5 seconds. If a name has many addresses, each gets an equal part of
    /// what is left. `None` waits as long as the system does.
    pub connect_timeout: Option<Duration>,
    /// How long a reply may take; in a pipeline, each from the one before. `None`, the default, waits for ever, as blocking
    /// commands may need.
    pub reply_timeout: Option<Duration>,
    /// After which idle time TCP asks whether the peer is still there; 15 seconds. A peer that is gone without a word is noticed
    /// after twice that time, also while something is under way to it (on Linux).
    pub keepalive: Option<Duration>,
    /// Whether a lost connection is replaced; no.
    pub reconnect: Reconnect,
    /// How many pushed messages are kept until they are asked for; 1,000,000. The oldest go first, and
    /// [`Client::pushes_lost`](crate::Client::pushes_lost) counts them.
    pub pushes_max: usize,
    /// Bounds on what the server may send.
    pub limits: Limits,
    /// Whether doubles come digit for digit as the server wrote them, as
    /// [`Value::DoubleText`](crate::Value::DoubleText); no.
    pub keep_double_text: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            address: Address::default(),
            tls: None,
            prefer_ip: None,
            mptcp: false,
            username: None,
            password: None,
            db: 0,
            protocol: Protocol::default(),
            connect_timeout: Some(Duration::from_secs(5)),
            reply_timeout: None,
            keepalive: Some(Duration::from_secs(15)),
            reconnect: Reconnect::default(),
            pushes_max: 1_000_000,
            limits: Limits::default(),
            keep_double_text: false,
        }
    }
}

/// Leaves the password out: options end up in logs.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("address", &self.address)
            .field("tls", &self.tls)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("db", &self.db)
            .field("protocol", &self.protocol)
            .field("connect_timeout", &self.connect_timeout)
            .field("reply_timeout", &self.reply_timeout)
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}

impl FromStr for Options {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Options, UrlError> {
        url::parse(text)
    }
}

impl TryFrom<&str> for Options {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Options, UrlError> {
        url::parse(text)
    }
}

impl TryFrom<&String> for Options {
    type Error = UrlError;

    fn try_from(text: &String) -> Result<Options, UrlError> {
        url::parse(text)
    }
}

impl From<&Options> for Options {
    fn from(options: &Options) -> Options {
        options.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell_the_password() {
        let options: Options = "redis://:hunter2@h".parse().unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
