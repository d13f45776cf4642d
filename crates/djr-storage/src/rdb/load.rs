//! Values out of bytes.

use std::borrow::Cow;

use super::old::{bytes_of, intset, ziplist, zipmap};
use super::reader::parse_score;
use super::{NODE_PACKED, NODE_PLAIN, RdbError, Reader, VERSION_OF_VALKEY, kind};
use crate::keyspace::UnixMillis;
use crate::types::hash::FieldExpire;
use crate::types::list::{End, Node};
use crate::types::listpack::{Element, Listpack};
use crate::types::{
    Hash, HashLimits, List, ListLimits, Set, SetLimits, SortedSet, SortedSetLimits, StreamLimits,
};
use crate::value::Value;

/// Up to which size values are kept in their compact forms.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ValueLimits {
    pub list: ListLimits,
    pub hash: HashLimits,
    pub set: SetLimits,
    pub sorted_set: SortedSetLimits,
    pub stream: StreamLimits,
}

const TWICE: RdbError = RdbError::Corrupt("an element that is there twice");
const DEADLINE: RdbError = RdbError::Corrupt("a deadline");
const UNPAIRED: RdbError = RdbError::Corrupt("an element without its partner");

/// Reads a value of the type that `kind` says, in this version of the format.
pub fn read_value(
    reader: &mut Reader<'_>,
    kind: u8,
    version: u16,
    limits: &ValueLimits,
) -> Result<Value, RdbError> {
    let value: Value = match kind {
        kind::STRING => Value::string(reader.string()?.into_owned()),
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            list(reader, kind, limits.list)?.into()
        }
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => set(reader, kind, limits.set)?.into(),
        kind::SORTED_SET
        | kind::SORTED_SET_2
        | kind::SORTED_SET_ZIPLIST
        | kind::SORTED_SET_LISTPACK => sorted_set(reader, kind, &limits.sorted_set)?.into(),
        kind::HASH_2_OF_VALKEY if version >= VERSION_OF_VALKEY => {
            hash_of_valkey(reader, limits.hash)?.into()
        }
        kind::HASH
        | kind::HASH_ZIPMAP
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::HASH_DEADLINES
        | kind::HASH_DEADLINES_EARLY
        | kind::HASH_LISTPACK_DEADLINES
        | kind::HASH_LISTPACK_DEADLINES_EARLY => hash(reader, kind, limits.hash)?.into(),
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
            return super::stream::read(reader, kind).map(Value::from);
        }
        kind::MODULE => return Err(RdbError::Module(super::ModuleName(reader.number()?))),
        kind => return Err(RdbError::UnknownType(kind)),
    };
    if value.is_vacant() {
        return Err(RdbError::Empty);
    }
    Ok(value)
}

/// A string that holds a listpack, every entry of it checked.
fn listpack(reader: &mut Reader<'_>) -> Result<Listpack, RdbError> {
    let bytes = reader.string()?.into_owned();
    Listpack::from_bytes(bytes).map_err(|_| RdbError::Corrupt("a listpack"))
}

fn list(reader: &mut Reader<'_>, kind: u8, limits: ListLimits) -> Result<List, RdbError> {
    let mut list = List::new();
    match kind {
        kind::LIST => {
            for _ in 0..reader.count(1)? {
                let element = reader.string()?;
                list.push(End::Back, std::iter::once(&*element), limits);
            }
        }
        kind::LIST_QUICKLIST_2 => {
            for _ in 0..reader.count(2)? {
                match reader.number()? {
                    NODE_PLAIN => list.push_node(Node::Plain(&reader.string()?)),
                    NODE_PACKED => list.push_node(Node::Packed(listpack(reader)?)),
                    _ => return Err(RdbError::Corrupt("no such form of a list's chunk")),
                }
            }
            list.settle(limits);
        }
        _ => {
            let ziplists = if kind == kind::LIST_ZIPLIST {
                1
            } else {
                reader.count(1)?
            };
            for _ in 0..ziplists {
                let bytes = reader.string()?;
                for element in ziplist(&bytes)? {
                    list.push_element(End::Back, element, limits);
                }
            }
        }
    }
    Ok(list)
}

