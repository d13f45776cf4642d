//! The expiry index: when to look at which key.
//!
//! A hierarchical timing wheel of [`LEVELS`] levels with 64 slots each. A slot of level 0 is 64 ms wide, one of the next level 64 times as
//! wide as all of that. An element is the low 32 bits of a key's hash, four bytes: enough to find the entry in the table again, which knows the
//! deadline itself.
//!
//! The wheel is lazy. **Invariant:** for each entry with a deadline there is an element in a slot that is not later than the deadline's.
//! - A later deadline files nothing: when the old element comes due, the entry is filed anew.
//! - An earlier one files another element; the one left behind, and those of removed keys, vanish when they come due.
//! - If too many have been left behind, the owner starts over with a new wheel and a walk over the table ([`Wheel::is_stale`]).
//!
//! Elements come out one by one ([`Wheel::pop`]), so a million keys that are due in the same second are worked off in steps as small as
//! the caller likes; meanwhile the wheel does not turn.

use super::hash::UnixMillis;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Six bits of milliseconds and 7 times six bits of level: 2^48 ms, 8900 years.
const LEVELS: usize = 7;
const TICK_MAX: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;
const PIECE: usize = 128;

/// Milliseconds per slot of level 0: how late a key may be removed actively when there is nothing else to do.
pub(super) const TICK_MS: i64 = 64;

pub(super) struct Wheel {
    /// Everything before this tick has been worked off; in it, and in the slots of higher levels that begin with it, there may be more.
    base: u64,
    slots: Box<[[Option<Box<Slot>>; SLOTS]; LEVELS]>,
    /// Per level, a bit for each slot that has elements.
    occupied: [u64; LEVELS],
    len: usize,
    bytes: usize,
}

/// A stack of elements that grows and shrinks in pieces.
#[derive(Default)]
struct Slot {
    #[allow(clippy::vec_box, reason = "growing must not copy the pieces")]
    full: Vec<Box<[u32; PIECE]>>,
    tail: Vec<u32>,
}

impl Slot {
    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.full.capacity() * size_of::<usize>()
            + self.full.len() * size_of::<[u32; PIECE]>()
            + self.tail.capacity() * size_of::<u32>()
    }

    /// Whether a push allocates.
    fn is_tight(&self) -> bool {
        self.tail.len() == self.tail.capacity()
    }

    fn push(&mut self, element: u32) {
        if self.tail.len() == PIECE {
            if let Ok(full) =
                Box::<[u32; PIECE]>::try_from(std::mem::take(&mut self.tail).into_boxed_slice())
            {
                self.full.push(full);
            }
            // The next piece is likely to be filled as well.
            self.tail.reserve_exact(PIECE);
        } else if self.is_tight() {
            self.tail.reserve_exact(self.tail.len().clamp(2, PIECE / 2));
        }
        self.tail.push(element);
    }

    fn pop(&mut self) -> Option<u32> {
        if self.tail.is_empty() {
            self.tail = Vec::from(self.full.pop()? as Box<[u32]>);
        }
        self.tail.pop()
    }

    fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.full.is_empty()
    }
}

/// The tick of a moment. What is past or too far in the future is brought into range: it is looked at, and filed anew, early.
fn tick_of(at: UnixMillis) -> u64 {
    u64::try_from(at / TICK_MS).unwrap_or(0).min(TICK_MAX)
}

fn slot_of(tick: u64, level: usize) -> usize {
    (tick >> (SLOT_BITS as usize * level)) as usize & (SLOTS - 1)
}

impl Wheel {
    pub(super) fn new(now: UnixMillis) -> Self {
        let slots = Box::new([const { [const { None }; SLOTS] }; LEVELS]);
        let bytes = size_of::<Self>() + size_of_val(&*slots);
        Self {
            base: tick_of(now),
            slots,
            occupied: [0; LEVELS],
            len: 0,
            bytes,
        }
    }

