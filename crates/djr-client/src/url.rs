//! Connection URLs.
//!
//! ```text
//! redis://[[user]:password@]host[:port][/db][?db=N&protocol=2|3&timeout=SECONDS&connect_timeout=SECONDS]
//! rediss://…[?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE&ssl_cert_reqs=required|none&ssl_check_hostname=true|false]
//! unix://[[user]:password@]/path/to/socket[?db=N&…]
//! ```
//!
//! Parts are percent-decoded. `redis+unix://`, `valkey://` and `valkeys://` are understood too. The
//! parameters of TLS are those of redis-py, and so of Django and Celery; `socket_timeout` and `socket_connect_timeout` are
//! other names of the timeouts. A timeout of 0 is none.
//! A single word before the `@` is the password, as `redis-cli -u` has it.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::UrlError;
use crate::options::{Address, Options, Protocol};
use crate::tls::{Tls, Verify};

pub(crate) fn parse(url: &str) -> Result<Options, UrlError> {
    parse_parts(url).map_err(|error| match error {
        // A '/' or a '?' in a password ended it too early. The text that makes no sense is a part of it, so it is not told.
        UrlError::Port(text) | UrlError::Db(text) if is_unencoded(url, &text) => {
            UrlError::Credentials
        }
        error => error,
    })
}

/// Whether an '@' comes after this part of the URL, before its parameters.
fn is_unencoded(url: &str, part: &str) -> bool {
    let at = url.rfind('@');
    at.is_some_and(|at| url.find(part).is_some_and(|begin| begin < at))
}

fn parse_parts(url: &str) -> Result<Options, UrlError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| {
        // Without a scheme there may be a password before the '@'.
        let (_, host) = url.rsplit_once('@').unwrap_or(("", url));
        UrlError::Scheme(host.to_owned())
    })?;
    let (unix, tls) = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => (false, None),
        "unix" | "redis+unix" => (true, None),
        "rediss" | "valkeys" => (false, Some(Tls::default())),
        _ => return Err(UrlError::Scheme(scheme.to_owned())),
    };
    let mut options = Options {
        tls,
        ..Options::default()
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, query),
        None => (rest, ""),
    };
    // The credentials end at the last '@' before the path; passwords with a '/' must encode it.
    let authority_len = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_len);
    let host = match authority.rsplit_once('@') {
        Some((credentials, host)) => {
            set_credentials(&mut options, credentials)?;
            host
        }
        None => authority,
    };
    if unix {
        let path = decode(&format!("{host}{path}"))?;
        if path.is_empty() {
            return Err(UrlError::NoPath);
        }
        options.address = Address::Unix(path_of(path));
    } else {
        options.address = tcp(host)?;
        let db = path.trim_start_matches('/');
        if !db.is_empty() {
            options.db = db.parse().map_err(|_| UrlError::Db(db.to_owned()))?;
        }
    }
    for parameter in query.split('&').filter(|text| !text.is_empty()) {
        set_parameter(&mut options, parameter)?;
    }
    Ok(options)
}

fn set_credentials(options: &mut Options, credentials: &str) -> Result<(), UrlError> {
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, password),
        None => ("", credentials),
    };
    if !user.is_empty() {
        options.username = Some(String::from_utf8_lossy(&decode(user)?).into_owned());
    }
    if !password.is_empty() {
        options.password = Some(decode(password)?);
    }
    Ok(())
}

fn tcp(host: &str) -> Result<Address, UrlError> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // [::1]:6379
        Some((name, after)) => (name, after.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let port = match port {
        None | Some("") => 6379,
        Some(text) => text.parse().map_err(|_| UrlError::Port(text.to_owned()))?,
    };
    let name = if name.is_empty() {
        "127.0.0.1".to_owned()
    } else {
        String::from_utf8_lossy(&decode(name)?).into_owned()
    };
    Ok(Address::Tcp(name, port))
}

