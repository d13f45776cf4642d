//! Pub/sub: a connection that listens.

use std::collections::BTreeSet;

use bytes::Bytes;
use djr_protocol::Value;

use crate::client::Client;
use crate::error::{ClientError, ServerError};
use crate::options::{Options, Reconnect};

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub channel: Bytes,
    /// The pattern that let it through, if that is how it was subscribed to.
    pub pattern: Option<Bytes>,
    /// What was published.
    pub payload: Bytes,
}

/// A connection that listens to channels, in RESP3 or RESP2.
///
/// With [`Options::reconnect`] a lost connection is replaced and everything subscribed to again; what was published
/// in between is lost, as always with pub/sub.
///
/// ```no_run
/// # async fn run() -> Result<(), djr_client::ClientError> {
/// use djr_client::Subscriber;
///
/// let mut subscriber = Subscriber::connect("redis://127.0.0.1:6379").await?;
/// subscriber.subscribe(&["news"]).await?;
/// subscriber.psubscribe(&["weather.*"]).await?;
/// loop {
///     let message = subscriber.next_message().await?;
///     println!("{:?}: {:?}", message.channel, message.payload);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscriber {
    client: Client,
    options: Options,
    /// To be subscribed to, whatever happens to the connection.
    wanted: [BTreeSet<Bytes>; 3],
}

/// How channels are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

    fn subscribe(self) -> &'static str {
        ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"][self as usize]
    }

    fn unsubscribe(self) -> &'static str {
        ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"][self as usize]
    }
}

impl Subscriber {
    /// Connects, see [`Client::connect`].
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect<O>(options: O) -> Result<Subscriber, ClientError>
    where
        O: TryInto<Options>,
        ClientError: From<O::Error>,
    {
        let options: Options = options.try_into()?;
        // A reconnect is done here: the connection alone would forget the channels.
        let first = Options {
            reconnect: Reconnect::Never,
            ..options.clone()
        };
        let client = Client::reopen(&first).await?;
        Ok(Subscriber {
            client,
            options,
            wanted: Default::default(),
        })
    }

    /// Listens to these channels, too.
    ///
    /// # Errors
    /// A lost connection. A refusal comes from [`next_message`](Subscriber::next_message).
    pub async fn subscribe<A: AsRef<[u8]>>(&mut self, channels: &[A]) -> Result<(), ClientError> {
        self.add(Kind::Channel, channels).await
    }

    /// Listens to all channels whose names match these patterns, too.
    ///
    /// # Errors
    /// As [`subscribe`](Subscriber::subscribe).
    pub async fn psubscribe<A: AsRef<[u8]>>(&mut self, patterns: &[A]) -> Result<(), ClientError> {
        self.add(Kind::Pattern, patterns).await
    }

    /// Listens to these shard channels, too.
    ///
    /// # Errors
    /// As [`subscribe`](Subscriber::subscribe).
    pub async fn ssubscribe<A: AsRef<[u8]>>(&mut self, channels: &[A]) -> Result<(), ClientError> {
        self.add(Kind::Shard, channels).await
    }

