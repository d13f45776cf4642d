//! A server that does nothing: it counts requests and sends as many canned replies.
//!
//! What it costs is the kernel's share of a request, and the floor for every server built on epoll.

use anyhow::{Context, Result};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// Serve canned replies (started by `bench`, to tell the kernel's share of a request).
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) port: u16,
    /// The reply, with `\r\n` written as such
    #[arg(long)]
    pub(crate) reply: String,
}

/// How a reply is written on the command line.
pub(crate) fn escape(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).replace("\r\n", "\\r\\n")
}

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    /// Replies which the socket did not take.
    unsent: Vec<u8>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let reply = args.reply.replace("\\r\\n", "\r\n").into_bytes();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let mut listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections = HashMap::new();
    let mut next_token = 0;
    let mut input = vec![0; 256 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let token = Token(next_token);
                    next_token += 1;
                    poll.registry().register(
                        &mut stream,
                        token,
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    connections.insert(
                        token,
                        Connection {
                            stream,
                            unsent: Vec::new(),
                        },
                    );
                }
            } else if let Some(connection) = connections.get_mut(&event.token())
                && connection.serve(event, &reply, &mut input).is_err()
            {
                connections.remove(&event.token());
            }
        }
    }
}

impl Connection {
    /// An error when the connection is to be closed.
    fn serve(&mut self, event: &Event, reply: &[u8], input: &mut [u8]) -> std::io::Result<()> {
        while event.is_readable() {
            let len = match self.stream.read(input) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            // Only a request's head has a star in it: the keys and values of the loads have none.
            let requests = input[..len].iter().filter(|&&byte| byte == b'*').count();
            for _ in 0..requests {
                self.unsent.extend_from_slice(reply);
            }
            if len < input.len() {
                break;
            }
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(len) if len == self.unsent.len() => self.unsent.clear(),
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