fn set_parameter(options: &mut Options, parameter: &str) -> Result<(), UrlError> {
    let unknown = || UrlError::Parameter(parameter.to_owned());
    let (name, value) = parameter.split_once('=').ok_or_else(unknown)?;
    match name {
        "db" => options.db = value.parse().map_err(|_| UrlError::Db(value.to_owned()))?,
        "protocol" => {
            options.protocol = match value {
                "2" | "resp2" => Protocol::Resp2,
                "3" | "resp3" => Protocol::Resp3,
                _ => return Err(unknown()),
            }
        }
        "timeout" | "socket_timeout" => {
            options.reply_timeout = timeout(value).ok_or_else(unknown)?;
        }
        "connect_timeout" | "socket_connect_timeout" => {
            options.connect_timeout = timeout(value).ok_or_else(unknown)?;
        }
        _ => {
            let tls = options.tls.as_mut().ok_or_else(unknown)?;
            return set_tls_parameter(tls, name, value).ok_or_else(unknown)?;
        }
    }
    Ok(())
}

/// Seconds; 0 is no limit.
fn timeout(value: &str) -> Option<Option<Duration>> {
    let limit = Duration::try_from_secs_f64(value.parse().ok()?).ok()?;
    Some(Some(limit).filter(|limit| !limit.is_zero()))
}

/// `None`: there is no such parameter, or it can't have that value.
fn set_tls_parameter(tls: &mut Tls, name: &str, value: &str) -> Option<Result<(), UrlError>> {
    let path = match decode(value) {
        Ok(bytes) => Some(path_of(bytes)),
        Err(error) => return Some(Err(error)),
    };
    match (name, value.to_ascii_lowercase().as_str()) {
        ("ssl_ca_certs", _) => tls.ca_file = path,
        ("ssl_ca_path", _) => tls.ca_dir = path,
        ("ssl_certfile", _) => tls.cert = path,
        ("ssl_keyfile", _) => tls.key = path,
        ("ssl_cert_reqs", "none" | "cert_none") => tls.verify = Verify::Nothing,
        // Of a server that is always verified; "optional" makes a difference to servers only.
        ("ssl_cert_reqs", "required" | "cert_required" | "optional" | "cert_optional") => {}
        ("ssl_check_hostname", "true") => {}
        ("ssl_check_hostname", "false") if tls.verify == Verify::Full => {
            tls.verify = Verify::AnyName
        }
        ("ssl_check_hostname", "false") => {}
        _ => return None,
    }
    Some(Ok(()))
}

