//! What the servers are filled with, and what is written to them meanwhile.

use super::client::{Pipe, encode, encode_bytes};
use anyhow::Result;
use std::io::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DataSet {
    /// String keys with values of 100 bytes that can't be compressed
    Strings,
    /// Strings, hashes, lists, sets, sorted sets, streams, of ten elements, some of a thousand
    Mixed,
}

/// The type of a large value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Large {
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
}

pub(super) const LARGE: [Large; 5] = [
    Large::List,
    Large::Set,
    Large::Hash,
    Large::SortedSet,
    Large::Stream,
];

/// The length of a string's value.
const VALUE_LEN: usize = 100;

/// Letters and digits that nobody compresses: another value for each number and each `version`.
fn value(number: u64, version: u64) -> [u8; VALUE_LEN] {
    const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let mut state = (number ^ version << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut value = [0; VALUE_LEN];
    for part in value.chunks_mut(10) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (nth, letter) in part.iter_mut().enumerate() {
            *letter = LETTERS[(state >> (6 * nth)) as usize % 64];
        }
    }
    value
}

impl DataSet {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Strings => "strings",
            Self::Mixed => "mixed",
        }
    }

    /// Number of keys, where strings would be so many.
    pub(super) fn keys(self, keys: u64) -> u64 {
        match self {
            Self::Strings => keys,
            Self::Mixed => keys / 10,
        }
    }

    /// Appends the command that makes a key.
    pub(super) fn make(self, out: &mut Vec<u8>, number: u64) {
        if self == Self::Strings {
            return set(out, number, &value(number, 0));
        }
        let elements = if number % 1000 < 6 { 1000 } else { 10 };
        let key = format!("key:{number:012}");
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut word = |word: &str| words.push(word.as_bytes().to_vec());
        match number % 6 {
            0 => return set(out, number, &value(number, 0)),
            kind => {
                word(["", "HSET", "RPUSH", "SADD", "ZADD", "XADD"][kind as usize]);
                word(&key);
                if kind == 5 {
                    word("*");
                }
                for element in 0..elements {
                    let text = format!("element:{element}:{number}");
                    match kind {
                        1 => {
                            word(&text);
                            word("value of a field");
                        }
                        4 => {
                            word(&element.to_string());
                            word(&text);
                        }
                        5 => {
                            word(&format!("field{element}"));
                            word(&text);
                        }
                        _ => word(&text),
                    }
                }
            }
        }
        encode_bytes(out, &words);
    }

    /// Appends a command that overwrites something of a key.
    pub(super) fn change(self, out: &mut Vec<u8>, number: u64, random: u64) {
        let key = format!("key:{number:012}");
        let text = format!("changed:{random}");
        match self {
            Self::Strings => set(out, number, &value(number, random | 1)),
            Self::Mixed => match number % 6 {
                0 => set(out, number, &value(number, random | 1)),
                1 => encode(out, &["HSET", &key, "element:1", &text]),
                2 => encode(out, &["LSET", &key, "3", &text]),
                3 => encode(out, &["SADD", &key, "element:1"]),
                4 => encode(out, &["ZADD", &key, "7", "element:1"]),
                _ => encode(out, &["XADD", &key, "*", "field", &text]),
            },
        }
    }

    /// Appends a command that reads a key.
    pub(super) fn read(self, out: &mut Vec<u8>, number: u64) {
        let key = format!("key:{number:012}");
        match (self, number % 6) {
            (Self::Strings, _) | (_, 0) => encode(out, &["GET", &key]),
            (_, 1) => encode(out, &["HGET", &key, "element:1"]),
            (_, 2) => encode(out, &["LINDEX", &key, "3"]),
            (_, 3) => encode(out, &["SISMEMBER", &key, "element:1"]),
            (_, 4) => encode(out, &["ZSCORE", &key, "element:1"]),
            _ => encode(out, &["XLEN", &key]),
        }
    }

    pub(super) fn fill(self, pipe: &mut Pipe, keys: u64) -> Result<()> {
        for number in 0..self.keys(keys) {
            pipe.send(|out| self.make(out, number))?;
        }
        pipe.finish()
    }

    /// Writes the same as a log of commands, in Redis's layout, into a folder.
    pub(super) fn write_log(self, dir: &std::path::Path, keys: u64) -> Result<()> {
        let dir = dir.join("appendonlydir");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(
            dir.join("appendonly.aof.manifest"),
            "file appendonly.aof.1.incr.aof seq 1 type i\n",
        )?;
        let file = std::fs::File::create(dir.join("appendonly.aof.1.incr.aof"))?;
        let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
        let mut out = Vec::new();
        encode(&mut out, &["SELECT", "0"]);
        for number in 0..self.keys(keys) {
            self.make(&mut out, number);
            if out.len() > 1 << 16 {
                file.write_all(&out)?;
                out.clear();
            }
        }
        file.write_all(&out)?;
        file.flush()?;
        Ok(())
    }
}

fn set(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    let key = format!("key:{number:012}");
    encode_bytes(out, &[b"SET".to_vec(), key.into_bytes(), value.to_vec()]);
}

pub(super) const LARGE_KEY: &str = "large";

impl Large {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "sorted set",
            Self::Stream => "stream",
        }
    }

    pub(super) fn fill(self, pipe: &mut Pipe, elements: u64) -> Result<()> {
        for element in 0..elements {
            pipe.send(|out| self.add(out, element))?;
        }
        pipe.finish()
    }

    /// Appends a command that adds an element.
    fn add(self, out: &mut Vec<u8>, element: u64) {
        let text = format!("element:{element:010}");
        match self {
            Self::List => encode(out, &["RPUSH", LARGE_KEY, &text]),
            Self::Set => encode(out, &["SADD", LARGE_KEY, &text]),
            Self::Hash => encode(out, &["HSET", LARGE_KEY, &text, "value of a field"]),
            Self::SortedSet => encode(out, &["ZADD", LARGE_KEY, &element.to_string(), &text]),
            Self::Stream => encode(out, &["XADD", LARGE_KEY, "*", "field", &text]),
        }
    }

    /// Appends a command that changes it somewhere.
    pub(super) fn change(self, out: &mut Vec<u8>, random: u64, elements: u64) {
        let element = random % elements;
        let text = format!("element:{element:010}");
        match (self, random / elements % 2) {
            (Self::List, 0) => encode(out, &["LPUSH", LARGE_KEY, &text]),
            (Self::List, _) => encode(out, &["RPOP", LARGE_KEY]),
            (Self::Set, 0) => encode(out, &["SREM", LARGE_KEY, &text]),
            (Self::Hash, 0) => encode(out, &["HSET", LARGE_KEY, &text, "another value"]),
            (Self::Hash, _) => encode(out, &["HDEL", LARGE_KEY, &text]),
            (Self::SortedSet, 0) => encode(out, &["ZINCRBY", LARGE_KEY, "3", &text]),
            (Self::SortedSet, _) => encode(out, &["ZREM", LARGE_KEY, &text]),
            (Self::Stream, 0) => encode(
                out,
                &["XTRIM", LARGE_KEY, "MAXLEN", "~", &elements.to_string()],
            ),
            (Self::Set | Self::Stream, _) => self.add(out, random),
        }
    }
}
