//! Values as the rest of the server sees them: borrowed from an entry ([`ValueRef`]) or taken out of one ([`Value`]).
//!
//! How an entry keeps a value in memory is the keyspace's own affair; commands, log and snapshot see only these.

use std::any::Any;
use std::fmt;

#[cfg(test)]
use crate::types::Probe;
use crate::types::{Hash, List, Object, Set, SortedSet, Stream};

/// What kind of value a key holds: the word that `TYPE` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes or an integer.
    String = 0,
    /// Elements in order of insertion, taken and put at both ends.
    List = 1,
    /// Members, each once.
    Set = 2,
    /// Members with a score, in its order.
    SortedSet = 3,
    /// Fields with a value each.
    Hash = 4,
    /// Entries with ascending ids, and groups of consumers.
    Stream = 5,
    #[cfg(test)]
    #[doc(hidden)]
    Probe = 7,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::SortedSet,
        Self::Hash,
        Self::Stream,
    ];

    /// The name that `TYPE` and `SCAN … TYPE` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            #[cfg(test)]
            Self::Probe => "probe",
        }
    }
}

/// How a value is kept, in Redis's words and at Redis's limits: what `OBJECT ENCODING` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// A string that is the text of a 64-bit integer.
    Int,
    /// A string of at most [`EMBSTR_SIZE_MAX`] bytes, never modified in place.
    Embstr,
    /// Any other string.
    Raw,
    /// One packed block of elements.
    Listpack,
    /// A hash packed in one block whose fields may expire.
    ListpackEx,
    /// A list in several packed blocks.
    Quicklist,
    /// A set of integers, packed.
    Intset,
    /// A table of members.
    Hashtable,
    /// A sorted set in a table and a tree (Redis: a list with express lanes).
    Skiplist,
    /// The only encoding of streams.
    Stream,
}

impl Encoding {
    /// Redis's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Embstr => "embstr",
            Self::Raw => "raw",
            Self::Listpack => "listpack",
            Self::ListpackEx => "listpackex",
            Self::Quicklist => "quicklist",
            Self::Intset => "intset",
            Self::Hashtable => "hashtable",
            Self::Skiplist => "skiplist",
            Self::Stream => "stream",
        }
    }
}

/// The longest string that Redis calls `embstr`.
pub const EMBSTR_SIZE_MAX: usize = 44;

/// The longest text of an `i64`: a sign and 19 digits.
pub const INTEGER_TEXT_SIZE_MAX: usize = 20;

/// A value inside an entry, borrowed while the access is open.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is a structure of its own documentation")]
pub enum ValueRef<'a> {
    String(StringRef<'a>),
    List(&'a List),
    Set(&'a Set),
    SortedSet(&'a SortedSet),
    Hash(&'a Hash),
    Stream(&'a Stream),
    #[cfg(test)]
    Probe(&'a Probe),
}

/// Runs `$body` with the structure of a [`ValueRef`] or [`Value`], `$string` with a string.
macro_rules! with_structure {
    ($value:expr, $enum:ident, $object:ident => $body:expr, $text:ident => $string:expr) => {
        match $value {
            $enum::String($text) => $string,
            $enum::List($object) => $body,
            $enum::Set($object) => $body,
            $enum::SortedSet($object) => $body,
            $enum::Hash($object) => $body,
            $enum::Stream($object) => $body,
            #[cfg(test)]
            $enum::Probe($object) => $body,
        }
    };
}
pub(crate) use with_structure;

impl<'a> ValueRef<'a> {
    /// The kind of this value.
    pub fn kind(&self) -> Kind {
        fn kind_of<T: Object>(_: &T) -> Kind {
            T::KIND
        }
        with_structure!(self, Self, object => kind_of(*object), _string => Kind::String)
    }

    /// The string, or `None` where Redis says `WRONGTYPE`.
    #[inline]
    pub fn as_string(&self) -> Option<StringRef<'a>> {
        match self {
            Self::String(string) => Some(*string),
            _ => None,
        }
    }

    /// The structure of this type, or `None` where Redis says `WRONGTYPE`.
    pub fn as_object<T: Object>(&self) -> Option<&'a T> {
        with_structure!(self, Self, object => (*object as &dyn Any).downcast_ref(), _string => None)
    }

    /// A copy of the value; a string is [`raw`](StringValue::Bytes) or not.
    pub(crate) fn to_value(self, raw: bool) -> Value {
        with_structure!(self, Self, object => Value::from(object.clone()), string => Value::String(match string {
            StringRef::Int(integer) => StringValue::Int(integer),
            StringRef::Bytes(bytes) => StringValue::Bytes { bytes: bytes.to_vec(), raw },
        }))
    }

    /// Tells the commands that make an equal value where `key` does not exist. See [`Object::rewrite`].
    pub fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        with_structure!(self, Self, object => object.rewrite(key, emit), string => {
            emit(&[b"SET", key, string.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX])])
        })
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(string) => f.debug_tuple("String").field(string).finish(),
            other => debug_rewritten(other, f),
        }
    }
}

