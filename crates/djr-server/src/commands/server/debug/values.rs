//! DEBUG OBJECT, LISTPACK, QUICKLIST, SDSLEN, HTSTATS-KEY: how the value of a key is kept.

use djr_engine::{Args, CommandError, Reply};
use djr_storage::keyspace::EntryRef;
use djr_storage::rdb;
use djr_storage::types::List;
use djr_storage::value::{Encoding, ValueRef};

use super::Sub;
use super::inside::table;
use crate::commands::{Context, Result};

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "object",
        syntax: "<key> [fast]",
        summary: "Show low level info about `key` and associated value. With `fast`, only what takes no time to find out.",
        words: 3..=4,
        run: |context, _, args, reply| {
            if args.len() == 4 && !args.is(3, "fast") {
                return Err(super::unknown(args));
            }
            let now_seconds = context.core.now / 1000;
            let list_max = context.core.shared.config.get("list-max-listpack-size");
            let now = context.core.now;
            show(context, args, reply, |entry, reply| {
                let idle = entry.idle_seconds();
                // 24 bits, as Redis has them.
                let clock = (now_seconds - i64::from(idle)) & 0xff_ffff;
                let mut text = format!(
                    "Value at:{:p} refcount:1 encoding:{}",
                    entry.key(),
                    entry.encoding().name()
                );
                if args.len() == 3 {
                    // The type, the version and the checksum are not part of it.
                    let len = rdb::dump(entry.value(), now, true).len().saturating_sub(11);
                    text += &format!(" serializedlength:{len}");
                }
                text += &format!(" lru:{clock} lru_seconds_idle:{idle}");
                if args.len() == 3
                    && let Some(list) = quicklist(&entry)
                {
                    let nodes: Vec<_> = list.node_sizes().collect();
                    text += &format!(
                        " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:0 ql_uncompressed_size:{}",
                        nodes.len(),
                        list.len() as f64 / nodes.len().max(1) as f64,
                        list_max.as_deref().unwrap_or_default(),
                        nodes.iter().sum::<usize>()
                    );
                }
                reply.simple(&text);
                Ok(())
            })
        },
    },
    Sub {
        name: "listpack",
        syntax: "<key>",
        summary: "Log low level info about the listpack encoding of <key>.",
        words: 3..=3,
        run: |context, _, args, reply| {
            show(context, args, reply, |entry, reply| {
                if entry.encoding() != Encoding::Listpack {
                    return Err(CommandError::text("ERR Not a listpack encoded object."));
                }
                tracing::info!("DEBUG LISTPACK: {} bytes", entry.memory_bytes());
                reply.simple("Listpack structure printed on stdout");
                Ok(())
            })
        },
    },
    Sub {
        name: "quicklist",
        syntax: "<key> [<0|1>]",
        summary: "Log low level info about the quicklist encoding of <key>.",
        words: 3..=4,
        run: |context, _, args, reply| {
            show(context, args, reply, |entry, reply| {
                let Some(list) = quicklist(&entry) else {
                    return Err(CommandError::text("ERR Not a quicklist encoded object."));
                };
                let nodes: Vec<_> = list.node_sizes().collect();
                tracing::info!(
                    "DEBUG QUICKLIST: {} elements, bytes of nodes: {nodes:?}",
                    list.len()
                );
                reply.simple("Quicklist structure printed on stdout");
                Ok(())
            })
        },
    },
    Sub {
        name: "sdslen",
        syntax: "<key>",
        summary: "Show the lengths of the strings of `key` and value.",
        words: 3..=3,
        run: |context, _, args, reply| {
            show(context, args, reply, |entry, reply| {
                let is_text = matches!(entry.encoding(), Encoding::Raw | Encoding::Embstr);
                let Some(value) = entry.as_string().filter(|_| is_text) else {
                    return Err(CommandError::text("ERR Not an sds encoded string."));
                };
                let (key, value) = (entry.key().len(), value.len());
                // Key and value lie in one block, or the value in one of its own; both without room to grow.
                reply.simple(&format!(
                    "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {key}, val_sds_len:{value}, val_sds_avail:0, val_zmalloc: {}",
                    entry.memory_bytes().saturating_sub(key)
                ));
                Ok(())
            })
        },
    },
    Sub {
        name: "htstats-key",
        syntax: "<key> [full]",
        summary: "Like HTSTATS but for the hash table stored at <key>'s value.",
        words: 3..=4,
        run: |context, _, args, reply| {
            let now = context.core.now;
            show(context, args, reply, |entry, reply| {
                let is_table = matches!(entry.encoding(), Encoding::Hashtable | Encoding::Skiplist);
                let len = match entry.value() {
                    ValueRef::Hash(hash) if is_table => hash.len(now),
                    ValueRef::Set(set) if is_table => set.len(),
                    ValueRef::SortedSet(set) if is_table => set.len(),
                    _ => {
                        return Err(CommandError::text(
                            "ERR The value stored at the specified key is not represented using an hash table",
                        ));
                    }
                };
                let text = table("main hash table", 0, len);
                reply.verbatim("txt", text.as_bytes());
                Ok(())
            })
        },
    },
];

/// Shows the value of the key that is the third word.
fn show(
    context: &Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    write: impl FnOnce(EntryRef<'_>, &mut Reply<'_>) -> Result,
) -> Result {
    let keyspace = &context.core.shared.engine.keyspace;
    let key = keyspace.key(args.get(2));
    let access = keyspace.open(keyspace.footprint(key.hash), context.core.now);
    // Who looks does not use.
    access.set_touch(false);
    match access.db(context.session.db).peek(key) {
        Some(entry) => write(entry, reply),
        None => Err(CommandError::text("ERR no such key")),
    }
}

fn quicklist<'a>(entry: &EntryRef<'a>) -> Option<&'a List> {
    match entry.encoding() {
        Encoding::Quicklist => entry.object::<List>(),
        _ => None,
    }
}