fn decode(text: &str) -> Result<Vec<u8>, UrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(out),
            [b'%', high, low, tail @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err(UrlError::PercentEncoding);
                };
                out.push((high << 4 | low) as u8);
                tail
            }
            [b'%', ..] => return Err(UrlError::PercentEncoding),
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("redis://", "127.0.0.1:6379", None, None, 0)]
    #[case("redis://h", "h:6379", None, None, 0)]
    #[case("REDIS://h:1/", "h:1", None, None, 0)]
    #[case("redis://h:1/15", "h:1", None, None, 15)]
    #[case("redis://h?db=3", "h:6379", None, None, 3)]
    #[case("redis://:p@h", "h:6379", None, Some("p"), 0)]
    #[case("redis://p@h", "h:6379", None, Some("p"), 0)]
    #[case("redis://u:p@h", "h:6379", Some("u"), Some("p"), 0)]
    #[case("redis://u:p%40%2fx@h/1", "h:6379", Some("u"), Some("p@/x"), 1)]
    #[case("redis://u:a@b@h", "h:6379", Some("u"), Some("a@b"), 0)]
    #[case("redis://[::1]:7/2", "::1:7", None, None, 2)]
    #[case("redis://[::1]", "::1:6379", None, None, 0)]
    #[case("valkey://h", "h:6379", None, None, 0)]
    #[case("unix:///run/djr.sock", "/run/djr.sock", None, None, 0)]
    #[case("unix://u:p@/run/a%20b?db=2", "/run/a b", Some("u"), Some("p"), 2)]
    #[case("unix://rel.sock", "rel.sock", None, None, 0)]
    fn reads(
        #[case] url: &str,
        #[case] address: &str,
        #[case] user: Option<&str>,
        #[case] password: Option<&str>,
        #[case] db: u32,
    ) {
        let options = parse(url).unwrap();
        assert_eq!(options.address.to_string(), address);
        assert_eq!(options.username.as_deref(), user);
        assert_eq!(options.password.as_deref(), password.map(str::as_bytes));
        assert_eq!(options.db, db);
    }

    #[rstest]
    #[case("h:6379", UrlError::Scheme("h:6379".into()))]
    #[case("http://h", UrlError::Scheme("http".into()))]
    #[case("redis://h?ssl_cert_reqs=none", UrlError::Parameter("ssl_cert_reqs=none".into()))]
    #[case("rediss://h?ssl_cert_reqs=what", UrlError::Parameter("ssl_cert_reqs=what".into()))]
    #[case("redis://h:x", UrlError::Port("x".into()))]
    #[case("redis://h:65536", UrlError::Port("65536".into()))]
    #[case("redis://h/a", UrlError::Db("a".into()))]
    #[case("redis://h/-1", UrlError::Db("-1".into()))]
    #[case("redis://%4@h", UrlError::PercentEncoding)]
    #[case("redis://h?x=1", UrlError::Parameter("x=1".into()))]
    #[case("redis://h?protocol=4", UrlError::Parameter("protocol=4".into()))]
    #[case("redis://h?timeout=-1", UrlError::Parameter("timeout=-1".into()))]
    #[case("redis://h?timeout=1e300", UrlError::Parameter("timeout=1e300".into()))]
    #[case("redis://h?timeout=NaN", UrlError::Parameter("timeout=NaN".into()))]
    #[case("redis://h/4294967296", UrlError::Db("4294967296".into()))]
    #[case("redis://u:se/cret@h", UrlError::Credentials)]
    #[case("redis://u:se?cret@h", UrlError::Credentials)]
    #[case("redis://:7/cret@h", UrlError::Credentials)]
    #[case("u:secret@h", UrlError::Scheme("h".into()))]
    #[case("unix://", UrlError::NoPath)]
    fn refuses(#[case] url: &str, #[case] error: UrlError) {
        assert_eq!(parse(url).unwrap_err(), error);
    }

    #[rstest]
    #[case("redis://h", None, Some(5.0))]
    #[case("redis://h?timeout=1.5", Some(1.5), Some(5.0))]
    #[case(
        "redis://h?socket_timeout=2&socket_connect_timeout=0.5",
        Some(2.0),
        Some(0.5)
    )]
    #[case("redis://h?timeout=0&connect_timeout=0", None, None)]
    fn reads_timeouts(#[case] url: &str, #[case] reply: Option<f64>, #[case] connect: Option<f64>) {
        let options = parse(url).unwrap();
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        assert_eq!(seconds(options.reply_timeout), reply);
        assert_eq!(seconds(options.connect_timeout), connect);
    }

    #[test]
    fn reads_tls() {
        assert_eq!(parse("redis://h").unwrap().tls, None);
        assert_eq!(parse("valkeys://h:1").unwrap().tls, Some(Tls::default()));
        let url = "rediss://h?ssl_ca_certs=%2fca.pem&ssl_certfile=c&ssl_keyfile=k&ssl_check_hostname=false";
        let expected = Tls {
            ca_file: Some("/ca.pem".into()),
            cert: Some("c".into()),
            key: Some("k".into()),
            verify: Verify::AnyName,
            ..Tls::default()
        };
        assert_eq!(parse(url).unwrap().tls, Some(expected));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(redis|rediss|unix)://[a-z:@/%0-9?=&\\[\\]é]{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn decodes_what_was_encoded(bytes: Vec<u8>) {
            let text: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decode(&text).unwrap(), bytes);
        }
    }
}