/// A structure as the commands that make it.
fn debug_rewritten(value: &ValueRef<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut commands = f.debug_list();
    value.rewrite(value.kind().name().as_bytes(), &mut |words| {
        let words: Vec<_> = words
            .iter()
            .map(|word| word.escape_ascii().to_string())
            .collect();
        commands.entry(&words.join(" "));
    });
    commands.finish()
}

/// A string inside an entry: an integer where the text was exactly that, bytes otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringRef<'a> {
    /// The text of this integer.
    Int(i64),
    /// These bytes.
    Bytes(&'a [u8]),
}

impl<'a> StringRef<'a> {
    /// The bytes of the string; an integer is written into `buffer`.
    pub fn to_bytes<'b>(self, buffer: &'b mut [u8; INTEGER_TEXT_SIZE_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(integer) => format_integer(integer, buffer),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// A copy of the bytes.
    pub fn to_vec(self) -> Vec<u8> {
        self.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]).to_vec()
    }

    /// Length of the string in bytes.
    pub fn len(self) -> usize {
        match self {
            Self::Int(integer) => format_integer(integer, &mut [0; INTEGER_TEXT_SIZE_MAX]).len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether it is the empty string.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Bytes([]))
    }

    /// The integer whose canonical text this string is, if it is one (see [`parse_integer`]).
    pub fn as_integer(self) -> Option<i64> {
        match self {
            Self::Int(integer) => Some(integer),
            Self::Bytes(bytes) => parse_integer(bytes),
        }
    }
}

/// A value outside the keyspace: taken out, copied, or to be put in.
#[derive(Clone)]
#[expect(missing_docs, reason = "each is a structure of its own documentation")]
pub enum Value {
    String(StringValue),
    List(List),
    Set(Set),
    SortedSet(SortedSet),
    Hash(Hash),
    Stream(Stream),
    #[cfg(test)]
    Probe(Probe),
}

impl Value {
    /// A string value as `SET` makes it: an integer where the text is one.
    pub fn string(bytes: Vec<u8>) -> Self {
        Self::String(match parse_integer(&bytes) {
            Some(integer) => StringValue::Int(integer),
            None => StringValue::Bytes { bytes, raw: false },
        })
    }

    /// The value as a borrowed one.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::String(StringValue::Int(integer)) => ValueRef::String(StringRef::Int(*integer)),
            Self::String(StringValue::Bytes { bytes, .. }) => {
                ValueRef::String(StringRef::Bytes(bytes))
            }
            Self::List(list) => ValueRef::List(list),
            Self::Set(set) => ValueRef::Set(set),
            Self::SortedSet(sorted_set) => ValueRef::SortedSet(sorted_set),
            Self::Hash(hash) => ValueRef::Hash(hash),
            Self::Stream(stream) => ValueRef::Stream(stream),
            #[cfg(test)]
            Self::Probe(probe) => ValueRef::Probe(probe),
        }
    }
}

impl Value {
    /// Whether it is a structure with nothing in it, which no key holds.
    pub fn is_vacant(&self) -> bool {
        with_structure!(self, Self, object => object.is_vacant(), _string => false)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

macro_rules! value_from {
    ($($structure:ident)*) => {$(
        impl From<$structure> for Value {
            fn from(structure: $structure) -> Self {
                Self::$structure(structure)
            }
        }
    )*};
}
value_from!(List Set SortedSet Hash Stream);
#[cfg(test)]
value_from!(Probe);

/// A string outside the keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringValue {
    /// The text of this integer.
    Int(i64),
    /// Bytes.
    Bytes {
        /// The string itself.
        bytes: Vec<u8>,
        /// Reported as [`Encoding::Raw`] though short, because a command modified it in place.
        raw: bool,
    },
}

/// Reads the canonical text of an `i64`: what `format_integer` writes and nothing else (no plus, no leading zeros, no
/// `-0`, no spaces). This is when Redis keeps a string as an integer.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude = 0u64; // 19 digits always fit
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Writes the canonical text of `integer` to the end of `buffer` and returns it.
pub fn format_integer(integer: i64, buffer: &mut [u8; INTEGER_TEXT_SIZE_MAX]) -> &[u8] {
    let mut magnitude = integer.unsigned_abs();
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
        if magnitude == 0 {
            break;
        }
    }
    if integer < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_is_an_integer() {
        for integer in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            99_999,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ] {
            let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
            let text = format_integer(integer, &mut buffer);
            assert_eq!(text, integer.to_string().as_bytes());
            assert_eq!(parse_integer(text), Some(integer));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "1.0",
            "--1",
        ] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }
}
