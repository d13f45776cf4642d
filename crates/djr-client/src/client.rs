//! The client: a connection, and how to get another one.

use std::io;
use std::time::Duration;

use djr_protocol::{RespVersion, Value};

use crate::connection::{Connection, limited};
use crate::error::{ClientError, ServerError};
use crate::handshake::{checked, shake_hands};
use crate::options::{Options, Reconnect};
use crate::pipeline::Pipeline;
use crate::push::not_one_reply;
use crate::raw::Raw;
use crate::session::{Effect, Session};
use crate::stream::Stream;

/// The longest wait between two attempts to reconnect.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(1);

/// A connection to a server. See the [crate's documentation](crate) for errors, timeouts and reconnecting.
#[derive(Debug)]
pub struct Client {
    options: Options,
    /// `None` after the connection was lost.
    connection: Option<Connection>,
    version: RespVersion,
    session: Session,
}

impl Client {
    /// Connects to a URL (`redis://…`, `unix://…`) or as [`Options`] say; authenticates and selects the database.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), djr_client::ClientError> {
    /// use djr_client::{Client, Options};
    /// use std::time::Duration;
    ///
    /// let options = Options { reply_timeout: Some(Duration::from_secs(2)), ..Options::default() };
    /// let mut client = Client::connect(options).await?;
    /// client.command(&["PING"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A wrong URL, no connection within [`Options::connect_timeout`], or a refused login.
    pub async fn connect<O>(options: O) -> Result<Client, ClientError>
    where
        O: TryInto<Options>,
        ClientError: From<O::Error>,
    {
        let options: Options = options.try_into()?;
        let (connection, version) = open(&options).await?;
        Ok(Client {
            options,
            connection: Some(connection),
            version,
            session: Session::default(),
        })
    }

    /// A client as `options` say, with as many attempts as they allow to a lost connection.
    pub(crate) async fn reopen(options: &Options) -> Result<Client, ClientError> {
        let (attempts, delay) = match options.reconnect {
            Reconnect::Never => (1, Duration::ZERO),
            Reconnect::Attempts { attempts, delay } => (attempts, delay),
        };
        let (connection, version) = reopen(options, attempts, delay).await?;
        Ok(Client {
            options: Options {
                reconnect: Reconnect::Never,
                ..options.clone()
            },
            connection: Some(connection),
            version,
            session: Session::default(),
        })
    }

    /// Executes one command. An error reply is an `Err`, see [`ClientError::Reply`].
    ///
    /// # Errors
    /// The server's error, a lost connection, a timeout.
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ClientError> {
        if args.is_empty() {
            return Err(ClientError::EmptyCommand);
        }
        if let Some(name) = not_one_reply(args) {
            return Err(ClientError::NotOneReply(name));
        }
        let effect = Effect::of(args);
        let timeout = self.options.reply_timeout;
        let (connection, session) = self.connected(false).await?;
        if connection.is_silent() && !is_reply_on(args) {
            return Err(ClientError::NotOneReply(SILENCED));
        }
        connection.abandon();
        connection.queue(args);
        if let Some(effect) = effect {
            session.sent(effect);
        }
        let exchange = async {
            connection.flush().await?;
            connection.reply().await
        };
        let reply = limited(timeout, exchange).await;
        let reply = checked(self.noticed(reply)?);
        if let Some(effect) = effect {
            self.session.answered(effect, reply.as_ref().ok());
        }
        Ok(reply?)
    }

    /// Executes many commands with one write. Each has a result of its own, in the order of the commands.
    ///
    /// # Errors
    /// A lost connection or a timeout; then it is unknown which of the commands were executed.
    pub async fn run(
        &mut self,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, ServerError>>, ClientError> {
        pipeline.check()?;
        let timeout = self.options.reply_timeout;
        let (connection, session) = self.connected(false).await?;
        if connection.is_silent() {
            return Err(ClientError::NotOneReply(SILENCED));
        }
        connection.abandon();
        connection.queue_encoded(pipeline.bytes(), pipeline.len());
        for (_, effect) in pipeline.effects() {
            session.sent(*effect);
        }
        let exchange = async {
            connection.flush().await?;
            let mut replies = Vec::with_capacity(pipeline.len());
            for _ in 0..pipeline.len() {
                // A limit on each: a long pipeline may take as long as it takes.
                let reply = limited(timeout, connection.reply()).await?;
                replies.push(checked(reply));
            }
            Ok(replies)
        };
        let replies = exchange.await;
        let replies = self.noticed(replies)?;
        for (index, effect) in pipeline.effects() {
            let reply = replies.get(*index).and_then(|reply| reply.as_ref().ok());
            self.session.answered(*effect, reply);
        }
        Ok(replies)
    }

    /// Sends a command without waiting, for what has any number of replies: `SUBSCRIBE`, `MONITOR`, `CLIENT REPLY`.
    /// What comes is read by [`receive`](Client::receive). A next [`command`](Client::command) leaves aside the replies that
    /// were not received; but first end a `MONITOR`, or a subscription in RESP2: what those send can't be told from replies.
    ///
    /// ```no_run
    /// # async fn run(client: &mut djr_client::Client) -> Result<(), djr_client::ClientError> {
    /// client.send(&["SUBSCRIBE", "news"]).await?;
    /// loop {
    ///     println!("{:?}", client.receive().await?);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// A lost connection.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<(), ClientError> {
        if args.is_empty() {
            return Err(ClientError::EmptyCommand);
        }
        let (connection, session) = self.connected(true).await?;
        if let Some(effect) = Effect::of(args) {
            session.streamed(effect);
        }
        connection.abandon_awaited();
        connection.queue_streamed(args);
        let flushed = connection.flush().await;
        self.noticed(flushed)
    }

