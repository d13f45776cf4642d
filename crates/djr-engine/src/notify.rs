//! Keyspace events: what commands tell of what they did to which key, and who wants to know (`notify-keyspace-events`).

use std::cell::RefCell;

use djr_storage::keyspace::Expired;

/// A set of classes of events, and of the channels that they are published on. The letters are those of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify(u32);

/// Letter and set, in the order in which the setting is shown.
const LETTERS: [(u8, Notify); 14] = [
    (b'g', Notify::GENERIC),
    (b'$', Notify::STRING),
    (b'l', Notify::LIST),
    (b's', Notify::SET),
    (b'h', Notify::HASH),
    (b'z', Notify::SORTED_SET),
    (b'x', Notify::EXPIRED),
    (b'e', Notify::EVICTED),
    (b't', Notify::STREAM),
    (b'd', Notify::MODULE),
    (b'n', Notify::NEW),
    (b'K', Notify::KEYSPACE),
    (b'E', Notify::KEYEVENT),
    (b'm', Notify::KEY_MISS),
];

impl Notify {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `K`: events are published on `__keyspace@db__:key`.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: events are published on `__keyevent@db__:event`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands of all types (DEL, EXPIRE, RENAME, …).
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: strings.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: lists.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: sets.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hashes.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted sets.
    pub const SORTED_SET: Self = Self(1 << 7);
    /// `x`: keys that have expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: keys that were evicted.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: streams.
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: keys that were looked for and not there. Not part of `A`.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: keys of modules.
    pub const MODULE: Self = Self(1 << 12);
    /// `n`: new keys. Not part of `A`.
    pub const NEW: Self = Self(1 << 13);
    /// `A`: all classes but [`KEY_MISS`](Self::KEY_MISS) and [`NEW`](Self::NEW).
    pub const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::SORTED_SET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// Whether all of `other` is in here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets in one.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether events of a class are published at all: it is wanted, and on some channel.
    #[inline]
    pub fn wants(self, class: Self) -> bool {
        self.0 & class.0 != 0 && self.0 & (Self::KEYSPACE.0 | Self::KEYEVENT.0) != 0
    }

    /// Reads the setting's text; `None` if there is a letter that means nothing.
    pub fn parse(text: &[u8]) -> Option<Self> {
        text.iter().try_fold(Self::NONE, |sum, letter| {
            if *letter == b'A' {
                return Some(sum.with(Self::ALL));
            }
            let (_, class) = LETTERS.iter().find(|(known, _)| known == letter)?;
            Some(sum.with(*class))
        })
    }

    /// As a number, for a [`Setting`](crate::settings::Setting).
    pub fn bits(self) -> u64 {
        self.0.into()
    }

    /// The set of such a number.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits as u32)
    }
}

/// The setting's text as Redis shows it. Where all classes are wanted, `n` is not shown, wanted or not.
impl std::fmt::Display for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_all = self.contains(Self::ALL);
        if is_all {
            f.write_str("A")?;
        }
        let hidden = Self::ALL.with(Self::NEW);
        LETTERS
            .iter()
            .filter(|(_, class)| self.contains(*class) && !(is_all && hidden.contains(*class)))
            .try_for_each(|(letter, _)| write!(f, "{}", char::from(*letter)))
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The db of the key.
    pub db: u32,
    /// Its class, one of those of [`Notify`].
    pub class: Notify,
    /// Its name, as Redis has it (`lpush`).
    pub name: &'static str,
    /// The key.
    pub key: &'a [u8],
}

/// The events of one command, transaction or script, in order, until its locks are released.
#[derive(Debug, Default)]
pub struct Events(RefCell<Pending>);

#[derive(Debug, Default)]
struct Pending {
    /// Db, class, name, and where in `keys` the key ends.
    events: Vec<(u32, Notify, &'static str, usize)>,
    keys: Vec<u8>,
}

impl Events {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().events.is_empty()
    }

