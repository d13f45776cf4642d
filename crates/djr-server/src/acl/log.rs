//! `ACL LOG`: what was refused, the latest first. The same refusal again, within a minute, counts up instead.

use std::collections::VecDeque;

/// A refusal within so many milliseconds after the like of it is the same entry.
const GROUPED_MS: i64 = 60_000;

/// Where a refused command came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    TopLevel,
    Multi,
    Script,
}

impl Origin {
    /// The word of ACL LOG.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TopLevel => "toplevel",
            Self::Multi => "multi",
            Self::Script => "lua",
        }
    }
}

/// A refusal, or several of the same kind.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    /// Never used twice.
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) refusal: Refusal,
    /// The client as CLIENT LIST shows it, when it was refused last.
    pub(crate) client: String,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// What was refused: equal ones are one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) origin: Origin,
    pub(crate) object: Vec<u8>,
    pub(crate) username: Vec<u8>,
}

/// The latest refusals.
#[derive(Debug, Default)]
pub(crate) struct AclLog {
    /// The latest first.
    entries: VecDeque<LogEntry>,
    next_id: u64,
}

impl AclLog {
    /// Notes a refusal; keeps at most so many entries.
    pub(super) fn add(&mut self, refusal: Refusal, client: String, now_ms: i64, len_max: usize) {
        let same =
            |entry: &LogEntry| entry.refusal == refusal && now_ms - entry.updated_ms <= GROUPED_MS;
        let entry = match self.entries.iter().position(same) {
            // The position was just found.
            Some(place) => self.entries.remove(place).map(|entry| LogEntry {
                count: entry.count + 1,
                client,
                updated_ms: now_ms,
                ..entry
            }),
            None => {
                let id = self.next_id;
                self.next_id += 1;
                Some(LogEntry {
                    id,
                    count: 1,
                    refusal,
                    client,
                    created_ms: now_ms,
                    updated_ms: now_ms,
                })
            }
        };
        if let Some(entry) = entry {
            self.entries.push_front(entry);
        }
        self.entries.truncate(len_max);
    }

    /// The latest ones.
    pub(super) fn latest(&self, count: usize) -> Vec<LogEntry> {
        self.entries.iter().take(count).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(object: &str) -> Refusal {
        Refusal {
            reason: "key",
            origin: Origin::TopLevel,
            object: object.into(),
            username: b"u".to_vec(),
        }
    }

    #[test]
    fn the_same_refusal_counts_up_for_a_minute() {
        let mut log = AclLog::default();
        log.add(refusal("a"), "1".into(), 0, 128);
        log.add(refusal("b"), "2".into(), 10, 128);
        log.add(refusal("a"), "3".into(), 50_000, 128);
        log.add(refusal("a"), "4".into(), 110_000, 128);
        log.add(refusal("a"), "5".into(), 170_001, 128);
        let seen: Vec<_> = log
            .latest(9)
            .into_iter()
            .map(|entry| (entry.id, entry.count, entry.client, entry.created_ms))
            .collect();
        let expected = [
            (2, 1, "5".to_owned(), 170_001),
            (0, 3, "4".to_owned(), 0),
            (1, 1, "2".to_owned(), 10),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut log = AclLog::default();
        for object in ["a", "b", "c"] {
            log.add(refusal(object), String::new(), 0, 2);
        }
        let objects: Vec<_> = log
            .latest(9)
            .into_iter()
            .map(|entry| entry.refusal.object)
            .collect();
        assert_eq!(objects, [b"c".to_vec(), b"b".to_vec()]);
        log.add(refusal("d"), String::new(), 0, 0);
        assert!(log.latest(9).is_empty());
    }
}
