//! Replies as they are on the wire: every byte that a server chose is kept, such as the spelling of a number.
//!
//! This reader is independent of `djr-protocol`'s, so that an error there can't hide itself.

use std::fmt;

/// A reply. Equal replies had equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// What fits in a line: the type (`+ - : , # ( _`) and the text behind it. Also RESP2's nulls: `$-1` and `*-1`.
    Line(u8, Vec<u8>),
    /// What comes with its length: `$ = !`.
    Text(u8, Vec<u8>),
    /// An aggregate: `* ~ > % |`; of maps, keys and values in turn.
    Many(u8, Vec<Reply>),
    /// The server has closed the connection.
    Closed,
    /// No reply came, though one was waited for.
    Silence,
}

impl Reply {
    /// Reads the reply that `bytes` begins with, and how long it is. `None`: it has not come whole yet.
    ///
    /// # Panics
    /// If no server may send this.
    pub fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let (kind, text) = (bytes[0], &bytes[1..end]);
        let mut at = end + 2;
        let length = || {
            std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<usize>().ok())
                .unwrap_or_else(|| panic!("a length: {}", bytes[..end].escape_ascii()))
        };
        let reply = match kind {
            b'$' | b'*' if text == b"-1" => Reply::Line(kind, text.to_vec()),
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => Reply::Line(kind, text.to_vec()),
            b'$' | b'=' | b'!' => {
                let length = length();
                let text = bytes.get(at..at + length)?.to_vec();
                assert_eq!(bytes.get(at + length..at + length + 2)?, b"\r\n");
                at += length + 2;
                Reply::Text(kind, text)
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let count = length() * if matches!(kind, b'%' | b'|') { 2 } else { 1 };
                let mut items = Vec::new();
                for _ in 0..count {
                    let (item, length) = Reply::parse(&bytes[at..])?;
                    items.push(item);
                    at += length;
                }
                Reply::Many(kind, items)
            }
            _ => panic!("no reply begins so: {}", bytes[..end].escape_ascii()),
        };
        Some((reply, at))
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Line(b'-', _) | Reply::Text(b'!', _))
    }

    /// The number, of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Reply::Line(b':', text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The text of anything but an aggregate.
    pub fn text(&self) -> &[u8] {
        match self {
            Reply::Line(_, text) | Reply::Text(_, text) => text,
            Reply::Many(..) | Reply::Closed | Reply::Silence => b"",
        }
    }

    /// The elements of an aggregate.
    pub fn items(&self) -> &[Reply] {
        match self {
            Reply::Many(_, items) => items,
            _ => &[],
        }
    }

    /// The same with its elements sorted: those of a set, an array, or the pairs of a map.
    pub fn sorted(&self) -> Reply {
        match self {
            Reply::Many(kind, items) => {
                let width = if matches!(kind, b'%' | b'|') { 2 } else { 1 };
                let mut groups: Vec<&[Reply]> = items.chunks(width).collect();
                groups.sort();
                Reply::Many(*kind, groups.concat())
            }
            other => other.clone(),
        }
    }
}

/// On one line, for people: `+OK`, `-ERR …`, `:1`, `"bulk"`, `$-1`, `[…]`, `%{key: value}`, `~[…]`, `="txt:…"`. Long strings are
/// cut and told by length and checksum.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Line(kind, text) => write!(f, "{}{}", *kind as char, text.escape_ascii()),
            Reply::Text(kind, text) => {
                if *kind != b'$' {
                    write!(f, "{}", *kind as char)?;
                }
                if text.len() <= 300 {
                    return write!(f, "\"{}\"", text.escape_ascii());
                }
                let crc = crc32fast::hash(text);
                let start = text[..40].escape_ascii();
                write!(f, "\"{start}…\" ({} bytes, crc32 {crc:08x})", text.len())
            }
            Reply::Many(kind @ (b'%' | b'|'), items) => {
                write!(f, "{}{{", *kind as char)?;
                for (index, pair) in items.chunks(2).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {}", pair[0], pair[1])?;
                }
                write!(f, "}}")
            }
            Reply::Many(kind, items) => {
                if *kind != b'*' {
                    write!(f, "{}", *kind as char)?;
                }
                write!(f, "[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                write!(f, "]")
            }
            Reply::Closed => write!(f, "closed"),
            Reply::Silence => write!(f, "silence"),
        }
    }
}
