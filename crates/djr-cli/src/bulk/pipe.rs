//! `--pipe`: what standard input holds goes to the server as it is, and the replies are counted. Reading, sending and
//! counting go on at the same time, in large pieces; the data are never looked at.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use djr_client::{Client, ClientError, Limits, Raw};
use tokio::sync::mpsc;

use super::BulkError;
use super::replies::Replies;
use crate::progress::{Progress, Unit};

/// Bytes per read of standard input, and per write. Larger ones leave the processor's caches.
const CHUNK_LEN: usize = 256 * 1024;

/// Pieces that are read ahead.
const CHUNKS_AHEAD: usize = 4;

/// Sends standard input. The status is that of `redis-cli`: 1 if there was any error reply.
pub(crate) async fn run(client: Client, timeout: Option<Duration>) -> Result<ExitCode, BulkError> {
    let Some(raw) = client.into_raw() else {
        return Err(ClientError::Closed.into());
    };
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let total = stdin_len();
    thread::spawn(move || read_stdin(&sender));
    let mut transfer = Transfer {
        raw,
        chunks,
        chunk: Vec::new(),
        sent: 0,
        is_over: false,
        end_mark: end_mark(),
        replies: Replies::default(),
        input: BytesMut::new(),
        progress: Progress::new(Unit::Bytes, total),
    };
    let outcome = transfer.run(timeout).await;
    transfer.progress.clear();
    outcome?;
    let Replies { count, errors, .. } = transfer.replies;
    writeln!(io::stdout().lock(), "errors: {errors}, replies: {count}")?;
    Ok(if errors > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

struct Transfer {
    raw: Raw,
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    /// What is being sent, and how much of it has been.
    chunk: Vec<u8>,
    sent: usize,
    /// Whether standard input has ended and its end mark is in `chunk`.
    is_over: bool,
    /// The argument of the `ECHO` whose reply is the last one.
    end_mark: [u8; 20],
    replies: Replies,
    input: BytesMut,
    progress: Progress,
}

impl Transfer {
    async fn run(&mut self, timeout: Option<Duration>) -> Result<(), BulkError> {
        let mut heard = Instant::now();
        loop {
            let has_sent = self.send()?;
            let has_read = match self.raw.try_read(&mut self.input) {
                Ok(read) => read.is_some(),
                Err(ClientError::Closed) => {
                    return Err(BulkError::Said("Server closed the connection".to_owned()));
                }
                Err(error) => return Err(error.into()),
            };
            if has_read {
                heard = Instant::now();
                if self.count()? {
                    say("Last reply received from server.");
                    return Ok(());
                }
            }
            if has_sent || has_read {
                continue;
            }
            let has_more = self.sent < self.chunk.len() || !self.raw.try_flush()?;
            if has_more || self.is_over {
                let limit = timeout.filter(|_| self.is_over && !has_more);
                let left = limit.map(|limit| limit.saturating_sub(heard.elapsed()));
                if !self.raw.ready(has_more, left).await? {
                    let seconds = limit.unwrap_or_default().as_secs();
                    return Err(BulkError::Said(format!(
                        "No replies for {seconds} seconds: exiting."
                    )));
                }
                continue;
            }
            tokio::select! {
                chunk = self.chunks.recv() => self.begin(chunk)?,
                ready = self.raw.ready(false, None) => {
                    ready?;
                }
            }
            heard = Instant::now();
        }
    }

    /// Sends what can be sent now; whether that was anything.
    fn send(&mut self) -> Result<bool, BulkError> {
        if self.sent == self.chunk.len() && !self.is_over {
            match self.chunks.try_recv() {
                Ok(chunk) => self.begin(Some(chunk))?,
                Err(mpsc::error::TryRecvError::Disconnected) => self.begin(None)?,
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
        }
        let rest = self.chunk.get(self.sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        let len = self.raw.try_write(rest)?;
        self.sent += len;
        self.progress.advance(len as u64);
        Ok(len > 0)
    }

    /// The next piece, or the end.
    fn begin(&mut self, chunk: Option<io::Result<Vec<u8>>>) -> Result<(), BulkError> {
        self.sent = 0;
        self.chunk = match chunk {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => {
                return Err(BulkError::Said(format!(
                    "Error reading from stdin: {error}"
                )));
            }
            None => {
                self.is_over = true;
                self.progress.clear();
                say("All data transferred. Waiting for the last reply...");
                // The line end is for data that do not end with one.
                let mut echo = b"\r\n*2\r\n$4\r\nECHO\r\n$20\r\n".to_vec();
                echo.extend_from_slice(&self.end_mark);
                echo.extend_from_slice(b"\r\n");
                echo
            }
        };
        Ok(())
    }

    /// Counts what has come; whether the last reply was there.
    fn count(&mut self) -> Result<bool, BulkError> {
        let Transfer {
            replies,
            input,
            progress,
            end_mark,
            ..
        } = self;
        let limits = Limits {
            bulk_len_max: isize::MAX as usize,
            ..Limits::default()
        };
        let on_error = |text: &[u8]| {
            progress.clear();
            let mut stderr = io::stderr().lock();
            // If nobody hears it, the count tells.
            let _ = stderr
                .write_all(text)
                .and_then(|()| stderr.write_all(b"\n"));
        };
        Ok(replies.take(input, &limits, on_error, |text| text == end_mark)?)
    }
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    // Whoever does not want to hear it may still want the data to arrive.
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"));
}

/// Something that no data contain.
fn end_mark() -> [u8; 20] {
    use std::hash::{BuildHasher, RandomState};
    let mut mark = [0; 20];
    for (index, byte) in mark.iter_mut().enumerate() {
        // Seeded by the operating system for each process.
        let digit = RandomState::new().hash_one(index) % 36;
        *byte = b"0123456789abcdefghijklmnopqrstuvwxyz"
            .get(digit as usize)
            .copied()
            .unwrap_or(b'x');
    }
    mark
}

/// How long standard input is, if it is a file.
fn stdin_len() -> Option<u64> {
    use std::os::fd::AsFd;
    let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

fn read_stdin(sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut chunk = vec![0; CHUNK_LEN];
        match stdin.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => {
                chunk.truncate(len);
                if sender.blocking_send(Ok(chunk)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
    }
}
