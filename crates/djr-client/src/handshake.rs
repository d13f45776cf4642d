//! What is said first on a new connection: who we are, which protocol, which database. All in one write.

use djr_protocol::{RespVersion, Value};

use crate::connection::Connection;
use crate::error::{ClientError, ServerError};
use crate::options::{Options, Protocol};

/// Agrees with the server on what `options` ask for.
pub(crate) async fn shake_hands(
    connection: &mut Connection,
    options: &Options,
) -> Result<RespVersion, ClientError> {
    let mut version = RespVersion::V2;
    if options.protocol != Protocol::Resp2 {
        match hello(connection, options).await {
            Ok(()) => version = RespVersion::V3,
            // Servers before Redis 6, and proxies, don't know HELLO.
            Err(ClientError::Reply(error))
                if options.protocol == Protocol::Auto && is_unknown_hello(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let auth = (version == RespVersion::V2)
        .then_some(options.password.as_deref())
        .flatten();
    match (auth, &options.username) {
        (None, _) => {}
        (Some(password), None) => connection.queue(&[&b"AUTH"[..], password]),
        (Some(password), Some(user)) => {
            connection.queue(&[&b"AUTH"[..], user.as_bytes(), password])
        }
    }
    if options.db != 0 {
        connection.queue(&["SELECT", &options.db.to_string()]);
    }
    connection.flush().await?;
    // The first error counts: the second would only say NOAUTH.
    let mut outcome = Ok(());
    for _ in 0..usize::from(auth.is_some()) + usize::from(options.db != 0) {
        outcome = outcome.and(checked(connection.reply().await?).map(drop));
    }
    outcome?;
    Ok(version)
}

async fn hello(connection: &mut Connection, options: &Options) -> Result<(), ClientError> {
    match &options.password {
        None => connection.queue(&["HELLO", "3"]),
        Some(password) => {
            let user = options.username.as_deref().unwrap_or("default");
            connection.queue(&[&b"HELLO"[..], b"3", b"AUTH", user.as_bytes(), password]);
        }
    }
    connection.flush().await?;
    checked(connection.reply().await?)?;
    Ok(())
}

/// `NOPROTO`, or `ERR unknown command`.
fn is_unknown_hello(error: &ServerError) -> bool {
    let text = error.text().to_ascii_lowercase();
    error.code() == b"NOPROTO" || text.starts_with(b"err unknown command")
}

/// An error reply as an error.
pub(crate) fn checked(value: Value) -> Result<Value, ServerError> {
    match value {
        Value::Error(text) => Err(ServerError(text)),
        Value::Attributed { value, .. } if matches!(*value, Value::Error(_)) => checked(*value),
        value => Ok(value),
    }
}
