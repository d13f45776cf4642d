//! DEBUG STRUCTSIZE, CLIENT-EVICTION, STRINGMATCH-TEST, HTSTATS db [FULL]: what is inside the server.

use std::mem::size_of;

use djr_engine::rng::Rng;
use djr_engine::{CommandError, glob};
use djr_storage::keyspace::Footprint;

use super::Sub;
use crate::session::Session;

/// So many random patterns are tried.
const MATCHES: u32 = 100_000;

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "structsize",
        syntax: "",
        summary: "Return the size of different core structures.",
        words: 2..=2,
        run: |_, _, _, reply| {
            let sizes = format!(
                "bits:{} slot:8 bucket:64 session:{} ",
                usize::BITS,
                size_of::<Session>()
            );
            reply.simple(&sizes);
            Ok(())
        },
    },
    Sub {
        name: "stringmatch-test",
        syntax: "",
        summary: "Run a fuzz tester against the matching of patterns.",
        words: 2..=2,
        run: |context, _, _, reply| {
            let mut rng = Rng::new(context.core.now.unsigned_abs());
            for _ in 0..MATCHES {
                let (pattern, text) = (rng.next().to_le_bytes(), rng.next().to_le_bytes());
                let of_glob = pattern.map(|byte| b"*?[]^-\\abc"[usize::from(byte) % 10]);
                let of_text = text.map(|byte| b"abc-"[usize::from(byte) % 4]);
                glob::matches(&of_glob, &of_text);
                glob::matches_ignoring_case(&pattern, &text);
            }
            reply.simple("Apparently the server did not crash: test passed");
            Ok(())
        },
    },
    Sub {
        name: "htstats",
        syntax: "<dbid> [full]",
        summary: "Return hash table statistics of the specified database.",
        words: 3..=4,
        run: |context, _, args, reply| {
            let keyspace = &context.core.shared.engine.keyspace;
            let db = args.integer(2)?;
            let db = u32::try_from(db).ok().filter(|db| *db < keyspace.dbs());
            let db = db.ok_or(CommandError::text("ERR Out of range database"))?;
            // So that the numbers are those of one moment.
            let _all = keyspace.open(Footprint::ALL, context.core.now);
            let (keys, expires) = (keyspace.len(db), keyspace.expires_len(db));
            let slots = keyspace.index_bytes(db) / 8;
            let mut text = String::from("[Dictionary HT]\n");
            text += &table("main hash table", slots, keys);
            text += "[Expires HT]\n";
            // Deadlines lie in the entries and in a wheel.
            text += &table("main hash table", 0, expires);
            reply.verbatim("txt", text.as_bytes());
            Ok(())
        },
    },
    Sub {
        name: "client-eviction",
        syntax: "",
        summary: "Show the memory that clients take together (maxmemory-clients).",
        words: 2..=2,
        run: |context, _, _, reply| {
            let shared = &context.core.shared;
            if shared.config.get("maxmemory-clients").as_deref() == Some("0") {
                return Err(CommandError::text("ERR maxmemory-clients is disabled."));
            }
            let mut text = String::from("Clients by memory:\n");
            for worker in 0..shared.workers.len() {
                let bytes = &shared.workers[worker].stats.client_bytes;
                let bytes = bytes.load(std::sync::atomic::Ordering::Relaxed);
                text += &format!("worker {worker}: {bytes} bytes\n");
            }
            reply.verbatim("txt", text.as_bytes());
            Ok(())
        },
    },
];

/// What Redis says of a table, as far as it means something here.
pub(super) fn table(name: &str, slots: usize, elements: usize) -> String {
    let head = format!("Hash table 0 stats ({name}):\n");
    if elements == 0 {
        return head + "No stats available for empty dictionaries\n";
    }
    let mut text = head;
    if slots > 0 {
        text += &format!(" table size: {slots}\n");
    }
    text + &format!(" number of elements: {elements}\n")
}
