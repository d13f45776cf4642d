//! The bytes of a connection, without commands and replies: for bulk loading, for `SYNC`, for whoever has a protocol of
//! his own to speak.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;

use crate::connection::Connection;
use crate::error::ClientError;

/// A connection as a stream of bytes, from [`Client::into_raw`](crate::Client::into_raw).
///
/// ```no_run
/// # async fn run(client: djr_client::Client) -> Result<(), djr_client::ClientError> {
/// let Some(mut raw) = client.into_raw() else { return Ok(()) };
/// raw.write_all(b"PING\r\n").await?;
/// let mut input = bytes::BytesMut::new();
/// while !input.ends_with(b"\r\n") {
///     raw.read(&mut input).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Raw {
    connection: Connection,
}

impl Raw {
    pub(crate) fn new(connection: Connection) -> Raw {
        Raw { connection }
    }

    /// Appends what has come, at least one byte; makes room for it itself. Waits without a limit.
    ///
    /// # Errors
    /// [`ClientError::Closed`] at the end, or what the operating system says.
    pub async fn read(&mut self, input: &mut BytesMut) -> Result<usize, ClientError> {
        loop {
            if let Some(len) = self.try_read(input)? {
                return Ok(len);
            }
            self.connection.stream.ready(Interest::READABLE).await?;
        }
    }

    /// Appends what has come already; `None` if that is nothing.
    ///
    /// # Errors
    /// As [`read`](Raw::read).
    pub fn try_read(&mut self, input: &mut BytesMut) -> Result<Option<usize>, ClientError> {
        let early = self.connection.take_input();
        if !early.is_empty() {
            input.extend_from_slice(&early);
            return Ok(Some(early.len()));
        }
        input.reserve(ROOM);
        match self.connection.stream.try_read(input) {
            Ok(0) => Err(ClientError::Closed),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends as much of `bytes` as goes without waiting; returns how much that was.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, ClientError> {
        match self.connection.stream.try_write(bytes) {
            Ok(len) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether all that was taken is on its way: TLS may still hold some of it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_flush(&mut self) -> Result<bool, ClientError> {
        match self.connection.stream.try_flush() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends all of `bytes`. Does not read meanwhile: for what is short, or has no replies.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), ClientError> {
        while !bytes.is_empty() || !self.try_flush()? {
            let len = self.try_write(bytes)?;
            bytes = bytes.get(len..).unwrap_or_default();
            if len == 0 {
                self.connection.stream.ready(Interest::WRITABLE).await?;
            }
        }
        Ok(())
    }

    /// Waits until something can be read, or written if `also_writable`, but not longer than `limit`.
    /// It may turn out that it can't. `false`: the time is over.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn ready(
        &self,
        also_writable: bool,
        limit: Option<Duration>,
    ) -> Result<bool, ClientError> {
        let interest = if also_writable {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let ready = self.connection.stream.ready(interest);
        match limit {
            None => ready.await?,
            Some(limit) => match tokio::time::timeout(limit, ready).await {
                Ok(ready) => ready?,
                Err(_) => return Ok(false),
            },
        };
        Ok(true)
    }
}

/// Room for what comes, at least.
const ROOM: usize = 256 * 1024;
