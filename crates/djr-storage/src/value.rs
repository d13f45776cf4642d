//! Values as the rest of the server sees them: borrowed from an entry ([`ValueRef`]) or taken out of one ([`Value`]).
//!
//! How an entry keeps a value in memory is the keyspace's own affair; commands, log and snapshot see only these.

/// What kind of value a key holds: the word that `TYPE` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Bytes or an integer.
    String,
    /// Elements in order of insertion, taken and put at both ends.
    List,
    /// Members, each once.
    Set,
    /// Members with a score, in its order.
    SortedSet,
    /// Fields with a value each.
    Hash,
    /// Entries with ascending ids, and groups of consumers.
    Stream,
}

impl Kind {
    /// The name that `TYPE` and `SCAN … TYPE` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// A string.
    String(StringRef<'a>),
}

impl<'a> ValueRef<'a> {
    /// The kind of this value.
    pub fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
        }
    }

    /// The string, or `None` where Redis says `WRONGTYPE`.
    pub fn as_string(&self) -> Option<StringRef<'a>> {
        match self {
            Self::String(string) => Some(*string),
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A string.
    String(StringValue),
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
        }
    }
}

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
