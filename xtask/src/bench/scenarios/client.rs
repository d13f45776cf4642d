//! A connection that sends many requests and then reads as many replies.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that says nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) struct Client {
    stream: BufReader<TcpStream>,
    requests: Vec<u8>,
    /// Replies that are to come.
    pending: usize,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            stream: BufReader::with_capacity(256 << 10, stream),
            requests: Vec::new(),
            pending: 0,
        })
    }

    /// Adds a request to those that are sent next.
    pub(super) fn push(&mut self, words: &[&[u8]]) {
        Self::encode(&mut self.requests, words);
        self.pending += 1;
    }

    /// Writes a request as clients send it.
    pub(super) fn encode(out: &mut Vec<u8>, words: &[&[u8]]) {
        // Writing to a vector does not fail.
        let _ = write!(out, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(out, "${}\r\n", word.len());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Bytes of the requests that are sent next.
    pub(super) fn pushed_bytes(&self) -> usize {
        self.requests.len()
    }

    /// Sends the requests and hands each reply to `visit`: the bytes of a string, the text of a number; `None` if there is none.
    pub(super) fn flush(&mut self, mut visit: impl FnMut(Option<&[u8]>)) -> Result<()> {
        self.stream.get_mut().write_all(&self.requests)?;
        self.requests.clear();
        let mut buffer = Vec::new();
        for _ in 0..std::mem::take(&mut self.pending) {
            let found = self.reply(&mut buffer)?;
            visit(found.then_some(&buffer[..]));
        }
        Ok(())
    }

    /// One request and its reply.
    pub(super) fn ask(&mut self, words: &[&str]) -> Result<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.push(&words);
        let mut text = String::new();
        self.flush(|reply| text = String::from_utf8_lossy(reply.unwrap_or_default()).into_owned())?;
        Ok(text)
    }

    /// A figure of INFO.
    pub(super) fn figure(&mut self, name: &str) -> Result<f64> {
        let text = self.ask(&["INFO", "everything"])?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.with_context(|| format!("INFO has no {name}"))?;
        Ok(value.trim().parse()?)
    }

    fn reply(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the server has closed the connection");
        let line = line.trim_end();
        buffer.clear();
        match line.as_bytes().first() {
            Some(b'+' | b':') => buffer.extend_from_slice(&line.as_bytes()[1..]),
            Some(b'$') => {
                let Ok(len) = usize::try_from(line[1..].parse::<i64>()?) else {
                    return Ok(false);
                };
                buffer.resize(len + 2, 0);
                self.stream.read_exact(buffer)?;
                buffer.truncate(len);
            }
            Some(b'*') => {
                // Nothing is made of arrays here, but they are read.
                for _ in 0..line[1..].parse::<usize>()? {
                    self.reply(buffer)?;
                }
            }
            _ => bail!("the server says {line}"),
        }
        Ok(true)
    }
}
