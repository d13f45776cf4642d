//! A connection of the load generator: with TLS on it or without.

use anyhow::{Context, Result, ensure};
use mio::Registry;
use mio::net::TcpStream;
use mio::{Interest, Token};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A socket that does not block.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How connections begin.
#[derive(Clone, Default)]
pub(crate) struct Opening {
    /// Requests that are sent first, each of which is answered by one line.
    pub(crate) greeting: &'static [&'static str],
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// What a client needs to speak with the server of this certificate, and no other.
pub(crate) fn trusting(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

impl Stream {
    /// Connects, with all that blocks: so that the measured loop has no such state.
    pub(super) fn open(address: SocketAddr, opening: &Opening) -> Result<Self> {
        let mut socket = std::net::TcpStream::connect(address).context("cannot connect")?;
        socket.set_nodelay(true)?;
        let Some(config) = &opening.tls else {
            greet(&mut socket, opening.greeting)?;
            socket.set_nonblocking(true)?;
            return Ok(Self::Plain(TcpStream::from_std(socket)));
        };
        let name = ServerName::from(address.ip());
        let session = ClientConnection::new(config.clone(), name)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        greet(&mut stream, opening.greeting)?;
        let StreamOwned { conn, sock } = stream;
        sock.set_nonblocking(true)?;
        let stream = StreamOwned::new(conn, TcpStream::from_std(sock));
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        };
        registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Whether a read that did not fill its buffer has emptied the socket.
    pub(super) fn is_emptied_by_short_reads(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

fn greet(stream: &mut (impl Read + Write), requests: &[&str]) -> Result<()> {
    for request in requests {
        stream.write_all(request.as_bytes())?;
        // Nothing comes behind the line that could be lost in this buffer.
        let mut line = String::new();
        BufReader::new(&mut *stream).read_line(&mut line)?;
        ensure!(line.starts_with('+'), "{request:?} is answered by {line:?}");
    }
    Ok(())
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    /// Sends what the protocol has kept back, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        let Self::Tls(stream) = self else {
            return Ok(());
        };
        match stream.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }
}