    /// Number of elements.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.bytes
    }

    /// Whether so many elements stand for nothing that a new wheel is worth a walk over the table, given the number of entries that
    /// have a deadline.
    pub(super) fn is_stale(&self, expires: usize) -> bool {
        self.len > 3 * expires + 1024
    }

    /// Whether an entry whose deadline was `old` must be filed when its deadline becomes `new`.
    #[inline]
    pub(super) fn must_file(old: Option<UnixMillis>, new: UnixMillis) -> bool {
        old.is_none_or(|old| tick_of(new) < tick_of(old))
    }

    /// Has an element come due at a deadline.
    pub(super) fn file(&mut self, deadline: UnixMillis, element: u32) {
        let tick = tick_of(deadline).max(self.base);
        let level = (tick ^ self.base).checked_ilog2().unwrap_or(0) as usize / SLOT_BITS as usize;
        let index = slot_of(tick, level);
        let slot = &mut self.slots[level][index];
        if let Some(slot) = slot
            && !slot.is_tight()
        {
            slot.push(element);
        } else {
            let before = slot.as_ref().map_or(0, |slot| slot.memory());
            let slot = slot.get_or_insert_default();
            slot.push(element);
            self.bytes = self.bytes + slot.memory() - before;
        }
        self.occupied[level] |= 1 << index;
        self.len += 1;
    }

    /// Whether there is such an element that comes due when this deadline does, or before.
    #[cfg(test)]
    pub(super) fn has_by(&self, deadline: UnixMillis, element: u32) -> bool {
        let tick = tick_of(deadline).max(self.base);
        self.slots.iter().enumerate().any(|(level, slots)| {
            let shift = SLOT_BITS as usize * level;
            slots.iter().enumerate().any(|(index, slot)| {
                let start = ((self.base >> shift & !(SLOTS as u64 - 1)) | index as u64) << shift;
                let all = slot.iter().flat_map(|slot| {
                    slot.tail
                        .iter()
                        .chain(slot.full.iter().flat_map(|full| full.iter()))
                });
                start <= tick && all.copied().any(|other| other == element)
            })
        })
    }

    /// Takes out an element to be looked at: its key has expired, or is to be filed anew, or is gone. `None`: nothing is due at `now`.
    pub(super) fn pop(&mut self, now: UnixMillis) -> Option<u32> {
        let level = self.turn(now)?;
        let index = slot_of(self.base, level);
        let slot = self.slots[level][index].as_mut()?;
        let element = slot.pop()?;
        if slot.tail.is_empty() {
            let before = slot.memory();
            slot.tail = Vec::new();
            self.bytes -= before - slot.memory();
            if slot.is_empty() {
                self.bytes -= slot.memory();
                self.slots[level][index] = None;
                self.occupied[level] &= !(1 << index);
            }
        }
        self.len -= 1;
        Some(element)
    }

    /// How long the oldest element that is due has been due, in milliseconds, if one is.
    pub(super) fn behind_ms(&mut self, now: UnixMillis) -> Option<u64> {
        self.turn(now)?;
        Some(now.saturating_sub(self.base as i64 * TICK_MS).max(0) as u64)
    }

    /// Turns the wheel to the next slot that has something to do at `now`, and returns the slot's level.
    fn turn(&mut self, now: UnixMillis) -> Option<usize> {
        let now = tick_of(now);
        loop {
            // A slot of a higher level that has begun is distributed over the lower ones, whatever the time within it.
            if self.base <= now
                && let Some(level) = (1..LEVELS).rev().find(|&level| self.is_occupied(level))
            {
                return Some(level);
            }
            // A tick is due when it is over: then every deadline in it has passed.
            if self.base >= now {
                return None;
            }
            if self.is_occupied(0) {
                return Some(0);
            }
            let next = self.next_tick().unwrap_or(now);
            // Nothing lies between, so it does not matter where in between the wheel stands.
            self.base = next.min(now);
        }
    }

    fn is_occupied(&self, level: usize) -> bool {
        self.occupied[level] & 1 << slot_of(self.base, level) != 0
    }

    /// The beginning of the first slot with elements after the current ones.
    fn next_tick(&self) -> Option<u64> {
        (0..LEVELS).find_map(|level| {
            let index = slot_of(self.base, level);
            let later = self.occupied[level] & (u64::MAX << index << 1);
            (later != 0).then(|| {
                let shift = SLOT_BITS as usize * level;
                (self.base >> shift & !(SLOTS as u64 - 1) | u64::from(later.trailing_zeros()))
                    << shift
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn recount(wheel: &Wheel) -> usize {
        let slots: usize = wheel
            .slots
            .iter()
            .flatten()
            .flatten()
            .map(|slot| slot.memory())
            .sum();
        size_of::<Wheel>() + size_of_val(&*wheel.slots) + slots
    }

    /// Elements are deadlines' numbers here. Popped ones that are not due yet are filed again, as the keyspace does.
    fn drain(wheel: &mut Wheel, now: i64, deadlines: &mut BTreeMap<u32, i64>) {
        while let Some(element) = wheel.pop(now) {
            let deadline = deadlines[&element];
            if deadline < now {
                deadlines.remove(&element);
            } else {
                wheel.file(deadline, element);
            }
            assert_eq!(wheel.memory(), recount(wheel));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_forgotten(
            start in 0i64..1 << 42,
            steps in prop::collection::vec((0u32..40, 0i64..1 << 20, 0u32..40), 1..60),
        ) {
            let mut now = start;
            let mut wheel = Wheel::new(now);
            let mut deadlines = BTreeMap::new();
            let mut number = 0;
            for (ttl_bits, ttl, skip_bits) in steps {
                for extra in 0..3 {
                    let deadline = now + (ttl & ((1 << ttl_bits.min(20)) - 1)) * (1 << ttl_bits.saturating_sub(20)) + extra;
                    wheel.file(deadline, number);
                    deadlines.insert(number, deadline);
                    number += 1;
                }
                assert_eq!(wheel.memory(), recount(&wheel));
                now += 1 << skip_bits;
                drain(&mut wheel, now, &mut deadlines);
                assert_eq!(wheel.len(), deadlines.len());
                // Due is what lies in a tick that is over.
                let over = now / TICK_MS * TICK_MS;
                prop_assert!(deadlines.values().all(|&at| at >= over.min(now)));
            }
            now += 1 << 50;
            drain(&mut wheel, now, &mut deadlines);
            prop_assert!(deadlines.is_empty());
            prop_assert_eq!(wheel.memory(), recount(&Wheel::new(0)));
        }
    }

    #[test]
    fn four_bytes_and_a_little_per_element() {
        let mut wheel = Wheel::new(0);
        (0..100_000).for_each(|element| wheel.file(3_600_000, element));
        assert!(wheel.memory() < 100_000 * 9 / 2, "{}", wheel.memory());
    }

    #[test]
    fn far_and_past_deadlines_fit() {
        let mut wheel = Wheel::new(1_700_000_000_000);
        for (element, deadline) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
            wheel.file(deadline, element as u32);
        }
        let now = 1_700_000_000_000 + TICK_MS;
        let due: Vec<_> = std::iter::from_fn(|| wheel.pop(now)).collect();
        assert_eq!(due, [2, 1, 0]);
        assert_eq!(wheel.behind_ms(now), None);
    }
}
