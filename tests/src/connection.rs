//! A plain TCP connection to a server, DJR or another.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use djr_protocol::encode_command;

use crate::reply::Reply;

/// After so long without a byte a server is taken to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that sends and receives bytes as they are.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// So much of `input` has been read.
    start: usize,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("an option of every socket");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a socket option");
        stream.set_write_timeout(patience).expect("a socket option");
        Self {
            stream,
            input: Vec::new(),
            start: 0,
        }
    }

    /// Sends a command.
    pub fn send(&mut self, words: &[&[u8]]) {
        let mut request = Vec::new();
        encode_command(&mut request, words);
        self.send_bytes(&request);
    }

    /// Sends bytes. If the server has closed the connection they are lost, and the next read says so.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(closed.contains(&error.kind()), "sending: {error}");
        }
    }

    /// Waits for the next reply.
    ///
    /// # Panics
    /// If none comes for long.
    pub fn read(&mut self) -> Reply {
        let reply = self.read_or_silence();
        assert_ne!(reply, Reply::Silence, "the server hangs");
        reply
    }

    /// Waits for the next reply, or until it is clear that none comes.
    pub fn read_or_silence(&mut self) -> Reply {
        loop {
            // Aggregates are read again from their start with each piece that comes: pieces are large.
            if let Some((reply, length)) = Reply::parse(&self.input[self.start..]) {
                self.start += length;
                if self.start == self.input.len() {
                    self.input.clear();
                    self.start = 0;
                }
                return reply;
            }
            self.input.drain(..self.start);
            self.start = 0;
            let held = self.input.len();
            self.input.resize(held + (256 << 10), 0);
            let result = self.stream.read(&mut self.input[held..]);
            self.input.truncate(held + *result.as_ref().unwrap_or(&0));
            match result {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Reply::Silence,
                Err(error) => panic!("receiving: {error}"),
            }
        }
        assert!(self.input.is_empty(), "the server closed inside a reply");
        Reply::Closed
    }

    /// Everything that comes until the server closes the connection.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = self.input.split_off(self.start);
        let read = self.stream.read_to_end(&mut all);
        read.expect("it ends well");
        all
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, words: &[&[u8]]) -> Reply {
        self.send(words);
        self.read()
    }

    /// What INFO says.
    pub fn info(&mut self) -> String {
        String::from_utf8_lossy(self.run("INFO").text()).into_owned()
    }

    /// Waits until a line of INFO begins so.
    pub fn wait_for_info(&mut self, field: &str) {
        let patience = Instant::now() + Duration::from_secs(10);
        while !self.info().contains(field) {
            assert!(Instant::now() < patience, "INFO never said {field}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a command, given as words with spaces between them, and waits for its reply.
    pub fn run(&mut self, line: &str) -> Reply {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.call(&words)
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}
