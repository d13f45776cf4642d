//! The connection as the user sees it: what is said about its state, and how replies get onto the screen.

use std::io::{self, Write};
use std::time::Duration;

use djr_client::{
    Address, Client, ClientError, IpVersion, Limits, Options, Pipeline, ReplyError, Tls, Value,
};

use crate::format::{Output, Style};
use crate::options::{Protocol, Settings};
use crate::verbatim::is_verbatim;

/// How often TCP asks whether an idle server is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a reply that is no error.
    Done,
    /// With an error reply.
    ErrorReply,
    /// Without a reply; the reason has been printed.
    Failed,
    /// With something that is no reply; that has been printed.
    Garbled,
}

/// Who gives the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line: one command, and the end at the first trouble.
    CommandLine,
    /// A pipe or a file: after a lost connection the next line gets a new one.
    Pipe,
    /// A human at a prompt, who may press Ctrl-C.
    Prompt,
}

/// How to connect.
#[derive(Debug)]
struct Network {
    tls: Option<Tls>,
    connect_timeout: Option<Duration>,
    prefer_ip: Option<IpVersion>,
    mptcp: bool,
}

/// A connection, or the wish for one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) address: Address,
    user: Option<String>,
    password: Option<Vec<u8>>,
    protocol: Protocol,
    pub(crate) style: Style,
    show_pushes: bool,
    is_verbose: bool,
    /// The database to be in, also after a reconnect.
    db: i64,
    /// Whether the server has agreed to that.
    is_db_selected: bool,
    /// Between `MULTI` and its end.
    in_transaction: bool,
    source: Source,
    /// End the program at an error reply, as `-e` says.
    exit_error: bool,
    /// Follow the redirections of a cluster.
    follows: bool,
    network: Network,
    client: Option<Client>,
    out: Vec<u8>,
}

impl Session {
    pub(crate) fn new(settings: &Settings, source: Source) -> Session {
        Session {
            address: settings.address.clone(),
            user: settings.user.clone(),
            password: settings.password.clone(),
            protocol: settings.protocol,
            style: settings.style.clone(),
            show_pushes: settings.show_pushes,
            is_verbose: settings.verbose,
            db: settings.db,
            is_db_selected: true,
            in_transaction: false,
            source,
            exit_error: settings.exit_error && source == Source::CommandLine,
            follows: settings.follows,
            network: Network {
                tls: settings.tls.clone(),
                connect_timeout: settings.connect_timeout,
                prefer_ip: settings.prefer_ip,
                mptcp: settings.mptcp,
            },
            client: None,
            out: Vec::new(),
        }
    }

    /// Connects, logs in, selects the database; says what does not work. A refused login is no failure: the
    /// server will say so again.
    pub(crate) async fn connect(&mut self) -> bool {
        self.client = None;
        self.in_transaction = false;
        let options = Options {
            address: self.address.clone(),
            protocol: djr_client::Protocol::Resp2,
            tls: self.network.tls.clone(),
            connect_timeout: self.network.connect_timeout,
            prefer_ip: self.network.prefer_ip,
            mptcp: self.network.mptcp,
            keepalive: Some(KEEPALIVE),
            keep_double_text: true,
            // It is the user's server, and the user's memory.
            limits: Limits {
                bulk_len_max: isize::MAX as usize,
                ..Limits::default()
            },
            ..Options::default()
        };
        match Client::connect(options).await {
            Ok(mut client) => {
                if let Err(error) = self.shake_hands(&mut client).await {
                    report(&error);
                    return false;
                }
                self.client = Some(client);
                if self.is_verbose {
                    eprintln!("Connected to {}", self.address);
                }
                true
            }
            Err(error) => {
                let address = &self.address;
                eprintln!(
                    "Could not connect to Redis at {address}: {}",
                    reason(&error)
                );
                false
            }
        }
    }

    /// `AUTH`, `SELECT` and `HELLO`, as far as needed, in one write.
    async fn shake_hands(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let mut pipeline = Pipeline::new();
        let mut labels = Vec::new();
        if let Some(password) = &self.password {
            match &self.user {
                None => pipeline.add(&[&b"AUTH"[..], password]),
                Some(user) => pipeline.add(&[&b"AUTH"[..], user.as_bytes(), password]),
            };
            labels.push(Some("AUTH".to_owned()));
        }
        let select = (self.db != 0).then(|| format!("SELECT {}", self.db));
        if select.is_some() {
            pipeline.add(&["SELECT", &self.db.to_string()]);
            labels.push(select.clone());
        }
        if self.protocol != Protocol::Default {
            pipeline.add(&["HELLO", "3"]);
            labels.push((self.protocol == Protocol::Resp3).then(|| "HELLO 3".to_owned()));
        }
        self.is_db_selected = true;
        if pipeline.is_empty() {
            return Ok(());
        }
        // What is refused after the first refusal follows from it: one line is enough.
        let mut is_reported = false;
        for (reply, label) in client.run(&pipeline).await?.into_iter().zip(labels) {
            let Err(error) = reply else { continue };
            self.is_db_selected &= label != select;
            if let Some(label) = label
                && !std::mem::replace(&mut is_reported, true)
            {
                eprintln!("{label} failed: {error}");
            }
        }
        Ok(())
    }

