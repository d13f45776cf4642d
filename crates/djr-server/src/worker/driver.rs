//! Waiting, reading and writing: all that a worker asks of the operating system's sockets.
//!
//! The rest of the worker sees only this interface, so that another way of doing it (io_uring) can stand beside it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use rustls::ServerConfig;

use mio::{Events, Interest, Poll, Token, Waker};

use crate::tls::TlsStream;

/// Sockets and the waker of one worker.
pub(crate) struct Driver {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

/// What became ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// Whose it is: the number it was registered with.
    pub(crate) id: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends nothing more: what it has sent is to be read to its end, of which no other event tells.
    pub(crate) ended: bool,
}

/// The number of the waker's own events.
const WAKER: Token = Token(usize::MAX);
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

impl Driver {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            waker,
        })
    }

    /// Ends the waiting of this driver from any thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Waits until something is ready, the waker was used or the time is over; puts what is ready into `ready`.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        ready.clear();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        ready.extend(
            self.events
                .iter()
                .filter(|event| event.token() != WAKER)
                .map(|event| Ready {
                    id: event.token().0,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable(),
                    ended: event.is_read_closed() || event.is_error(),
                }),
        );
        Ok(())
    }

    /// Has a stream's events reported under `id`, from now on. Edge-triggered: a stream is reported again only after a read
    /// that did not fill its buffer, or a write that could not be finished.
    pub(crate) fn add_stream(&self, stream: &mut Stream, id: usize) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match stream {
            Stream::Tcp(stream) => self.poll.registry().register(stream, Token(id), interest),
            Stream::Unix(stream) => self.poll.registry().register(stream, Token(id), interest),
            Stream::Tls(stream) => {
                let socket = stream.socket_mut();
                self.poll.registry().register(socket, Token(id), interest)
            }
        }
    }

    /// Has a listener's new connections reported under `id`.
    pub(crate) fn add_listener(&self, listener: &mut Listener, id: usize) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) | Listener::Tls(listener) => {
                self.poll
                    .registry()
                    .register(listener, Token(id), Interest::READABLE)
            }
            Listener::Unix { listener, .. } => {
                self.poll
                    .registry()
                    .register(listener, Token(id), Interest::READABLE)
            }
        }
    }
}

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Bytes of memory that it takes behind itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => 0,
            Stream::Tls(stream) => stream.memory_bytes(),
        }
    }

    /// The same socket with TLS on it.
    pub(crate) fn with_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        match self {
            Stream::Tcp(socket) => Ok(Stream::Tls(Box::new(TlsStream::new(socket, config)?))),
            other => Ok(other),
        }
    }

    /// Whether another read may bring something at once though the last one did not fill its buffer.
    #[inline]
    pub(crate) fn may_have_more(&self) -> bool {
        match self {
            Stream::Tls(stream) => stream.may_have_more(),
            Stream::Tcp(_) | Stream::Unix(_) => false,
        }
    }

    /// Sends what the connection itself has to say beside replies. `false`: the socket takes no more now.
    pub(crate) fn flush_ciphertext(&mut self) -> io::Result<bool> {
        match self {
            Stream::Tls(stream) => stream.flush_ciphertext(),
            Stream::Tcp(_) | Stream::Unix(_) => Ok(true),
        }
    }

    /// Whether client and server are still agreeing on how to talk.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.is_handshaking())
    }

    /// Whether the peer is known to have ended the connection, or its sending side. Asks the system.
    pub(crate) fn peer_is_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut fds = [PollFd::new(self, PollFlags::RDHUP)];
        // An error says nothing of the peer; writing will.
        let _ = poll(&mut fds, Some(&Timespec::default()));
        fds[0].revents().intersects(gone)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::os::fd::AsFd for Stream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.socket().as_fd(),
        }
    }
}

impl std::os::fd::AsRawFd for Stream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match self {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream) => stream.as_raw_fd(),
            Stream::Tls(stream) => stream.socket().as_raw_fd(),
        }
    }
}

/// A socket that takes connections.
pub(crate) enum Listener {
    Tcp(TcpListener),
    /// For connections with TLS.
    Tls(TcpListener),
    Unix {
        listener: UnixListener,
        path: String,
    },
}

/// A new connection and who it is.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
}

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// Theirs and ours. Most are this; a longer address is kept elsewhere.
    Tcp4(SocketAddrV4, SocketAddrV4),
    Tcp6(Box<(SocketAddr, SocketAddr)>),
    Unix {
        path: Box<str>,
    },
}

impl Peer {
    pub(crate) fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        match (remote, local) {
            (SocketAddr::V4(remote), SocketAddr::V4(local)) => Self::Tcp4(remote, local),
            ends => Self::Tcp6(Box::new(ends)),
        }
    }

    /// The addresses of a TCP connection: theirs and ours.
    pub(crate) fn tcp_ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp4(remote, local) => Some(((*remote).into(), (*local).into())),
            Self::Tcp6(ends) => Some(**ends),
            Self::Unix { .. } => None,
        }
    }

    /// The peer's address as `CLIENT LIST` and SLOWLOG show it.
    pub(crate) fn remote(&self) -> String {
        self.shown(|(remote, _)| remote)
    }

    /// Our address as `CLIENT LIST` shows it.
    pub(crate) fn local(&self) -> String {
        self.shown(|(_, local)| local)
    }

    fn shown(&self, end: impl FnOnce((SocketAddr, SocketAddr)) -> SocketAddr) -> String {
        match self {
            Self::Unix { path } => format!("{path}:0"),
            tcp => tcp
                .tcp_ends()
                .map(end)
                .map_or_else(String::new, |end| end.to_string()),
        }
    }

    /// Whether the peer is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let ends = self.tcp_ends();
        ends.is_none_or(|(remote, _)| remote.ip().to_canonical().is_loopback())
    }
}

impl Listener {
    /// The next waiting connection; `None` if there is none.
    pub(crate) fn accept(&self) -> io::Result<Option<Accepted>> {
        loop {
            let result = match self {
                Listener::Tcp(listener) | Listener::Tls(listener) => listener
                    .accept()
                    .map(|(stream, remote)| introduce(stream, remote)),
                Listener::Unix { listener, path } => listener.accept().map(|(stream, _)| {
                    let path = path.as_str().into();
                    Some(Accepted {
                        stream: Stream::Unix(stream),
                        peer: Peer::Unix { path },
                    })
                }),
            };
            match result {
                Ok(Some(accepted)) => return Ok(Some(accepted)),
                // It is gone already; behind it may be others.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A new TCP connection; `None` if it has ended already.
fn introduce(stream: TcpStream, remote: SocketAddr) -> Option<Accepted> {
    stream.set_nodelay(true).ok()?;
    let peer = Peer::tcp(remote, stream.local_addr().ok()?);
    Some(Accepted {
        stream: Stream::Tcp(stream),
        peer,
    })
}
