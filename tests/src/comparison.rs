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

/// `DJR_SEED`; without it always the same, so that what fails is due to the last change; 0 stands for a new one.
pub fn seed() -> u64 {
    match number("DJR_SEED") {
        Some(0) => {
            let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
            now.as_nanos() as u64
        }
        seed => seed.unwrap_or(1),
    }
}

/// A command line for people.
pub fn line(words: &Words) -> String {
    let words = words
        .iter()
        .map(|word| format!("\"{}\"", word.escape_ascii()));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether two replies to the command of this full name say the same. They are equal byte for byte, but for times and orders; and
/// but for what only the server at hand does in its own way.
pub fn equal(reference: &Reference, name: &str, ours: &Reply, theirs: &Reply) -> bool {
    if ours == theirs {
        return true;
    }
    let (is_old, is_valkey) = (reference.is_old(), reference.is_valkey());
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
        "dump" => equal_dumps(ours, theirs),
        // The format's version differs, and what is compressed.
        "function|dump" => {
            matches!((ours, theirs), (Reply::Text(b'$', _), Reply::Text(b'$', _)))
        }
        // Redis 8 also tells of `+`.
        "xread" | "xreadgroup" if (is_old || is_valkey) && ours.is_error() && theirs.is_error() => {
            let unbalanced = b"ERR Unbalanced";
            ours.text().starts_with(unbalanced) && theirs.text().starts_with(unbalanced)
        }
        // How long ago, and when, something was delivered to a consumer.
        "xpending" | "xinfo|consumers" | "xinfo|stream" => is_close(ours, theirs, 600_000),
        // Redis 7.0 keeps every list as a quicklist, and has no packed sets.
        "object|encoding" => {
            is_old
                && matches!(
                    (ours.text(), theirs.text()),
                    (b"listpack", b"quicklist" | b"hashtable") | (b"intset", b"hashtable")
                )
        }
        "httl" | "hexpiretime" => all_close(ours, theirs, 600),
        "hpttl" | "hpexpiretime" => all_close(ours, theirs, 600_000),
        "keys" | "hkeys" | "hvals" | "smembers" | "sinter" | "sunion" | "sdiff" | "spop" => {
            ours.sorted() == theirs.sorted()
        }
        "hgetall" => sorted_pairs(ours) == sorted_pairs(theirs),
        // Which ones is left to luck.
        "hrandfield" | "srandmember" => match (ours, theirs) {
            (Reply::Many(_, ours), Reply::Many(_, theirs)) => ours.len() == theirs.len(),
            _ => matches!((ours, theirs), (Reply::Text(b'$', _), Reply::Text(b'$', _))),
        },
        "zrandmember" => {
            ours.items().len() == theirs.items().len() && ours.is_error() == theirs.is_error()
        }
        "zscan" => match (ours.items(), theirs.items()) {
            ([our_cursor, our_items], [their_cursor, their_items]) => {
                let both_ended = our_cursor.text() == b"0" && their_cursor.text() == b"0";
                !both_ended || sorted_pairs(our_items) == sorted_pairs(their_items)
            }
            _ => false,
        },
        // Redis 7.0 prints doubles with more digits than they need.
        _ if is_old && name.starts_with(['z', 'b']) => equal_numbers(ours, theirs),
        // Redis 8 prints coordinates with fewer digits than all others.
        _ if !is_old && !is_valkey && name.starts_with("geo") => close_numbers(ours, theirs),
        // Valkey names the member.
        _ if is_valkey && name.starts_with("geo") => {
            let unknown: &[u8] = b"ERR could not decode requested zset member";
            ours.text() == unknown && theirs.text().ends_with(b" does not exist")
        }
        // Valkey reads a number up to its end, Redis up to a zero byte; Redis 7.0 takes the error of an earlier number for that of
        // an element.
        "sort" | "sort_ro" if is_old || is_valkey => {
            let unsortable: &[u8] = b"ERR One or more scores can't be converted into double";
            let (ours_fails, theirs_fails) =
                (ours.text() == unsortable, theirs.text() == unsortable);
            ours_fails != theirs_fails && !(ours.is_error() && theirs.is_error())
        }
        "randomkey" => matches!((ours, theirs), (Reply::Text(b'$', _), Reply::Text(b'$', _))),
        "scan" | "hscan" | "sscan" => match (ours.items(), theirs.items()) {
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

/// Whether two payloads of DUMP (made without compression) hold the same: byte for byte but for version and checksum. Of types that
/// only one of the servers writes, and of what is in no order, nothing can be said.
fn equal_dumps(ours: &Reply, theirs: &Reply) -> bool {
    let (Reply::Text(b'$', ours), Reply::Text(b'$', theirs)) = (ours, theirs) else {
        return false;
    };
    let body = |payload: &[u8]| {
        payload
            .split_last_chunk::<10>()
            .map(|(body, _)| body.to_vec())
    };
    let (Some(ours), Some(theirs)) = (body(ours), body(theirs)) else {
        return false;
    };
    // Tables of sets and hashes, of hashes with deadlines as well.
    let in_no_order = matches!(ours.first(), Some(2 | 4 | 24));
    in_no_order || ours.first() != theirs.first() || equal_but_for_times(&ours, &theirs)
}

/// Whether two payloads are equal, but for the times of a stream or of a packed hash's fields: the two sides do not run in the same millisecond. A time is eight bytes,
/// the lowest first, so these differ first. The earliest deadline, at the head of a packed hash, may be one that is gone: real servers
/// do not look for the next one when a field loses its deadline or is deleted.
fn equal_but_for_times(ours: &[u8], theirs: &[u8]) -> bool {
    const STREAM: u8 = 21;
    const PACKED_HASH_WITH_DEADLINES: u8 = 25;
    const TOLERANCE_MS: u64 = 600_000;
    let time = |bytes: &[u8], at: usize| -> Option<i64> {
        let bytes = bytes.get(at..at + 8)?;
        bytes.try_into().ok().map(i64::from_le_bytes)
    };
    if ours == theirs {
        return true;
    }
    let kind = ours.first().copied();
    let has_times = matches!(kind, Some(STREAM | PACKED_HASH_WITH_DEADLINES));
    if !has_times || ours.len() != theirs.len() {
        return false;
    }
    let mut at = 0;
    if kind == Some(PACKED_HASH_WITH_DEADLINES) && time(theirs, 1) < time(ours, 1) {
        at = 9;
    }
    while at < ours.len() {
        if ours[at] == theirs[at] {
            at += 1;
            continue;
        }
        let is_near = |start: &usize| {
            let times = time(ours, *start).zip(time(theirs, *start));
            times.is_some_and(|(ours, theirs)| ours.abs_diff(theirs) <= TOLERANCE_MS)
        };
        match (at.saturating_sub(2)..=at).rev().find(is_near) {
            Some(start) => at = start + 8,
            None => return false,
        }
    }
    true
}

/// A hexadecimal number, or one with a space before it; perhaps behind a bracket.
fn is_loose_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"(").unwrap_or(word).to_ascii_lowercase();
    word.starts_with(b" ") || word.starts_with(b"0x")
}

/// Whether the numbers of two arrays are the same but for a difference of so much. Negative ones have a meaning of their own.
fn all_close(ours: &Reply, theirs: &Reply, tolerance: u64) -> bool {
    let close = |(ours, theirs): (&Reply, &Reply)| match (ours.integer(), theirs.integer()) {
        (Some(ours), Some(theirs)) if ours.min(theirs) >= 0 => ours.abs_diff(theirs) <= tolerance,
        (ours, theirs) => ours.is_some() && ours == theirs,
    };
    let (ours, theirs) = (ours.items(), theirs.items());
    !ours.is_empty() && ours.len() == theirs.len() && ours.iter().zip(theirs).all(close)
}

/// The pairs of a map, or of an array that stands for one, in an order of their own.
fn sorted_pairs(reply: &Reply) -> Option<Vec<&[Reply]>> {
    let Reply::Many(_, items) = reply else {
        return None;
    };
    let mut pairs: Vec<_> = items.chunks(2).collect();
    pairs.sort();
    Some(pairs)
}

/// Whether two replies differ only in how they write numbers.
fn equal_numbers(ours: &Reply, theirs: &Reply) -> bool {
    let number = |reply: &Reply| std::str::from_utf8(reply.text()).ok()?.parse::<f64>().ok();
    let (items, their_items) = (ours.items(), theirs.items());
    ours == theirs
        || number(ours).is_some_and(|number_of| Some(number_of) == number(theirs))
        || !items.is_empty()
            && items.len() == their_items.len()
            && items
                .iter()
                .zip(their_items)
                .all(|(ours, theirs)| equal_numbers(ours, theirs))
}

/// As [`equal_numbers`], for numbers of which one side writes 17 digits behind the point and no more.
fn close_numbers(ours: &Reply, theirs: &Reply) -> bool {
    let number = |reply: &Reply| std::str::from_utf8(reply.text()).ok()?.parse::<f64>().ok();
    let (items, their_items) = (ours.items(), theirs.items());
    let close = |(ours, theirs): (f64, f64)| (ours - theirs).abs() < 1e-16;
    ours == theirs
        || number(ours).zip(number(theirs)).is_some_and(close)
        || !items.is_empty()
            && items.len() == their_items.len()
            && items
                .iter()
                .zip(their_items)
                .all(|(ours, theirs)| close_numbers(ours, theirs))
}

/// Whether two replies are equal but for integers, which may differ by as much.
fn is_close(ours: &Reply, theirs: &Reply, tolerance: u64) -> bool {
    match (ours.integer(), theirs.integer()) {
        (Some(ours), Some(theirs)) => {
            ours == theirs || ours.min(theirs) >= 0 && ours.abs_diff(theirs) <= tolerance
        }
        _ if ours.items().is_empty() || theirs.items().is_empty() => ours == theirs,
        _ => {
            ours.items().len() == theirs.items().len()
                && ours
                    .items()
                    .iter()
                    .zip(theirs.items())
                    .all(|(ours, theirs)| is_close(ours, theirs, tolerance))
        }
    }
}

/// What real servers do in more than one way, or in another way since the one at hand was made.
pub fn is_different_on_purpose(reference: &Reference, name: &str, words: &Words) -> bool {
    match name {
        // "Prints this help" became "Print this help".
        "object|help" | "xinfo|help" | "xgroup|help" => reference.is_old(),
        // Redis 8 looks at a name only up to its first zero byte.
        "client|setname" | "hello" if words.iter().any(|word| word.contains(&0)) => true,
        // Valkey has a shorter text for scripts that it does not know.
        "evalsha" | "evalsha_ro" => reference.is_valkey(),
        // We have no debugger; Redis has no SHOW; its words of help are others.
        "script|debug" | "script|show" | "script|help" | "function|help" => true,
        // Redis 7.0 let times that are too far away overflow.
        "blpop" | "brpop" | "blmove" | "brpoplpush" | "blmpop" | "bzpopmin" | "bzpopmax"
        | "bzmpop"
            if reference.is_old() =>
        {
            let number = |word: &Vec<u8>| std::str::from_utf8(word).ok()?.parse::<f64>().ok();
            words.iter().filter_map(number).any(|number| number > 9e15)
        }
        // A deadline too far away to be told is refused; real servers let the sum overflow, and look at the payload first.
        "restore" | "restore-asking" if words.get(2).is_some_and(|ttl| ttl.len() > 17) => true,
        // Redis 7.0 took the opposite of this.
        "lrem" | "lpos" if words.iter().any(|word| word == b"-9223372036854775808") => {
            reference.is_old()
        }
        // Newer ones keep only 32 bits of the index, and so may find an element far beyond the end.
        "lset" if words.get(2).is_some_and(|index| index.len() > 10) => true,
        // Redis 7.0 does not look at what was deleted.
        "xsetid" => reference.is_old(),
        // What `equal` lets pass must not be stored.
        "sort"
            if !reference.version.starts_with("redis 8")
                && has_word(words, &["STORE"])
                && !has_word(words, &["ALPHA"]) =>
        {
            true
        }
        // What is sorted by texts that are equal, or by nothing, is in no order where the elements are in none; and lists are
        // sorted by a function that leaves open where equal ones go.
        "sort" | "sort_ro" if has_word(words, &["BY"]) => {
            let in_order = |key: &Vec<u8>| key.starts_with(b"list:") || key.starts_with(b"zset:");
            let by = words
                .iter()
                .position(|word| word.eq_ignore_ascii_case(b"BY"));
            let pattern = by.and_then(|at| words.get(at + 1));
            let sorts = pattern.is_some_and(|pattern| pattern.contains(&b'*'));
            has_word(words, &["ALPHA"]) || !sorts && !words.get(1).is_some_and(in_order)
        }
        // Only Redis 8 knows the last entry by `+`.
        "xread" | "xreadgroup" if words.iter().any(|word| word == b"+") => {
            !reference.version.starts_with("redis 8")
        }
        // Redis 7.0 adds no consumer that gets nothing, and does not know when one last got something.
        "xreadgroup"
        | "xclaim"
        | "xautoclaim"
        | "xgroup|createconsumer"
        | "xgroup|delconsumer"
        | "xinfo|consumers" => reference.is_old(),
        // How far a group lags behind is estimated in another way by Redis 8.
        "xinfo|groups" => !reference.version.starts_with("redis 8"),
        "xinfo|stream" if words.len() > 3 => !reference.version.starts_with("redis 8"),
        // Where the least integer is to be cut to what fits, the check of real servers overflows itself, and the greatest value is set.
        "bitfield" if words.iter().any(|word| word == b"-9223372036854775808") => {
            has_word(words, &["SAT"])
        }
        // Redis shares small integers.
        "object|refcount" => true,
        // Redis 7.0 keeps lists in another way, and the order of a hash is its own.
        "dump" => reference.is_old(),
        // Valkey keeps more strings in one piece with their key.
        "object|encoding" => reference.is_valkey(),
        // Valkey looks at the time before it looks for the key.
        "getex" => reference.is_valkey() && words.len() > 3,
        // Takes seconds in real servers.
        "pfselftest" => true,
        // Redis 7.0 reads the ends of ranges more loosely.
        "zcount" | "zrange" | "zrangestore" | "zrangebyscore" | "zrevrangebyscore"
        | "zremrangebyscore"
            if reference.is_old() && words.iter().any(|word| is_loose_number(word)) =>
        {
            true
        }
        // Of fields with deadlines Valkey has other limits, other words for what is wrong, and another order of looking.
        "hexpire" | "hpexpire" | "hexpireat" | "hpexpireat" | "httl" | "hpttl" | "hexpiretime"
        | "hpexpiretime" | "hpersist" | "hgetex" | "hgetdel" => reference.is_valkey(),
        // Only Valkey has conditions on the key.
        "hsetex" if reference.is_valkey() || has_word(words, &["NX", "XX"]) => true,
        "hscan" | "sscan" if words.get(2).is_some_and(|cursor| cursor != b"0") => true,
        // Which members go is left to luck, unless it is none or all.
        "spop" => !words
            .get(2)
            .is_some_and(|count| count == b"0" || count.len() > 3 || count.starts_with(b"-")),
        // Replies without end.
        "zrandmember" | "srandmember" => words
            .iter()
            .any(|word| word.starts_with(b"-") && word.len() > 4),
        // Redis 7.0 has no WITHSCORE and counts its arguments.
        "zrank" | "zrevrank" => reference.is_old() && words.len() > 3,
        // Valkey does not take hexadecimal scores.
        "zadd"
        | "zincrby"
        | "zunion"
        | "zinter"
        | "zunionstore"
        | "zinterstore"
        | "geoadd"
        | "geosearch"
        | "geosearchstore"
        | "georadius"
        | "georadius_ro"
        | "georadiusbymember"
        | "georadiusbymember_ro"
            if reference.is_valkey()
                && words
                    .iter()
                    .any(|word| word.to_ascii_lowercase().starts_with(b"0x")) =>
        {
            true
        }
        // Valkey takes a start without an end. Redis 7.0 says 0 of a key that is not there, whatever the range.
        "bitcount" if words.len() == 3 => !reference.is_valkey(),
        "bitcount" | "bitpos" if words.len() > 3 => reference.is_old(),
        // Cursors of Redis 7.0 are read more loosely.
        "scan" if words.get(1).is_some_and(|cursor| cursor != b"0") => true,
        // Other digits have another place in the order that we compare in.
        "zscan" if reference.is_old() => true,
        "zscan" if words.get(2).is_some_and(|cursor| cursor != b"0") => true,
        // Valkey refuses the names of types that it does not know.
        "scan" => {
            reference.is_valkey() && words.iter().any(|word| word.eq_ignore_ascii_case(b"TYPE"))
        }
        _ => false,
    }
}

fn has_word(words: &Words, wanted: &[&str]) -> bool {
    words.iter().any(|word| {
        wanted
            .iter()
            .any(|wanted| word.eq_ignore_ascii_case(wanted.as_bytes()))
    })
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