    /// Uses another server from now on.
    pub(crate) fn set_address(&mut self, address: Address) {
        self.address = address;
        self.client = None;
    }

    /// What stands in front of the cursor.
    pub(crate) fn prompt(&self) -> String {
        if self.client.is_none() {
            return "not connected> ".to_owned();
        }
        let address = match &self.address {
            Address::Unix(path) => format!("redis {}", path.display()),
            Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            address => address.to_string(),
        };
        let db = match self.db {
            0 => String::new(),
            db => format!("[{db}]"),
        };
        let transaction = if self.in_transaction { "(TX)" } else { "" };
        format!("{address}{db}{transaction}> ")
    }

    /// Executes a command and prints what comes back.
    ///
    /// A connection that was lost while nobody used it is replaced first. A command whose reply got lost is not sent
    /// again: it may have been executed.
    pub(crate) async fn execute(&mut self, command: &[Vec<u8>]) -> Outcome {
        let is_connected = match &mut self.client {
            None => false,
            Some(client) => self.source == Source::CommandLine || client.is_connected(),
        };
        if !is_connected && !self.connect().await {
            return Outcome::Failed;
        }
        match self.try_execute(command).await {
            Ok(outcome) => outcome,
            Err(error) if is_interruption(&error) => {
                // The only way to end a command that all servers know is a new connection.
                self.connect().await;
                Outcome::Done
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &ClientError) -> Outcome {
        report(error);
        self.client = None;
        self.in_transaction = false;
        match error {
            ClientError::Protocol(_) => Outcome::Garbled,
            _ => Outcome::Failed,
        }
    }

    async fn try_execute(&mut self, command: &[Vec<u8>]) -> Result<Outcome, ClientError> {
        let Some(client) = &mut self.client else {
            return Err(ClientError::Closed);
        };
        let kind = Kind::of(command);
        client.send(command).await?;
        if kind == Kind::Stream {
            return self.stream().await;
        }
        loop {
            let value = match self.receive().await {
                Err(error) if kind == Kind::Shutdown && error.is_disconnect() => {
                    self.client = None;
                    return Ok(Outcome::Done);
                }
                received => received?,
            };
            if let Value::Push(_) = value {
                // An unsubscription is confirmed by a push; there may be more, which come with the next reply.
                let is_confirmation = kind == Kind::Unsubscribe;
                if is_confirmation || self.show_pushes {
                    self.print(&value, false);
                }
                if is_confirmation {
                    return Ok(Outcome::Done);
                }
                continue;
            }
            return self.finish(command, kind, &value).await;
        }
    }

    /// Prints a reply and remembers what it says about the connection.
    async fn finish(
        &mut self,
        command: &[Vec<u8>],
        kind: Kind,
        value: &Value,
    ) -> Result<Outcome, ClientError> {
        if let Value::Error(text) = value {
            if self.follows
                && let Some(redirection) = Redirection::read(text)
            {
                return Box::pin(self.follow(&redirection, command)).await;
            }
            if self.exit_error {
                let mut stderr = io::stderr().lock();
                stderr.write_all(text)?;
                stderr.write_all(b"\n")?;
            } else {
                self.print(value, is_verbatim(command));
            }
            if kind == Kind::Exec {
                // Refused as a whole: the transaction is over.
                self.in_transaction = false;
            }
            return Ok(Outcome::ErrorReply);
        }
        self.print(value, is_verbatim(command));
        if self.in_transaction && value.as_bytes() == Some(b"QUEUED") {
            return Ok(Outcome::Done);
        }
        let text = |index: usize| {
            let word = command.get(index)?;
            std::str::from_utf8(word).ok()
        };
        match kind {
            Kind::Select => {
                self.db = text(1).and_then(|db| db.parse().ok()).unwrap_or(self.db);
                self.is_db_selected = true;
            }
            Kind::Auth => {
                // For the next connection, and now for what was refused to somebody unknown.
                self.user = (command.len() > 2).then(|| text(1).unwrap_or_default().to_owned());
                self.password = command.last().cloned();
                if !self.is_db_selected {
                    let db = self.db.to_string();
                    self.is_db_selected = self.ask(&["SELECT", &db]).await.is_some();
                }
            }
            Kind::Hello => match text(1) {
                Some("3") => self.protocol = Protocol::Resp3,
                Some("2") => self.protocol = Protocol::Default,
                _ => {}
            },
            Kind::Multi => self.in_transaction = true,
            Kind::Exec | Kind::Discard => self.in_transaction = false,
            Kind::Reset => {
                self.in_transaction = false;
                self.db = 0;
                self.protocol = Protocol::Default;
            }
            _ => {}
        }
        Ok(Outcome::Done)
    }

    /// Executes a command where the cluster says that its keys are.
    async fn follow(
        &mut self,
        redirection: &Redirection,
        command: &[Vec<u8>],
    ) -> Result<Outcome, ClientError> {
        let (host, port) = match &self.address {
            // No host: the one that said so.
            Address::Tcp(host, _) if redirection.host.is_empty() => {
                (host.clone(), redirection.port)
            }
            _ => (redirection.host.clone(), redirection.port),
        };
        if self.source != Source::CommandLine {
            let slot = redirection.slot;
            self.out.extend_from_slice(
                format!("-> Redirected to slot [{slot}] located at {host}:{port}\n").as_bytes(),
            );
            self.flush();
        }
        self.set_address(Address::Tcp(host, port));
        if !self.connect().await {
            return Ok(Outcome::Failed);
        }
        if redirection.is_once {
            self.ask(&["ASKING"]).await;
        }
        self.try_execute(command).await
    }

    /// Connects as the settings say; says why if that does not work.
    pub(crate) async fn into_client(mut self) -> Option<Client> {
        if !self.connect().await {
            return None;
        }
        self.client
    }

    /// Prints what comes until the connection ends or, at a prompt, Ctrl-C is pressed.
    async fn stream(&mut self) -> Result<Outcome, ClientError> {
        if self.source != Source::CommandLine && self.style.output != Output::Raw {
            self.out
                .extend_from_slice(b"Reading messages... (press Ctrl-C to quit)\n");
            self.flush();
        }
        loop {
            let value = self.receive().await?;
            let is_error = matches!(value, Value::Error(_));
            if is_error && self.exit_error {
                return self.finish(&[], Kind::Stream, &value).await;
            }
            self.print(&value, false);
            if is_error {
                return Ok(Outcome::ErrorReply);
            }
        }
    }

    /// Executes a command without printing anything.
    pub(crate) async fn ask(&mut self, command: &[&str]) -> Option<Value> {
        self.client.as_mut()?.command(command).await.ok()
    }

    async fn receive(&mut self) -> Result<Value, ClientError> {
        let Some(client) = &mut self.client else {
            return Err(ClientError::Closed);
        };
        if self.source != Source::Prompt {
            return client.receive().await;
        }
        tokio::select! {
            received = client.receive() => received,
            _ = tokio::signal::ctrl_c() => Err(io::Error::from(io::ErrorKind::Interrupted).into()),
        }
    }

    fn print(&mut self, value: &Value, is_verbatim: bool) {
        self.style.reply(value, is_verbatim, &mut self.out);
        self.flush();
    }

    fn flush(&mut self) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        if written.is_err() {
            // Whoever read has gone (`| head`): nobody is left to tell.
            std::process::exit(1);
        }
    }
}

/// Where a cluster wants a command to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Redirection {
    slot: u16,
    host: String,
    port: u16,
    /// `ASK`: this command only.
    is_once: bool,
}

