//! Digests of what keys hold, the same that Redis's `DEBUG DIGEST` and `DEBUG DIGEST-VALUE` give: for comparing servers.
//!
//! Parts whose order counts are *mixed* in (the digest, xor the part's SHA-1, is hashed again), others are xored. So equal data has an equal
//! digest, however it is kept in memory. The scheme was read off servers, and is compared with theirs in `tests/tests/debug.rs`.

use std::fmt;

use djr_storage::keyspace::{Access, EntryRef, UnixMillis};
use djr_storage::types::stream::StreamId;
use djr_storage::value::{INTEGER_TEXT_SIZE_MAX, ValueRef};
use sha1::{Digest as _, Sha1};

/// 160 bits; all zeros for what is not there. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

/// What stands for a deadline: there is one, when does not count.
const EXPIRES: &[u8] = b"!!expire!!";

/// What is mixed in for a value's type.
fn type_number(value: &ValueRef<'_>) -> u32 {
    match value {
        ValueRef::List(_) => 1,
        ValueRef::Set(_) => 2,
        ValueRef::SortedSet(_) => 3,
        ValueRef::Hash(_) => 4,
        // 5: modules.
        ValueRef::Stream(_) => 6,
        _ => 0,
    }
}

impl Digest {
    fn xor(&mut self, part: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(part).into();
        self.0
            .iter_mut()
            .zip(hash)
            .for_each(|(byte, other)| *byte ^= other);
    }

    fn mix(&mut self, part: &[u8]) {
        self.xor(part);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Of all dbs. `access` has all shards open.
    pub fn of_keyspace(access: &Access<'_>) -> Self {
        let mut digest = Self::default();
        for db in 0..access.keyspace().dbs() {
            let view = access.db(db);
            if view.is_empty() {
                continue;
            }
            digest.mix(&db.to_be_bytes());
            view.for_each(|entry| {
                let mut of_entry = Self::default();
                of_entry.mix(entry.key());
                of_entry.add(&entry, access.now());
                digest.xor(&of_entry.0);
            });
        }
        digest
    }

    /// Of a value and its deadline, without the key.
    pub fn of_value(entry: &EntryRef<'_>, now: UnixMillis) -> Self {
        let mut digest = Self::default();
        digest.add(entry, now);
        digest
    }

    fn add(&mut self, entry: &EntryRef<'_>, now: UnixMillis) {
        let value = entry.value();
        self.mix(&type_number(&value).to_be_bytes());
        match value {
            ValueRef::String(string) => self.mix(&string.to_vec()),
            ValueRef::List(list) => list.iter().for_each(|element| self.mix(&element.to_vec())),
            ValueRef::Set(set) => set.iter().for_each(|member| self.xor(&member.to_vec())),
            ValueRef::SortedSet(set) => {
                for (member, score) in set.iter() {
                    let pair = Self::of_pair(&member.to_vec(), general(score).as_bytes());
                    self.xor(&pair.0);
                }
            }
            ValueRef::Hash(hash) => {
                for (field, value) in hash.iter(now) {
                    let mut pair = Self::of_pair(&field.to_vec(), &value.value.to_vec());
                    if value.expire_at.is_some() {
                        pair.xor(EXPIRES);
                    }
                    self.xor(&pair.0);
                }
            }
            ValueRef::Stream(stream) => {
                for entry in stream.entries().range(StreamId::MIN, StreamId::MAX) {
                    let id = entry.id();
                    self.mix(format!("{}.{}", id.ms, id.seq).as_bytes());
                    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
                    for word in entry.words() {
                        self.mix(word.to_bytes(&mut buffer));
                    }
                }
            }
        }
        if entry.expire_at().is_some() {
            self.xor(EXPIRES);
        }
    }

    fn of_pair(first: &[u8], second: &[u8]) -> Self {
        let mut pair = Self::default();
        pair.mix(first);
        pair.mix(second);
        pair
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A number as C's `%.17g` prints it.
fn general(number: f64) -> String {
    const DIGITS: i32 = 17;
    if !number.is_finite() {
        return number.to_string();
    }
    let text = format!("{number:.16e}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent) as usize;
        without_zeros(&format!("{number:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!(
            "{}e{sign}{:02}",
            without_zeros(mantissa),
            exponent.unsigned_abs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_c_does() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-3.25, "-3.25"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (9007199254740993.0, "9007199254740992"),
        ] {
            assert_eq!(general(number), text);
        }
    }
}