    /// Adds one.
    #[cold]
    pub fn push(&self, db: u32, class: Notify, name: &'static str, key: &[u8]) {
        let mut pending = self.0.borrow_mut();
        pending.keys.extend_from_slice(key);
        let end = pending.keys.len();
        pending.events.push((db, class, name, end));
    }

    /// Adds those of something that has expired, as far as they are wanted.
    pub fn push_expired(&self, wanted: Notify, db: u32, expired: Expired<'_>) {
        let push = |class, name, key| {
            if wanted.wants(class) {
                self.push(db, class, name, key);
            }
        };
        match expired {
            Expired::Key(key) => push(Notify::EXPIRED, "expired", key),
            Expired::Field { .. } => {}
            Expired::Fields { key, removed } => {
                push(Notify::HASH, "hexpired", key);
                if removed {
                    push(Notify::GENERIC, "del", key);
                }
            }
        }
    }

    /// Puts what was added since `len` events were there before the others: an expired key went before the command did anything.
    pub(crate) fn move_to_front(&self, len: usize) {
        let mut pending = self.0.borrow_mut();
        if len == 0 || len == pending.events.len() {
            return;
        }
        let middle = pending.events[len - 1].3;
        let (moved_bytes, moved) = (pending.keys.len() - middle, pending.events.len() - len);
        pending.keys.rotate_left(middle);
        pending.events.rotate_left(len);
        for (at, event) in pending.events.iter_mut().enumerate() {
            if at < moved {
                event.3 -= middle;
            } else {
                event.3 += moved_bytes;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().events.len()
    }

    /// Hands all of them to `deliver` and forgets them.
    pub fn deliver(&self, mut deliver: impl FnMut(Event<'_>)) {
        // Out of the cell, for whoever gets an event may do something that causes another.
        let mut pending = std::mem::take(&mut *self.0.borrow_mut());
        let mut start = 0;
        for (db, class, name, end) in pending.events.drain(..) {
            deliver(Event {
                db,
                class,
                name,
                key: &pending.keys[start..end],
            });
            start = end;
        }
        pending.keys.clear();
        if self.is_empty() {
            *self.0.borrow_mut() = pending; // its memory is used again
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_shown_as_redis_shows_it() {
        for (text, shown) in [
            ("", ""),
            ("KEA", "AKE"),
            ("KEAnm", "AKEm"),
            ("g$lshzxetd", "A"),
            ("Kg", "gK"),
            ("KEnmg", "gnKEm"),
            ("$$", "$"),
        ] {
            let notify = Notify::parse(text.as_bytes()).expect("known letters");
            assert_eq!(notify.to_string(), shown, "{text}");
            assert_eq!(Notify::from_bits(notify.bits()), notify);
        }
        assert_eq!(Notify::parse(b"Kq"), None);
    }

    #[test]
    fn nothing_is_wanted_without_a_channel() {
        let wants = |text: &[u8], class| Notify::parse(text).expect("known letters").wants(class);
        assert!(!wants(b"A", Notify::LIST));
        assert!(!wants(b"KE", Notify::LIST));
        assert!(!wants(b"KEA", Notify::NEW));
        assert!(wants(b"Kl", Notify::LIST));
        assert!(wants(b"Em", Notify::KEY_MISS));
    }

    #[test]
    fn events_keep_their_order_and_keys() {
        let events = Events::default();
        events.push(0, Notify::STRING, "set", b"first");
        events.push(1, Notify::GENERIC, "del", b"");
        events.push(2, Notify::EXPIRED, "expired", b"gone");
        events.push(2, Notify::EXPIRED, "expired", b"too");
        events.move_to_front(2);
        for round in 0..2 {
            let mut seen = Vec::new();
            events.deliver(|event| seen.push((event.db, event.name, event.key.to_vec())));
            let expected = [
                (2, "expired", b"gone".to_vec()),
                (2, "expired", b"too".to_vec()),
                (0, "set", b"first".to_vec()),
                (1, "del", Vec::new()),
            ];
            assert_eq!(
                seen,
                if round == 0 {
                    expected.to_vec()
                } else {
                    Vec::new()
                }
            );
        }
    }
}