impl Redirection {
    /// Reads `MOVED 3999 127.0.0.1:6381` and `ASK …`.
    fn read(error: &[u8]) -> Option<Redirection> {
        let text = std::str::from_utf8(error).ok()?;
        let mut words = text.split(' ');
        let is_once = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirection {
            slot,
            host: host.to_owned(),
            port: port.parse().ok()?,
            is_once,
        })
    }
}

/// What is special about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    /// Never stops replying.
    Stream,
    Unsubscribe,
    Shutdown,
    Select,
    Auth,
    Hello,
    Multi,
    Exec,
    Discard,
    Reset,
}

impl Kind {
    fn of(command: &[Vec<u8>]) -> Kind {
        let name = command.first().map(|name| name.to_ascii_uppercase());
        match name.as_deref().unwrap_or_default() {
            b"MONITOR" | b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"SYNC" | b"PSYNC" => {
                Kind::Stream
            }
            b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => Kind::Unsubscribe,
            b"SHUTDOWN" => Kind::Shutdown,
            b"SELECT" => Kind::Select,
            b"AUTH" => Kind::Auth,
            b"HELLO" => Kind::Hello,
            b"MULTI" => Kind::Multi,
            b"EXEC" => Kind::Exec,
            b"DISCARD" => Kind::Discard,
            b"RESET" => Kind::Reset,
            _ => Kind::Ordinary,
        }
    }
}

/// Whether Ctrl-C was pressed.
fn is_interruption(error: &ClientError) -> bool {
    matches!(error, ClientError::Io(error) if error.kind() == io::ErrorKind::Interrupted)
}

pub(crate) fn report(error: &ClientError) {
    eprintln!("Error: {}", reason(error));
}

/// Why, in the words of the operating system if it has some.
fn reason(error: &ClientError) -> String {
    let text = match error {
        ClientError::Connect { source, .. } => source.to_string(),
        ClientError::Protocol(ReplyError::UnknownType(byte)) => {
            let byte = byte.escape_ascii();
            return format!("Protocol error, got \"{byte}\" as reply type byte");
        }
        other => other.to_string(),
    };
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    match text.split_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text.to_owned(),
    }
}
