//! What a worker does to publish, to deliver, to subscribe.

use bytes::Bytes;
use djr_engine::glob;

use super::{Kind, Message, Published, Subscribers, frame};
use crate::session::Session;
use crate::worker::Core;

/// One worker's part in publish and subscribe.
#[derive(Default)]
pub(crate) struct Hub {
    subscribers: Subscribers,
    /// What this turn publishes to the other workers' subscribers, by worker.
    outboxes: Vec<Vec<Message>>,
    /// Memory for encoding.
    buffer: Vec<u8>,
}

/// A message longer than this leaves no memory behind for the next one.
const BUFFER_KEPT_MAX: usize = 64 << 10;

impl Core {
    /// Publishes on a channel, or on a shard channel. How many get the message.
    pub(crate) fn publish(&mut self, kind: Kind, channel: &[u8], payload: &[u8]) -> usize {
        let mut buffer = std::mem::take(&mut self.hub.buffer);
        let mut count = self.publish_to_name(&mut buffer, kind, channel, payload);
        if kind == Kind::Channel {
            count += self.publish_to_patterns(&mut buffer, channel, payload);
        }
        buffer.clear();
        buffer.shrink_to(BUFFER_KEPT_MAX);
        self.hub.buffer = buffer;
        count
    }

    fn publish_to_name(
        &mut self,
        buffer: &mut Vec<u8>,
        kind: Kind,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let mut count = 0;
        let encode = |buffer: &mut Vec<u8>| {
            if buffer.is_empty() {
                frame(buffer, kind, None, channel, payload);
            }
        };
        buffer.clear();
        let (mut outlet, hub) = self.outlet();
        if let Some(connections) = hub.subscribers.of(kind, channel) {
            encode(buffer);
            count += connections.len();
            connections.iter().for_each(|id| outlet.push(*id, buffer));
        }
        if self.shared.workers.len() > 1 {
            let mut message = None;
            let Self {
                shared, hub, index, ..
            } = self;
            shared
                .pubsub
                .others(kind, channel, *index, |worker, subscribers| {
                    let message = message.get_or_insert_with(|| {
                        encode(buffer);
                        Published {
                            kind,
                            name: Bytes::copy_from_slice(channel),
                            frame: Bytes::copy_from_slice(buffer),
                        }
                    });
                    hub.post(worker, Message::Published(message.clone()));
                    count += subscribers;
                });
        }
        count
    }

    fn publish_to_patterns(
        &mut self,
        buffer: &mut Vec<u8>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let mut count = 0;
        let (mut outlet, hub) = self.outlet();
        for (pattern, connections) in hub.subscribers.patterns() {
            if glob::matches(pattern, channel) {
                buffer.clear();
                frame(buffer, Kind::Pattern, Some(pattern), channel, payload);
                count += connections.len();
                connections.iter().for_each(|id| outlet.push(*id, buffer));
            }
        }
        if self.shared.workers.len() > 1 {
            let Self {
                shared, hub, index, ..
            } = self;
            let mut last: Option<Published> = None;
            shared
                .pubsub
                .others_matching(channel, *index, |pattern, worker, subscribers| {
                    let message = match &last {
                        Some(message) if message.name == *pattern => message.clone(),
                        _ => {
                            buffer.clear();
                            frame(buffer, Kind::Pattern, Some(pattern), channel, payload);
                            Published {
                                kind: Kind::Pattern,
                                name: pattern.clone(),
                                frame: Bytes::copy_from_slice(buffer),
                            }
                        }
                    };
                    hub.post(worker, Message::Published(message.clone()));
                    last = Some(message);
                    count += subscribers;
                });
        }
        count
    }

    /// Sends what this turn has published to the other workers.
    pub(crate) fn flush_outboxes(&mut self) {
        for (worker, outbox) in self.hub.outboxes.iter_mut().enumerate() {
            if !outbox.is_empty() {
                self.shared.workers[worker].mailbox.send_messages(outbox);
            }
        }
    }

    /// Delivers what other workers have published.
    pub(crate) fn receive_messages(&mut self) {
        let messages = self.shared.workers[self.index].mailbox.take_messages();
        let (mut outlet, hub) = self.outlet();
        for message in &messages {
            match message {
                Message::Published(Published { kind, name, frame }) => {
                    let connections = hub.subscribers.of(*kind, name);
                    for id in connections.into_iter().flatten() {
                        outlet.push(*id, frame);
                    }
                }
                Message::Invalidated { slot, client, told } => outlet.tell(*slot, *client, told),
                Message::Shown { slot, client, line } => outlet.show(*slot, *client, line),
            }
        }
    }

    /// Notes something for the connections of another worker.
    pub(crate) fn post(&mut self, worker: usize, message: Message) {
        self.hub.post(worker, message);
    }

    /// Adds a name to a session's subscriptions.
    pub(crate) fn subscribe(&mut self, session: &mut Session, kind: Kind, name: &[u8]) {
        // What was published before is not for this session.
        self.receive_messages();
        let subscriptions = session.subscriptions.get_or_insert_default();
        if subscriptions.contains(kind, name) {
            return;
        }
        let (name, count) = self.hub.subscribers.add(kind, name, session.info.slot);
        self.shared.pubsub.set(kind, &name, self.index, count);
        subscriptions.insert(kind, name);
        session.subscriptions_changed();
    }

    /// Takes a name out of a session's subscriptions, if it is among them.
    pub(crate) fn unsubscribe(&mut self, session: &mut Session, kind: Kind, name: &[u8]) {
        // What was published before still is.
        self.receive_messages();
        let Some(subscriptions) = &mut session.subscriptions else {
            return;
        };
        if !subscriptions.remove(kind, name) {
            return;
        }
        let left = self.hub.subscribers.remove(kind, name, session.info.slot);
        let name = Bytes::copy_from_slice(name);
        self.shared.pubsub.set(kind, &name, self.index, left);
        session.subscriptions_changed();
    }

    /// Ends all subscriptions of a session, without a word.
    pub(crate) fn unsubscribe_all(&mut self, session: &mut Session) {
        for kind in Kind::ALL {
            let names = session
                .subscriptions
                .as_ref()
                .map(|subscriptions| subscriptions.names(kind));
            for name in names.into_iter().flatten() {
                self.unsubscribe(session, kind, &name);
            }
        }
    }
}

impl Hub {
    fn post(&mut self, worker: usize, message: Message) {
        if self.outboxes.len() <= worker {
            self.outboxes.resize_with(worker + 1, Vec::new);
        }
        self.outboxes[worker].push(message);
    }
}
