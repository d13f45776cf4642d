//! The commands that were slow, and those whose request or reply was large: SLOWLOG and COMMANDLOG.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{Config, Number};

const SLOW_MAX: Number = Number::of("slowlog-max-len");
const REQUESTS_MAX: Number = Number::of("commandlog-large-request-max-len");
const REPLIES_MAX: Number = Number::of("commandlog-large-reply-max-len");

/// What a command is noted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Slow,
    LargeRequest,
    LargeReply,
}

/// A command that was noted.
pub(crate) struct Entry {
    /// Never used twice, of each kind.
    pub(crate) id: u64,
    /// When it had run, in seconds since 1970.
    pub(crate) at: i64,
    /// Microseconds, or bytes.
    pub(crate) value: u64,
    /// Shortened, without secrets.
    pub(crate) args: Vec<Box<[u8]>>,
    /// The client's address.
    pub(crate) peer: String,
    /// The client's name.
    pub(crate) name: String,
}

/// The latest of each kind, within the limits that are configured.
#[derive(Default)]
pub(crate) struct CommandLog {
    lists: [Mutex<List>; 3],
}

#[derive(Default)]
struct List {
    next_id: u64,
    /// The latest is the first.
    entries: VecDeque<Arc<Entry>>,
}

impl CommandLog {
    /// Notes a command; what is too old is forgotten. The entry's id is given here.
    pub(crate) fn push(&self, kind: Kind, mut entry: Entry, config: &Config) {
        let max = config.number(match kind {
            Kind::Slow => SLOW_MAX,
            Kind::LargeRequest => REQUESTS_MAX,
            Kind::LargeReply => REPLIES_MAX,
        });
        let mut list = self.lists[kind as usize].lock();
        entry.id = list.next_id;
        list.next_id += 1;
        list.entries.push_front(Arc::new(entry));
        list.entries.truncate(usize::try_from(max).unwrap_or(0));
    }

    /// The latest entries, the very latest first.
    pub(crate) fn latest(&self, kind: Kind, count: usize) -> Vec<Arc<Entry>> {
        let list = self.lists[kind as usize].lock();
        list.entries.iter().take(count).cloned().collect()
    }

    pub(crate) fn len(&self, kind: Kind) -> usize {
        self.lists[kind as usize].lock().entries.len()
    }

    /// How many have been noted since the start.
    pub(crate) fn total(&self, kind: Kind) -> u64 {
        self.lists[kind as usize].lock().next_id
    }

    /// Forgets all entries. Their ids are not used again.
    pub(crate) fn reset(&self, kind: Kind) {
        self.lists[kind as usize].lock().entries.clear();
    }
}