fn set(reader: &mut Reader<'_>, kind: u8, limits: SetLimits) -> Result<Set, RdbError> {
    match kind {
        kind::SET_INTSET => {
            let mut set = Set::new();
            for integer in intset(&reader.string()?)? {
                set.add_element(Element::Int(integer), limits);
            }
            Ok(set)
        }
        kind::SET_LISTPACK => {
            let listpack = match Set::from_listpack(listpack(reader)?, limits) {
                Ok(set) => return Ok(set),
                Err(listpack) => listpack,
            };
            let mut set = Set::packed();
            if listpack.len() > limits.max_listpack_entries {
                set = Set::table(listpack.len());
            }
            let is_new = |member| set.add_element(member, limits);
            listpack.iter().all(is_new).then_some(set).ok_or(TWICE)
        }
        _ => {
            let count = reader.count(1)?;
            let mut set = Set::new();
            if count > limits.max_intset_entries {
                set = Set::table(count);
            }
            for _ in 0..count {
                if !set.add(&reader.string()?, limits) {
                    return Err(TWICE);
                }
            }
            Ok(set)
        }
    }
}

fn sorted_set(
    reader: &mut Reader<'_>,
    kind: u8,
    limits: &SortedSetLimits,
) -> Result<SortedSet, RdbError> {
    let mut members: Vec<(Cow<'_, [u8]>, f64)> = Vec::new();
    let mut push = |member: Element<'_>, score: Element<'_>| {
        let score = match score {
            Element::Int(score) => score as f64,
            Element::Bytes(text) => parse_score(text)?,
        };
        members.push((member.to_vec().into(), score));
        Ok(())
    };
    match kind {
        kind::SORTED_SET_LISTPACK => {
            match SortedSet::from_listpack(listpack(reader)?, limits) {
                Ok(set) => return Ok(set),
                Err(listpack) => in_pairs(listpack.iter(), &mut push)?,
            };
        }
        kind::SORTED_SET_ZIPLIST => in_pairs(ziplist(&reader.string()?)?.into_iter(), &mut push)?,
        _ => {
            let count = reader.count(2)?;
            members.reserve_exact(count);
            for _ in 0..count {
                let member = reader.string()?;
                let score = match kind {
                    kind::SORTED_SET_2 => reader.f64()?,
                    _ => reader.f64_text()?,
                };
                members.push((member, score));
            }
        }
    }
    let count = members.len();
    let set = SortedSet::from_members(members, limits);
    let all_are_there =
        set.len() == count && (set.as_listpack()).is_none_or(|listpack| listpack.are_distinct(2));
    all_are_there.then_some(set).ok_or(TWICE)
}

fn in_pairs<'a>(
    mut elements: impl Iterator<Item = Element<'a>>,
    pair: &mut dyn FnMut(Element<'a>, Element<'a>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    while let Some(first) = elements.next() {
        pair(first, elements.next().ok_or(UNPAIRED)?)?;
    }
    Ok(())
}

/// A hash that fields are added to.
struct Fields {
    hash: Hash,
    limits: HashLimits,
}

impl Fields {
    fn new(limits: HashLimits) -> Self {
        Self {
            hash: Hash::new(),
            limits,
        }
    }

    fn push(
        &mut self,
        field: &[u8],
        value: &[u8],
        deadline: Option<UnixMillis>,
    ) -> Result<(), RdbError> {
        let expire = deadline.map_or(FieldExpire::Clear, FieldExpire::At);
        if self.hash.set(field, value, expire, self.limits) {
            Ok(())
        } else {
            Err(TWICE)
        }
    }

    fn push_elements(&mut self, field: Element<'_>, value: Element<'_>) -> Result<(), RdbError> {
        self.push(&bytes_of(field), &bytes_of(value), None)
    }
}

fn hash(reader: &mut Reader<'_>, kind: u8, limits: HashLimits) -> Result<Hash, RdbError> {
    let mut fields = Fields::new(limits);
    match kind {
        kind::HASH => {
            let count = reader.count(2)?;
            fields.hash.prepare(count, 0, limits);
            for _ in 0..count {
                let (field, value) = (reader.string()?, reader.string()?);
                fields.push(&field, &value, None)?;
            }
        }
        kind::HASH_ZIPMAP => {
            for (field, value) in zipmap(&reader.string()?)? {
                fields.push(field, value, None)?;
            }
        }
        kind::HASH_ZIPLIST => {
            let bytes = reader.string()?;
            in_pairs(ziplist(&bytes)?.into_iter(), &mut |field, value| {
                fields.push_elements(field, value)
            })?;
        }
        kind::HASH_LISTPACK => {
            let listpack = match Hash::from_listpack(listpack(reader)?, limits) {
                Ok(hash) => return Ok(hash),
                Err(listpack) => listpack,
            };
            in_pairs(listpack.iter(), &mut |field, value| {
                fields.push_elements(field, value)
            })?;
        }
        kind::HASH_DEADLINES | kind::HASH_DEADLINES_EARLY => {
            let earliest = match kind {
                kind::HASH_DEADLINES => reader.i64()?,
                // The deadlines are whole. One is taken away below.
                _ => 1,
            };
            let count = reader.count(3)?;
            fields.hash.prepare(count, 0, limits);
            for _ in 0..count {
                let deadline = match reader.number()? {
                    0 => None,
                    later => Some(earliest.checked_add_unsigned(later - 1).ok_or(DEADLINE)?),
                };
                let (field, value) = (reader.string()?, reader.string()?);
                fields.push(&field, &value, checked(deadline)?)?;
            }
        }
        _ => {
            if kind == kind::HASH_LISTPACK_DEADLINES {
                reader.i64()?;
            }
            let listpack = listpack(reader)?;
            let mut elements = listpack.iter();
            let mut timed = Vec::new();
            while let Some(field) = elements.next() {
                let value = elements.next().ok_or(UNPAIRED)?;
                let deadline = match elements.next().ok_or(UNPAIRED)? {
                    Element::Int(0) => None,
                    Element::Int(deadline) => Some(deadline),
                    Element::Bytes(_) => return Err(DEADLINE),
                };
                match checked(deadline)? {
                    Some(deadline) => timed.push((field, value, deadline)),
                    None => fields.push(&bytes_of(field), &bytes_of(value), None)?,
                }
            }
            fields.hash.expect_deadlines();
            // A field goes before those with the same deadline: from the last to the first they come to lie as they did.
            for (field, value, deadline) in timed.into_iter().rev() {
                fields.push(&bytes_of(field), &bytes_of(value), Some(deadline))?;
            }
        }
    }
    Ok(fields.hash)
}

fn hash_of_valkey(reader: &mut Reader<'_>, limits: HashLimits) -> Result<Hash, RdbError> {
    let mut fields = Fields::new(limits);
    let count = reader.count(10)?;
    fields.hash.prepare(count, 0, limits);
    for _ in 0..count {
        let (field, value) = (reader.string()?, reader.string()?);
        let deadline = Some(reader.i64()?).filter(|deadline| *deadline != -1);
        fields.push(&field, &value, checked(deadline)?)?;
    }
    Ok(fields.hash)
}

/// The latest deadline that Redis can keep for a field.
const DEADLINE_MAX: UnixMillis = (1 << 48) - 1;

fn checked(deadline: Option<UnixMillis>) -> Result<Option<UnixMillis>, RdbError> {
    match deadline {
        Some(at) if !(0..=DEADLINE_MAX).contains(&at) => Err(DEADLINE),
        deadline => Ok(deadline),
    }
}
