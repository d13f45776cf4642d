//! Publish and subscribe.
//!
//! ```text
//! PUBLISH ─► encode once ─┬─► subscribers of this worker: into their buffers        (no lock)
//!                         └─► directory: which other workers? ─► outbox of each ─► end of turn: one mail, one wake-up
//! ```
//!
//! - [`Subscriptions`]: the names that one session has subscribed to.
//! - [`Subscribers`]: one worker's own connections by name; nobody else touches it.
//! - [`Directory`]: how many subscribers each worker has for a name. Written when somebody comes or goes, read by `PUBLISH`
//!   and `PUBSUB`.
//! - [`delivery`]: what a worker does to publish, to deliver and to subscribe.
//!
//! **Invariants:** the messages of one publisher reach each subscriber in the order in which they were published. A message
//! published before a subscription was asked for never reaches it; one published after it was confirmed always does.

mod delivery;
mod directory;
mod events;
mod subscribers;
mod subscriptions;

use bytes::Bytes;
use djr_engine::Reply;
use djr_protocol::RespVersion;

pub(crate) use delivery::Hub;
pub(crate) use directory::Directory;
pub(crate) use subscribers::Subscribers;
pub(crate) use subscriptions::Subscriptions;

use crate::tracking::Invalidated;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A channel: `SUBSCRIBE`, `PUBLISH`.
    Channel,
    /// A pattern that channels match: `PSUBSCRIBE`.
    Pattern,
    /// A channel of the other namespace, which a cluster shards: `SSUBSCRIBE`, `SPUBLISH`.
    Shard,
}

impl Kind {
    /// All kinds, in the order in which sessions give them up.
    pub(crate) const ALL: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

    const fn index(self) -> usize {
        self as usize
    }
}

/// Something on its way to the connections of another worker.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// For the subscribers of a name.
    Published(Published),
    /// For one client, by its place and its number.
    Invalidated {
        slot: usize,
        client: u64,
        told: Invalidated,
    },
    /// For the same: a line of MONITOR.
    Shown {
        slot: usize,
        client: u64,
        line: Bytes,
    },
}

/// A message for the subscribers of a name.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    kind: Kind,
    /// The channel or, of [`Kind::Pattern`], the pattern whose subscribers get it.
    name: Bytes,
    /// As [`frame`] encodes it.
    frame: Bytes,
}

/// A message in RESP3, `>3 message channel payload` (`>4 pmessage pattern channel payload`). In RESP2 only the first byte is
/// another one, so that one encoding serves both ([`append_frame`]).
fn frame(out: &mut Vec<u8>, kind: Kind, pattern: Option<&[u8]>, channel: &[u8], payload: &[u8]) {
    let mut reply = Reply::new(out, RespVersion::V3);
    reply.push(if pattern.is_some() { 4 } else { 3 });
    match kind {
        Kind::Channel => reply.bulk(b"message"),
        Kind::Pattern => reply.bulk(b"pmessage"),
        Kind::Shard => reply.bulk(b"smessage"),
    }
    if let Some(pattern) = pattern {
        reply.bulk(pattern);
    }
    reply.bulk(channel);
    reply.bulk(payload);
}

/// Appends a message to the replies of a connection that speaks this version.
#[inline]
pub(crate) fn append_frame(out: &mut Vec<u8>, frame: &[u8], version: RespVersion) {
    let start = out.len();
    out.extend_from_slice(frame);
    if version == RespVersion::V2
        && let Some(first) = out.get_mut(start)
    {
        *first = b'*';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_encoding_serves_both_versions() {
        let mut encoded = Vec::new();
        frame(&mut encoded, Kind::Pattern, Some(b"n*"), b"news", b"hi");
        let mut out = b"+OK\r\n".to_vec();
        append_frame(&mut out, &encoded, RespVersion::V2);
        append_frame(&mut out, &encoded, RespVersion::V3);
        let rest = "4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n";
        assert_eq!(
            String::from_utf8_lossy(&out),
            format!("+OK\r\n*{rest}>{rest}")
        );
    }
}