    /// Sends many commands with one write, without waiting; as many values are to be read by
    /// [`receive`](Client::receive); the next [`command`](Client::command) leaves aside those that were not. So the next commands can be on their way while replies are worked on.
    ///
    /// # Errors
    /// A lost connection, or a command that can't be in a pipeline. While replies are to be received the connection is not
    /// replaced: they would be missed.
    pub async fn send_all(&mut self, pipeline: &Pipeline) -> Result<(), ClientError> {
        pipeline.check()?;
        let (connection, session) = self.connected(true).await?;
        if connection.is_silent() {
            return Err(ClientError::NotOneReply(SILENCED));
        }
        for (_, effect) in pipeline.effects() {
            session.streamed(*effect);
        }
        connection.abandon_awaited();
        connection.queue_encoded_streamed(pipeline.bytes(), pipeline.len());
        let flushed = connection.flush().await;
        self.noticed(flushed)
    }

    /// The next thing that the server says: reply, error or push ([`Value::Push`]), as it is. Waits without a limit; may be
    /// dropped and called again.
    ///
    /// # Errors
    /// A lost connection; it is not replaced here, as what was subscribed to would be gone.
    pub async fn receive(&mut self) -> Result<Value, ClientError> {
        let connection = self.connection.as_mut().ok_or(ClientError::Closed)?;
        let received = connection.receive().await;
        self.noticed(received)
    }

    /// The next pushed message (RESP3): pub/sub, invalidation. Waits without a limit; may be dropped and called again. Replies
    /// that come before it are left aside.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn next_push(&mut self) -> Result<Vec<Value>, ClientError> {
        let connection = self.connection.as_mut().ok_or(ClientError::Closed)?;
        let pushed = connection.push().await;
        self.noticed(pushed)
    }

    /// A pushed message that came along with a reply, if any.
    pub fn try_next_push(&mut self) -> Option<Vec<Value>> {
        self.connection.as_mut()?.try_push()
    }

    /// How many pushed messages were dropped because nobody took them, see [`Options::pushes_max`].
    #[must_use]
    pub fn pushes_lost(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::pushes_lost)
    }

    /// Which protocol was agreed on at connecting.
    #[must_use]
    pub fn protocol(&self) -> RespVersion {
        self.version
    }

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&mut self) -> bool {
        self.connection
            .as_mut()
            .is_some_and(|connection| !connection.is_closed())
    }

    /// As it was connected.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The bytes of the connection, for another protocol than commands and replies; `None` if there is no connection, or if a
    /// dropped future left half of a command unsent.
    #[must_use]
    pub fn into_raw(self) -> Option<Raw> {
        self.connection
            .filter(|connection| !connection.has_unsent())
            .map(Raw::new)
    }

    /// The connection, or a new one if it is lost and that is wanted. Not in the middle of a transaction: what is left of it
    /// would be executed outside of one. And not for a stream of replies that would go on with others.
    async fn connected(
        &mut self,
        for_stream: bool,
    ) -> Result<(&mut Connection, &mut Session), ClientError> {
        if let Reconnect::Attempts { attempts, delay } = self.options.reconnect
            && !self.is_connected()
        {
            let lost = self.connection.take();
            if self.session.in_transaction() {
                self.session.forget_transaction();
                return Err(ClientError::TransactionLost);
            }
            if for_stream && lost.is_some_and(|lost| lost.is_streaming()) {
                return Err(ClientError::Closed);
            }
            let options = Options {
                db: self.session.db().unwrap_or(self.options.db),
                ..self.options.clone()
            };
            let (connection, version) = reopen(&options, attempts, delay).await?;
            self.version = version;
            self.connection = Some(connection);
        }
        let connection = self.connection.as_mut().ok_or(ClientError::Closed)?;
        Ok((connection, &mut self.session))
    }

    /// Drops the connection if this error says that it is lost.
    fn noticed<T>(&mut self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if outcome.as_ref().is_err_and(ClientError::is_disconnect) {
            self.connection = None;
            // The caller knows now.
            self.session.forget_transaction();
        }
        outcome
    }
}

/// What is said about commands that are to have one reply, and have none.
const SILENCED: &str = "a command after CLIENT REPLY OFF or SKIP";

fn is_reply_on<A: AsRef<[u8]>>(args: &[A]) -> bool {
    let words: [&[u8]; 3] = [b"CLIENT", b"REPLY", b"ON"];
    args.len() == words.len()
        && (args.iter().zip(words)).all(|(arg, word)| arg.as_ref().eq_ignore_ascii_case(word))
}

async fn open(options: &Options) -> Result<(Connection, RespVersion), ClientError> {
    let opening = async {
        let stream = Stream::connect(options).await?;
        let mut connection = Connection::new(stream, options);
        let version = shake_hands(&mut connection, options).await?;
        Ok((connection, version))
    };
    match limited(options.connect_timeout, opening).await {
        Err(ClientError::Timeout(_)) => Err(ClientError::Connect {
            address: options.address.clone(),
            source: io::ErrorKind::TimedOut.into(),
        }),
        opened => opened,
    }
}

async fn reopen(
    options: &Options,
    attempts: u32,
    mut delay: Duration,
) -> Result<(Connection, RespVersion), ClientError> {
    let mut left = attempts.max(1);
    loop {
        left -= 1;
        match open(options).await {
            Err(error) if error.is_disconnect() && left > 0 => {
                tokio::time::sleep(delay).await;
                delay = delay.saturating_mul(2).min(RECONNECT_DELAY_MAX);
            }
            opened => return opened,
        }
    }
}
