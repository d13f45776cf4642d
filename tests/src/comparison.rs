//! When two replies to a random command say the same, and what real servers do differently from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use crate::random_commands::Words;
use crate::reference::Reference;
use crate::reply::Reply;

/// The variable's number, if it is set to one.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// `DJR_SEED`, or a new seed.
pub fn seed() -> u64 {
    number("DJR_SEED").unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
        now.as_nanos() as u64
    })
}

/// A command line for people.
pub fn line(words: &Words) -> String {
    let words = words
        .iter()
        .map(|word| format!("\"{}\"", word.escape_ascii()));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether two replies to the command of this full name say the same. They are equal byte for byte, but for times and orders.
pub fn equal(name: &str, ours: &Reply, theirs: &Reply) -> bool {
    if ours == theirs {
        return true;
    }
    let close = |tolerance: u64| match (ours.integer(), theirs.integer()) {
        // Negative figures have a meaning of their own.
        (Some(ours), Some(theirs)) => ours.min(theirs) >= 0 && ours.abs_diff(theirs) <= tolerance,
        _ => false,
    };
    match name {
        // The two sides do not run in the same millisecond.
        "ttl" | "expiretime" => close(600),
        // Redis 8.0 says strange things after a RENAME.
        "object|idletime" => close(u64::MAX),
        "pttl" | "pexpiretime" => close(600_000),
        // The format's version differs, and what is compressed.
        "dump" => matches!((ours, theirs), (Reply::Text(b'$', _), Reply::Text(b'$', _))),
        "keys" => ours.sorted() == theirs.sorted(),
        "randomkey" => matches!((ours, theirs), (Reply::Text(b'$', _), Reply::Text(b'$', _))),
        "scan" => match (ours.items(), theirs.items()) {
            ([our_cursor, our_keys], [their_cursor, their_keys]) => {
                // A walk that is not at its end may have seen other keys.
                let both_ended = our_cursor.text() == b"0" && their_cursor.text() == b"0";
                !both_ended || our_keys.sorted() == their_keys.sorted()
            }
            _ => false,
        },
        _ => false,
    }
}

/// What real servers do in more than one way, or in another way since the one at hand was made.
pub fn is_different_on_purpose(reference: &Reference, name: &str, words: &Words) -> bool {
    match name {
        // "Prints this help" became "Print this help".
        "object|help" => reference.version.starts_with("redis 7.0"),
        // Redis 8 looks at a name only up to its first zero byte.
        "client|setname" | "hello" if words.iter().any(|word| word.contains(&0)) => true,
        // Valkey has a shorter text for scripts that it does not know.
        "evalsha" | "evalsha_ro" => reference.is_valkey(),
        // We have no debugger; Redis has no SHOW; its words of help are others.
        "script|debug" | "script|show" | "script|help" => true,
        // Redis shares small integers.
        "object|refcount" => true,
        // Valkey keeps more strings in one piece with their key.
        "object|encoding" => reference.is_valkey(),
        // Valkey looks at the time before it looks for the key.
        "getex" => reference.is_valkey() && words.len() > 3,
        // Takes seconds in real servers.
        "pfselftest" => true,
        // Valkey takes a start without an end. Redis 7.0 says 0 of a key that is not there, whatever the range.
        "bitcount" if words.len() == 3 => !reference.is_valkey(),
        "bitcount" | "bitpos" if words.len() > 3 => reference.version.starts_with("redis 7.0"),
        // Cursors of Redis 7.0 are read more loosely.
        "scan" if words.get(1).is_some_and(|cursor| cursor != b"0") => true,
        // Valkey refuses the names of types that it does not know.
        "scan" => {
            reference.is_valkey() && words.iter().any(|word| word.eq_ignore_ascii_case(b"TYPE"))
        }
        _ => false,
    }
}

/// The words of the options of every command that a server knows, as its COMMAND DOCS tells them.
pub fn known_tokens(connection: &mut Connection) -> BTreeMap<String, BTreeSet<String>> {
    let docs = connection.call(&[b"COMMAND", b"DOCS"]);
    let mut known = BTreeMap::new();
    for (name, doc) in pairs(&docs) {
        collect_command(&name, doc, &mut known);
    }
    known
}

fn collect_command(name: &str, doc: &Reply, known: &mut BTreeMap<String, BTreeSet<String>>) {
    let tokens = known.entry(name.to_owned()).or_default();
    let mut subcommands = Vec::new();
    for (field, value) in pairs(doc) {
        match field.as_str() {
            "arguments" => collect_tokens(value, tokens),
            "subcommands" => subcommands = pairs(value),
            _ => {}
        }
    }
    for (name, doc) in subcommands {
        collect_command(&name, doc, known);
    }
}

fn collect_tokens(arguments: &Reply, tokens: &mut BTreeSet<String>) {
    for argument in arguments.items() {
        for (field, value) in pairs(argument) {
            match field.as_str() {
                "token" => {
                    tokens.insert(String::from_utf8_lossy(value.text()).into_owned());
                }
                "arguments" => collect_tokens(value, tokens),
                _ => {}
            }
        }
    }
}

/// The pairs of a map, or of an array that stands for one.
fn pairs(value: &Reply) -> Vec<(String, &Reply)> {
    value
        .items()
        .chunks_exact(2)
        .map(|pair| {
            (
                String::from_utf8_lossy(pair[0].text()).into_owned(),
                &pair[1],
            )
        })
        .collect()
}
