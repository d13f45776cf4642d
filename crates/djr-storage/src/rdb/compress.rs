//! Compressing the strings of a value that was written without: copying a value out of the keyspace is quick so, and the slow part comes
//! later, when nobody waits.

use super::kind;
use super::reader::Reader;
use super::writer::{Output, push_raw_string};

/// What values are made of.
#[derive(Clone, Copy)]
enum Piece {
    Number,
    String,
    /// So many bytes.
    Raw(u64),
}

use Piece::{Number, Raw, String};

/// What a value of this type begins with, and what follows again and again. Only types that are written here.
fn pieces(kind: u8) -> Option<(&'static [Piece], &'static [Piece])> {
    Some(match kind {
        kind::STRING
        | kind::SET_INTSET
        | kind::SET_LISTPACK
        | kind::HASH_LISTPACK
        | kind::SORTED_SET_LISTPACK => (&[], &[String]),
        kind::SET => (&[Number], &[String]),
        kind::HASH => (&[Number], &[String, String]),
        kind::SORTED_SET_2 => (&[Number], &[String, Raw(8)]),
        kind::LIST_QUICKLIST_2 => (&[Number], &[Number, String]),
        kind::HASH_DEADLINES => (&[Raw(8), Number], &[Number, String, String]),
        kind::HASH_LISTPACK_DEADLINES => (&[Raw(8)], &[String]),
        // Blocks with their first ids. Only some of what follows: see `compress_value`.
        kind::STREAM_3 => (&[Number], &[String, String]),
        _ => return None,
    })
}

/// Appends the body of a value, in which no string is compressed. Strings are, where `out` [wants it](Output::compresses).
pub(super) fn compress_value(out: &mut impl Output, kind: u8, body: &[u8]) {
    let mut reader = Reader::new(body);
    if out.compresses() {
        if kind == kind::STREAM_3 {
            // Blocks with their first ids; what follows is short strings and numbers.
            if let Some(count) = copy_number(out, &mut reader) {
                let blocks = usize::try_from(count).unwrap_or(usize::MAX);
                let _ = (0..blocks).try_for_each(|_| copy(out, &mut reader, &[String, String]));
            }
        } else if let Some((head, rest)) = pieces(kind) {
            let _ = copy(out, &mut reader, head);
            copy_all(out, &mut reader, rest);
        }
    }
    // What is not understood is passed on as it is.
    out.put(reader.rest());
}

/// As [`compress_value`] for what comes behind the beginning of a value: whole elements.
pub(super) fn compress_elements(out: &mut impl Output, kind: u8, elements: &[u8]) {
    let mut reader = Reader::new(elements);
    if out.compresses()
        && let Some((_, rest)) = pieces(kind)
    {
        copy_all(out, &mut reader, rest);
    }
    out.put(reader.rest());
}

fn copy_all(out: &mut impl Output, reader: &mut Reader<'_>, pieces: &[Piece]) {
    while !reader.rest().is_empty() && copy(out, reader, pieces).is_some() {}
}

/// Copies some pieces. `None`: the next one is something else, and is left.
fn copy(out: &mut impl Output, reader: &mut Reader<'_>, pieces: &[Piece]) -> Option<()> {
    for piece in pieces {
        match *piece {
            Number => _ = copy_number(out, reader)?,
            Raw(len) => {
                let mut ahead = Reader::new(reader.rest());
                out.put(ahead.bytes(len).ok()?);
                *reader = ahead;
            }
            String => copy_string(out, reader)?,
        }
    }
    Some(())
}

fn copy_number(out: &mut impl Output, reader: &mut Reader<'_>) -> Option<u64> {
    let before = reader.rest();
    let mut ahead = Reader::new(before);
    let number = ahead.number().ok()?;
    out.put(before.get(..before.len() - ahead.rest().len())?);
    *reader = ahead;
    Some(number)
}

fn copy_string(out: &mut impl Output, reader: &mut Reader<'_>) -> Option<()> {
    /// The forms of strings that are no length and bytes: integers.
    const INTEGER: u8 = 0xc0;
    let before = reader.rest();
    let mut ahead = Reader::new(before);
    if before.first()? & INTEGER == INTEGER {
        ahead.skip_string().ok()?;
        out.put(before.get(..before.len() - ahead.rest().len())?);
    } else {
        let len = ahead.number().ok()?;
        push_raw_string(out, ahead.bytes(len).ok()?);
    }
    *reader = ahead;
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Uncompressed, write_value};
    use super::*;
    use crate::keyspace::UnixMillis;
    use crate::types::hash::FieldExpire;
    use crate::types::list::End;
    use crate::types::{
        Hash, HashLimits, List, ListLimits, Set, SetLimits, SortedSet, SortedSetLimits, Stream,
        StreamLimits,
    };
    use crate::value::Value;

    fn text(number: u32, len: usize) -> Vec<u8> {
        let mut text = number.to_string().into_bytes();
        if len > 8 {
            text.resize(len, b'z');
        }
        text
    }

    fn values(count: u32, len: usize) -> Vec<Value> {
        let (mut list, mut set, mut hash, mut timed) = (
            List::default(),
            Set::default(),
            Hash::default(),
            Hash::default(),
        );
        let (mut sorted, mut stream) = (SortedSet::default(), Stream::default());
        for number in 0..count {
            let member = text(number, len);
            list.push(End::Back, std::iter::once(&*member), ListLimits::default());
            set.add(&member, SetLimits::default());
            let limits = HashLimits::default();
            hash.set(&member, &member, FieldExpire::Clear, limits);
            let at = FieldExpire::At(1_000_000 + i64::from(number));
            timed.set(&member, &member, at, limits);
            sorted.upsert(&member, &SortedSetLimits::default(), |_| {
                Some(f64::from(number) / 3.0)
            });
            let id = crate::types::stream::StreamId::new(1, u64::from(number) + 1);
            stream.append(id, 1, |_| &member, &StreamLimits::default());
        }
        vec![
            Value::string(text(count, len)),
            list.into(),
            set.into(),
            hash.into(),
            timed.into(),
            sorted.into(),
            stream.into(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_is_as_if_written_compressed(count in 1..700u32, len in 0..90usize) {
            for value in values(count, len) {
                let mut plain = Uncompressed::default();
                write_value(&mut plain, value.as_ref(), UnixMillis::MIN);
                let mut expected = Vec::new();
                write_value(&mut expected, value.as_ref(), UnixMillis::MIN);
                let (kind, body) = plain.0.split_first().unwrap();
                let mut found = vec![*kind];
                compress_value(&mut found, *kind, body);
                prop_assert!(found == expected, "{:?}", value.as_ref().kind());
            }
        }
    }
}
