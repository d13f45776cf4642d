//! Trimming: entries go from the front, whole blocks at a time where that will do.

use super::entries::Entries;
use super::{Stream, StreamId};

/// How far to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// Until at most so many entries are left.
    MaxLen(u64),
    /// Until no id is smaller.
    MinId(StreamId),
}

/// What becomes of the references that groups hold to a deleted entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// They stay.
    #[default]
    Keep,
    /// They go too.
    Delete,
    /// There must be none: an entry stays that is pending in a group, or that a group has still to deliver.
    Acknowledged,
}

/// What to trim.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    /// How far.
    pub to: TrimTo,
    /// Only whole blocks.
    pub approximate: bool,
    /// Stop before a block with which more entries than this would be gone; 0: no limit.
    pub limit: u64,
    /// What becomes of references.
    pub references: References,
}

/// What was trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// How many entries are gone.
    pub deleted: u64,
    /// Where it ended before the goal: the first id that was not looked at.
    pub stopped_at: Option<StreamId>,
}

impl Trim {
    /// Whether a block may go as a whole.
    fn covers(&self, entries: &Entries, live: u64, last: StreamId) -> bool {
        match self.to {
            TrimTo::MaxLen(max) => entries
                .len()
                .checked_sub(live)
                .is_some_and(|len| len >= max),
            TrimTo::MinId(min) => last < min,
        }
    }

    /// Whether an entry may go when `len` are left.
    fn wants(&self, id: StreamId, len: u64) -> bool {
        match self.to {
            TrimTo::MaxLen(max) => len > max,
            TrimTo::MinId(min) => id < min,
        }
    }

    fn is_done(&self, entries: &Entries) -> bool {
        matches!(self.to, TrimTo::MaxLen(max) if entries.len() <= max)
    }
}

impl Stream {
    /// Trims from the front.
    pub fn trim(&mut self, trim: &Trim) -> Trimmed {
        match trim.references {
            References::Acknowledged if !self.inner.groups.is_empty() => {
                self.trim_acknowledged(trim)
            }
            References::Delete if !self.inner.groups.is_empty() => {
                let mut ids = Vec::new();
                let trimmed = trim_entries(&mut self.inner.entries, trim, |id| ids.push(id));
                for id in ids {
                    self.drop_references(id);
                }
                trimmed
            }
            _ => trim_entries(&mut self.inner.entries, trim, |_| ()),
        }
    }

    /// Trims what no group needs any more, and leaves the rest where it is.
    fn trim_acknowledged(&mut self, trim: &Trim) -> Trimmed {
        let mut trimmed = Trimmed::default();
        let mut block = self.inner.entries.first_block().map(|block| block.first());
        while let Some(first) = block {
            let entries = &self.inner.entries;
            if trim.is_done(entries) {
                break;
            }
            let Some((live, last)) = entries
                .block_at(first)
                .map(|block| (u64::from(block.live()), block.last()))
            else {
                break;
            };
            let whole = trim.covers(entries, live, last);
            if trim.limit != 0 && trimmed.deleted + live > trim.limit || trim.approximate && !whole
            {
                trimmed.stopped_at = Some(first);
                break;
            }
            let ids: Vec<StreamId> = entries
                .range(first, last)
                .map(|entry| entry.id())
                .filter(|id| !self.is_referenced(*id))
                .collect();
            block = entries.block_after(first).map(|block| block.first());
            for id in ids {
                if !trim.wants(id, self.inner.entries.len()) {
                    break;
                }
                trimmed.deleted += u64::from(self.inner.entries.delete(id));
            }
            // Of the blocks behind it nothing is old enough; but they may have to make up for what had to stay.
            if !whole && matches!(trim.to, TrimTo::MinId(_)) {
                break;
            }
        }
        trimmed
    }
}

fn trim_entries(entries: &mut Entries, trim: &Trim, mut gone: impl FnMut(StreamId)) -> Trimmed {
    let mut trimmed = Trimmed::default();
    while !trim.is_done(entries) {
        let Some(block) = entries.first_block() else {
            break;
        };
        let (first, last, live) = (block.first(), block.last(), u64::from(block.live()));
        if trim.limit != 0 && trimmed.deleted + live > trim.limit {
            trimmed.stopped_at = Some(first);
            break;
        }
        if trim.covers(entries, live, last) {
            entries
                .range(first, last)
                .for_each(|entry| gone(entry.id()));
            trimmed.deleted += entries.remove_first_block();
            continue;
        }
        if trim.approximate {
            trimmed.stopped_at = Some(first);
        } else {
            trimmed.deleted += entries.delete_in_first_block(|id, len| {
                let wanted = trim.wants(id, len);
                if wanted {
                    gone(id);
                }
                wanted
            });
        }
        break;
    }
    if trimmed.deleted > 0 {
        entries.find_first();
    }
    trimmed
}
