//! A TLS connection over a socket that does not block: bytes in, bytes out, as a socket without TLS.
//!
//! What is written counts as accepted only when the socket has its ciphertext: so output limits count plaintext, and what
//! was taken for a reply is undelivered until it is out.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// One read of ciphertext takes at most so many bytes.
const READ_SIZE: usize = 64 << 10;

thread_local! {
    /// Where ciphertext is read into: one per worker.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into());
}

/// The server's side of a TLS connection.
pub(crate) struct TlsStream {
    socket: TcpStream,
    session: ServerConnection,
    /// Plaintext that the reader had no room for.
    overflow: Vec<u8>,
    /// So much of it has been read.
    overflow_read: usize,
    /// The last read may have left ciphertext in the socket, and nothing else will tell of it.
    may_have_more: bool,
    /// Bytes of the writer's that are encrypted, but not all of whose ciphertext the socket has accepted.
    promised: usize,
    /// Its certificate has been looked at.
    is_known: bool,
    /// Why the connection can't go on.
    failure: Option<io::ErrorKind>,
    /// The client has said that it is at its end, or has ended the connection.
    at_end: bool,
}

impl TlsStream {
    /// Bytes of memory that it takes. Of what the TLS session keeps only its size is known, and what it has promised to write.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.overflow.capacity() + self.promised
    }

    pub(crate) fn new(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self {
            socket,
            session,
            overflow: Vec::new(),
            overflow_read: 0,
            may_have_more: false,
            promised: 0,
            is_known: false,
            failure: None,
            at_end: false,
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Whether the two sides are still agreeing on how to talk.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// The certificate that the client has shown, and that was found good: told once, when the handshake is over.
    pub(crate) fn take_new_certificate(&mut self) -> Option<Vec<u8>> {
        if self.is_known || self.session.is_handshaking() {
            return None;
        }
        self.is_known = true;
        let certificate = self.session.peer_certificates()?.first()?;
        Some(certificate.to_vec())
    }

    /// Whether another read may bring something at once, however little the last one brought.
    pub(crate) fn may_have_more(&self) -> bool {
        self.may_have_more || self.at_end || self.failure.is_some() || !self.overflow.is_empty()
    }

    /// Sends what the protocol itself has to say, as far as the socket takes it. `false`: something is left.
    pub(crate) fn flush_ciphertext(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads ciphertext once and decrypts it into `buffer` and what is behind it into the overflow. Returns how much came into `buffer`.
    fn read_ciphertext(&mut self, scratch: &mut [u8], buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(scratch)?;
        self.may_have_more = count == scratch.len();
        if count == 0 {
            self.at_end = true;
            return Ok(0);
        }
        let mut ciphertext = &scratch[..count];
        let mut filled = 0;
        while !ciphertext.is_empty() && !self.at_end {
            self.session.read_tls(&mut ciphertext)?;
            match self.session.process_new_packets() {
                Ok(state) => self.at_end |= state.peer_has_closed(),
                Err(error) => {
                    tracing::debug!("TLS: {error}");
                    // The other side is told why, if it still listens.
                    let _ = self.flush_ciphertext();
                    self.failure = Some(io::ErrorKind::InvalidData);
                    break;
                }
            }
            filled += self.take_plaintext(&mut buffer[filled..])?;
        }
        // The handshake's answers.
        self.flush_ciphertext()?;
        Ok(filled)
    }

    /// Moves what is decrypted into `buffer`, and the rest into the overflow.
    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        let mut reader = self.session.reader();
        loop {
            let result = if filled < buffer.len() && self.overflow.is_empty() {
                reader.read(&mut buffer[filled..])
            } else {
                let start = self.overflow.len();
                self.overflow.resize(start + READ_SIZE / 4, 0);
                let result = reader.read(&mut self.overflow[start..]);
                let count = result.as_ref().map_or(0, |count| *count);
                self.overflow.truncate(start + count);
                match result {
                    Ok(1..) => continue,
                    result => result,
                }
            };
            match result {
                // The end, which is known already.
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
    }

    fn read_overflow(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.overflow[self.overflow_read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.overflow_read += count;
        if self.overflow_read == self.overflow.len() {
            self.overflow = Vec::new();
            self.overflow_read = 0;
        }
        count
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.overflow.is_empty() {
            return Ok(self.read_overflow(buffer));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                if let Some(kind) = self.failure {
                    return Err(kind.into());
                }
                if self.at_end {
                    return Ok(0);
                }
                match self.read_ciphertext(scratch, buffer) {
                    // Only a part of a record, or of the handshake.
                    Ok(0) if self.overflow.is_empty() => {}
                    Ok(0) => return Ok(self.read_overflow(buffer)),
                    Ok(count) => return Ok(count),
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

impl Write for TlsStream {
    /// Must be called with the same bytes, and perhaps more behind them, after [`io::ErrorKind::WouldBlock`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.promised == 0 {
            self.promised = self.session.writer().write(bytes)?;
        }
        if !self.flush_ciphertext()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(std::mem::take(&mut self.promised))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_ciphertext().map(|_| ())
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // A courtesy: whether it arrives does not matter.
        let _ = self.flush_ciphertext();
    }
}
