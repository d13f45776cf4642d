//! Whatever some clients of one server say, in whatever order: it goes on serving, and what it answers is RESP.
//!
//! Input: lines. The first byte of a line chooses the connection. If the second is `>`, what follows (as text in quotes) is sent as it is; else
//! it is a request, quoted as in redis-cli. Lines are sent one after the other, none waits for replies: so some clients wait for keys,
//! subscribe, are in transactions or leave requests unfinished while others go on.
//!
//! The server is the real one, with a worker of its own; a panic of any thread ends the fuzzer. It is started again when it was stopped, or a
//! script that can't be killed keeps it.
#![no_main]

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use djr_protocol::{Limits, ReplyDecoder, Value, encode_command, split_args};
use djr_server::{Config, Server};

/// Connections that an input can use.
const CLIENTS: usize = 4;
/// Lines of an input that are looked at.
const LINES_MAX: usize = 200;
/// A server that is silent for so long is started again: something that was allowed keeps it (a pause, an endless script).
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a busy server is asked whether it is free.
const BUSY_TRIES: usize = 100;
/// What must not be done to the machine, or takes long by its nature.
const FORBIDDEN: &str = "-shutdown -migrate -replicaof -slaveof -failover -psync -sync -config -save -bgsave -bgrewriteaof -debug \
     -acl|save -acl|load -module -cluster";

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    STAGE.with_borrow_mut(|stage| {
        let mut current = stage.take().unwrap_or_else(Stage::open);
        // Whoever has lost its server gets another one.
        *stage = current.play(input).is_ok().then_some(current);
    });
});

/// A server, and a connection that puts it back to its beginning.
struct Stage {
    server: Option<Server>,
    dir: PathBuf,
    control: Client,
}

struct Client {
    stream: UnixStream,
    decoder: ReplyDecoder,
    kept: BytesMut,
    /// The last reply.
    last: Option<Value>,
}

/// The server can't be reached any more.
struct Lost;

impl Stage {
    fn open() -> Self {
        let dir = std::env::temp_dir().join(format!("djr-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut config = Config::default()
            .with_dir(&dir)
            .with_port(0)
            .with_threads(1)
            .with_append_only(false);
        let socket = dir.join("socket");
        for (name, value) in [
            ("unixsocket", socket.to_str().expect("a plain path")),
            ("save", "\"\""),
            ("maxmemory", "256mb"),
            ("proto-max-bulk-len", "1mb"),
            ("busy-reply-threshold", "50"),
            ("client-output-buffer-limit", "normal 16mb 0 0"),
        ] {
            config.set(name, value).expect("a known parameter");
        }
        let server = Server::start(config).expect("the server starts");
        let control =
            Client::connect(&socket).unwrap_or_else(|_| panic!("the server does not answer"));
        Self {
            server: Some(server),
            dir,
            control,
        }
    }

    fn play(&mut self, input: &[u8]) -> Result<(), Lost> {
        self.reset()?;
        let socket = self.dir.join("socket");
        let mut clients: [Option<Client>; CLIENTS] = [const { None }; CLIENTS];
        for line in input.split(|byte| *byte == b'\n').take(LINES_MAX) {
            let [first, rest @ ..] = line else {
                continue;
            };
            let client = &mut clients[usize::from(*first) % CLIENTS];
            if client.is_none() {
                *client = Some(Client::connect(&socket)?);
            }
            let mut request = Vec::new();
            match rest {
                [b'>', text @ ..] => {
                    let words = split_args(text).unwrap_or_default();
                    words
                        .iter()
                        .for_each(|word| request.extend_from_slice(word));
                }
                text => {
                    let Ok(words) = split_args(text) else {
                        continue;
                    };
                    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    if !words.is_empty() {
                        encode_command(&mut request, &words);
                    }
                }
            }
            // The server may have ended this connection: the next line of the same client has a new one.
            if let Some(connected) = client
                && connected.talk(&request).is_err()
            {
                *client = None;
            }
        }
        self.control.ask(&[&[b"PING"]])?;
        for client in clients.iter_mut().flatten() {
            let _ = client.talk(b"");
        }
        Ok(())
    }

    /// As at the beginning, as far as an input can have changed it.
    fn reset(&mut self) -> Result<(), Lost> {
        let mut rules: Vec<&[u8]> = vec![
            b"ACL", b"SETUSER", b"default", b"reset", b"on", b"nopass", b"~*", b"&*", b"+@all",
        ];
        rules.extend(FORBIDDEN.split_ascii_whitespace().map(str::as_bytes));
        let requests: &[&[&[u8]]] = &[
            &[b"CLIENT", b"UNPAUSE"],
            &[b"SCRIPT", b"KILL"],
            &[b"FLUSHALL"],
            &[b"FUNCTION", b"FLUSH"],
            &[b"SCRIPT", b"FLUSH"],
            &rules,
        ];
        // A script that was killed takes a moment to end; one that has written does not end.
        for _ in 0..BUSY_TRIES {
            self.control.ask(requests)?;
            if !matches!(&self.control.last, Some(Value::Error(text)) if text.starts_with(b"BUSY"))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Lost)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.request_stop();
            // It may have been stopped by what it was told.
            let _ = server.wait();
        }
    }
}

impl Client {
    fn connect(socket: &std::path::Path) -> Result<Self, Lost> {
        let stream = UnixStream::connect(socket).map_err(|_| Lost)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|_| Lost)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(|_| Lost)?;
        Ok(Self {
            stream,
            decoder: ReplyDecoder::new(),
            kept: BytesMut::new(),
            last: None,
        })
    }

    /// Sends requests and waits for their replies, whatever they are.
    fn ask(&mut self, requests: &[&[&[u8]]]) -> Result<(), Lost> {
        let mut bytes = Vec::new();
        for request in requests {
            encode_command(&mut bytes, request);
        }
        self.stream.write_all(&bytes).map_err(|_| Lost)?;
        let mut missing = requests.len();
        while missing > 0 {
            missing = missing.saturating_sub(self.read(true)?);
        }
        Ok(())
    }

    /// Sends bytes and takes the replies that are there. An error: the server has ended the connection.
    fn talk(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).map_err(|_| Lost)?;
        self.stream.set_nonblocking(true).map_err(|_| Lost)?;
        let result = self.read(false);
        self.stream.set_nonblocking(false).map_err(|_| Lost)?;
        result.map(|_| ())
    }

    /// Reads once. How many replies are whole by then.
    fn read(&mut self, waits: bool) -> Result<usize, Lost> {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(Lost),
            Ok(len) => self.kept.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && !waits => {}
            Err(_) => return Err(Lost),
        }
        let mut count = 0;
        loop {
            match self.decoder.decode(&mut self.kept, &Limits::default()) {
                Ok(Some(reply)) => {
                    self.last = Some(reply);
                    count += 1;
                }
                Ok(None) => break,
                Err(error) => panic!("the server does not speak RESP: {error}"),
            }
        }
        Ok(count)
    }
}