    /// Listens to these channels no more. Messages that are under way still come.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn unsubscribe<A: AsRef<[u8]>>(&mut self, channels: &[A]) -> Result<(), ClientError> {
        self.remove(Kind::Channel, channels).await
    }

    /// Listens to these patterns no more.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn punsubscribe<A: AsRef<[u8]>>(
        &mut self,
        patterns: &[A],
    ) -> Result<(), ClientError> {
        self.remove(Kind::Pattern, patterns).await
    }

    /// Listens to these shard channels no more.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn sunsubscribe<A: AsRef<[u8]>>(
        &mut self,
        channels: &[A],
    ) -> Result<(), ClientError> {
        self.remove(Kind::Shard, channels).await
    }

    /// The next message. Waits without a limit; may be dropped and called again.
    ///
    /// # Errors
    /// A refused subscription, or a connection that is lost and, if that was wanted, can't be replaced.
    pub async fn next_message(&mut self) -> Result<Message, ClientError> {
        loop {
            let value = match self.client.receive().await {
                Err(error)
                    if error.is_disconnect() && self.options.reconnect != Reconnect::Never =>
                {
                    self.reconnect().await?;
                    continue;
                }
                received => received?,
            };
            if let Some(message) = message(value)? {
                return Ok(message);
            }
        }
    }

    async fn add<A: AsRef<[u8]>>(&mut self, kind: Kind, names: &[A]) -> Result<(), ClientError> {
        if names.is_empty() {
            return Ok(());
        }
        if let Some(wanted) = self.wanted.get_mut(kind as usize) {
            wanted.extend(
                names
                    .iter()
                    .map(|name| Bytes::copy_from_slice(name.as_ref())),
            );
        }
        self.send(kind.subscribe(), names).await
    }

    async fn remove<A: AsRef<[u8]>>(&mut self, kind: Kind, names: &[A]) -> Result<(), ClientError> {
        if names.is_empty() {
            return Ok(());
        }
        if let Some(wanted) = self.wanted.get_mut(kind as usize) {
            wanted.retain(|known| !names.iter().any(|name| name.as_ref() == known));
        }
        self.send(kind.unsubscribe(), names).await
    }

    async fn send<A: AsRef<[u8]>>(
        &mut self,
        command: &str,
        names: &[A],
    ) -> Result<(), ClientError> {
        let words: Vec<&[u8]> = std::iter::once(command.as_bytes())
            .chain(names.iter().map(AsRef::as_ref))
            .collect();
        match self.client.send(&words).await {
            Err(error) if error.is_disconnect() && self.options.reconnect != Reconnect::Never => {
                self.reconnect().await
            }
            sent => sent,
        }
    }

    /// A new connection, subscribed to what is wanted.
    async fn reconnect(&mut self) -> Result<(), ClientError> {
        let mut client = Client::reopen(&self.options).await?;
        for (kind, names) in Kind::ALL.into_iter().zip(&self.wanted) {
            if names.is_empty() {
                continue;
            }
            let words: Vec<&[u8]> = std::iter::once(kind.subscribe().as_bytes())
                .chain(names.iter().map(AsRef::as_ref))
                .collect();
            client.send(&words).await?;
        }
        self.client = client;
        Ok(())
    }
}

/// What a message says; `None` for confirmations and what has nothing to do with pub/sub.
fn message(value: Value) -> Result<Option<Message>, ServerError> {
    let items = match value {
        Value::Push(items) | Value::Array(items) => items,
        Value::Error(text) => return Err(text.into()),
        _ => return Ok(None),
    };
    let text = |index: usize| {
        items
            .get(index)
            .and_then(Value::as_bytes)
            .map(Bytes::copy_from_slice)
    };
    let (kind, rest) = match items.first().and_then(Value::as_bytes) {
        Some(kind @ (b"message" | b"smessage")) => (kind, 1),
        Some(kind @ b"pmessage") => (kind, 2),
        _ => return Ok(None),
    };
    let (Some(channel), Some(payload)) = (text(rest), text(rest + 1)) else {
        return Ok(None);
    };
    let pattern = if kind == b"pmessage" { text(1) } else { None };
    Ok(Some(Message {
        channel,
        pattern,
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<Value> {
        words
            .iter()
            .map(|word| Value::Bulk((*word).to_owned().into()))
            .collect()
    }

    #[test]
    fn messages_are_told_from_the_rest() {
        let got = message(Value::Push(words(&["pmessage", "n*", "news", "hi"])))
            .unwrap()
            .unwrap();
        assert_eq!(got.pattern.as_deref(), Some(&b"n*"[..]));
        assert_eq!(
            (&got.channel[..], &got.payload[..]),
            (&b"news"[..], &b"hi"[..])
        );
        let got = message(Value::Array(words(&["message", "news", "hi"])))
            .unwrap()
            .unwrap();
        assert_eq!(got.pattern, None);
        assert_eq!(
            message(Value::Array(words(&["subscribe", "news"]))).unwrap(),
            None
        );
        assert_eq!(message(Value::Push(words(&["message"]))).unwrap(), None);
        assert!(message(Value::Error("NOPERM".into())).is_err());
    }
}
