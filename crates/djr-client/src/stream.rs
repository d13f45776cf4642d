//! A TCP or a Unix socket, with TLS or without.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use tokio::io::{AsyncReadExt, Interest, Ready};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::error::ClientError;
use crate::options::{Address, IpVersion, Options};
use crate::tls::Session;

#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    tls: Option<Session>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, and agrees on keys if TLS is wanted.
    pub(crate) async fn connect(options: &Options) -> Result<Stream, ClientError> {
        let failed = |source: io::Error| ClientError::Connect {
            address: options.address.clone(),
            source,
        };
        let tls = match &options.tls {
            None => None,
            Some(tls) => Some(match &options.address {
                Address::Tcp(host, _) => tls.session(host)?,
                Address::Unix(_) => tls.session("localhost")?,
            }),
        };
        let socket = Socket::connect(options).await.map_err(failed)?;
        let mut stream = Stream { socket, tls };
        stream.shake_hands().await.map_err(failed)?;
        Ok(stream)
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.is_handshaking() {
            match tls.flush(&mut self.socket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.ready(Interest::WRITABLE).await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            match tls.receive(&mut self.socket) {
                Ok(true) => {}
                Ok(false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.ready(Interest::READABLE).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return match &mut self.socket {
                Socket::Tcp(stream) => stream.read_buf(input).await,
                Socket::Unix(stream) => stream.read_buf(input).await,
            };
        };
        loop {
            match tls.read(&mut self.socket, input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.ready(Interest::READABLE).await?;
                }
                read => return read,
            }
        }
    }

    /// Whether the peer has hung up, as far as this side knows. Asks the kernel: the runtime learns of it only when
    /// it next waits.
    pub(crate) fn is_closed(&mut self) -> bool {
        if let Some(tls) = &mut self.tls {
            return tls.has_ended(&mut self.socket);
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match &self.socket {
            Socket::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            Socket::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        match peeked {
            Ok(len) => len == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// What is there already, without waiting.
    pub(crate) fn try_read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match (&mut self.tls, &self.socket) {
            (Some(tls), _) => tls.read(&mut self.socket, input),
            (None, Socket::Tcp(stream)) => stream.try_read_buf(input),
            (None, Socket::Unix(stream)) => stream.try_read_buf(input),
        }
    }

    /// What can be taken without waiting.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.socket, bytes),
            None => self.socket.write(bytes),
        }
    }

    /// Sends what [`try_write`](Stream::try_write) took and still holds.
    pub(crate) fn try_flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.socket),
            None => Ok(()),
        }
    }

    /// Waits until something can be read or written; it may turn out that it can't.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }
}

impl Socket {
    async fn connect(options: &Options) -> io::Result<Socket> {
        let (host, port) = match &options.address {
            Address::Tcp(host, port) => (host.as_str(), *port),
            Address::Unix(path) => return Ok(Socket::Unix(UnixStream::connect(path).await?)),
        };
        // Not even asking the resolver keeps the common case free of its thread.
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::from((address, port))],
            Err(_) => {
                let mut found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
                match options.prefer_ip {
                    None => {}
                    Some(IpVersion::V4) => found.sort_by_key(SocketAddr::is_ipv6),
                    Some(IpVersion::V6) => found.sort_by_key(SocketAddr::is_ipv4),
                }
                found
            }
        };
        let stream = connect_to_any(&addresses, options).await?;
        stream.set_nodelay(true)?;
        if let Some(idle) = options.keepalive {
            set_keepalive(&stream, idle)?;
        }
        Ok(Socket::Tcp(stream))
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Socket::Tcp(stream) => stream.ready(interest).await,
            Socket::Unix(stream) => stream.ready(interest).await,
        }
    }
}

/// Without waiting.
impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        }
    }
}

/// Without waiting.
impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(bytes),
            Socket::Unix(stream) => stream.try_write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first address that answers. One that does not must not use up the time of the others.
async fn connect_to_any(addresses: &[SocketAddr], options: &Options) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for (index, address) in addresses.iter().enumerate() {
        let connecting = connect_to(*address, options.mptcp);
        // The last one has all that is left, under the limit of the whole.
        outcome = match (options.connect_timeout, addresses.len() - index) {
            (Some(limit), left @ 2..) => {
                let part =
                    limit.saturating_sub(begun.elapsed()) / u32::try_from(left).unwrap_or(u32::MAX);
                tokio::time::timeout(part, connecting)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            _ => connecting.await,
        };
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn connect_to(address: SocketAddr, with_mptcp: bool) -> io::Result<TcpStream> {
    if !with_mptcp {
        return TcpStream::connect(address).await;
    }
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::from(MPTCP)))?;
    socket.set_nonblocking(true)?;
    TcpSocket::from_std_stream(socket.into())
        .connect(address)
        .await
}

/// How often a silent peer is asked, at equal intervals within another idle time, before it counts as gone.
const KEEPALIVE_PROBES: u32 = 3;

/// Multipath TCP as Linux numbers it; other systems refuse it.
const MPTCP: i32 = 262;

fn set_keepalive(stream: &TcpStream, idle: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(idle.saturating_mul(2)))?;
    // In whole seconds, at least one.
    let interval = (idle / KEEPALIVE_PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new()
        .with_time(idle.max(Duration::from_secs(1)))
        .with_interval(interval)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first address takes no more connections and does not say so: Linux lets those wait for ever who find its queue full.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_says_nothing_leaves_time_for_the_next() -> io::Result<()> {
        let silent = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        silent.listen(0)?;
        let Some(silent_address) = silent.local_addr()?.as_socket() else {
            unreachable!()
        };
        let _fills_the_queue = std::net::TcpStream::connect(silent_address)?;
        let open = std::net::TcpListener::bind("127.0.0.1:0")?;
        let options = Options {
            connect_timeout: Some(Duration::from_millis(500)),
            ..Options::default()
        };
        let stream = connect_to_any(&[silent_address, open.local_addr()?], &options).await?;
        assert_eq!(stream.peer_addr()?, open.local_addr()?);
        let nobody = connect_to_any(&[], &options).await;
        assert!(nobody.is_err());
        Ok(())
    }
}
