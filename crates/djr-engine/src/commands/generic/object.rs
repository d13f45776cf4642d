//! OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key, OBJECT HELP

use djr_storage::keyspace::EntryRef;

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "object",
    since: "2.2.3",
    group: Group::Generic,
    summary: "Tells how a value is kept.",
    complexity: "Depends on the subcommand",
    subcommands: &[&ENCODING, &FREQ, &HELP, &IDLETIME, &REFCOUNT],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static ENCODING: CommandSpec = CommandSpec {
    name: "encoding",
    since: "2.2.3",
    group: Group::Generic,
    summary: "Returns the name of the form that a value is kept in.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(|context, args, reply| {
        answer(context, args, reply, |entry, reply| {
            reply.bulk(entry.encoding().name().as_bytes());
            Ok(())
        })
    }),
    ..CommandSpec::DEFAULT
};

static FREQ: CommandSpec = CommandSpec {
    name: "freq",
    since: "4.0.0",
    summary: "Returns how often a key is used, on a logarithmic scale.",
    run: Run::Read(|context, args, reply| {
        answer(context, args, reply, |entry, reply| {
            if !entry.is_lfu() {
                return Err(CommandError::text(
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
                     policies at runtime LRU and LFU data will take some time to adjust.",
                ));
            }
            reply.integer(entry.frequency().into());
            Ok(())
        })
    }),
    ..ENCODING
};

static IDLETIME: CommandSpec = CommandSpec {
    name: "idletime",
    summary: "Returns how many seconds ago a key was used.",
    run: Run::Read(|context, args, reply| {
        answer(context, args, reply, |entry, reply| {
            if entry.is_lfu() {
                return Err(CommandError::text(
                    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at \
                     runtime LRU and LFU data will take some time to adjust.",
                ));
            }
            reply.integer(entry.idle_seconds().into());
            Ok(())
        })
    }),
    ..ENCODING
};

static REFCOUNT: CommandSpec = CommandSpec {
    name: "refcount",
    summary: "Returns how many references there are to a value: always 1.",
    run: Run::Read(|context, args, reply| {
        answer(context, args, reply, |_, reply| {
            reply.integer(1);
            Ok(())
        })
    }),
    ..ENCODING
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "6.2.0",
    group: Group::Generic,
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Read(|_, _, reply| {
        reply.array(HELP_LINES.len());
        HELP_LINES.iter().for_each(|line| reply.simple(line));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

/// As Redis 8 and Valkey 9 answer it.
const HELP_LINES: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Print this help.",
];

fn answer(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    write: impl FnOnce(EntryRef<'_>, &mut Reply<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    // No event of a miss, as in Redis.
    let entry = context.db.peek(context.key(args, 2));
    context.lookups.count(entry.is_some());
    match entry {
        Some(entry) => write(entry, reply),
        None => {
            reply.null();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn names_the_encoding() {
        let text = |len: usize| "x".repeat(len);
        check(
            &format!(
                "OBJECT ENCODING k | SET k 12 | OBJECT ENCODING k | SET k {} | OBJECT ENCODING k | SET k {} | OBJECT ENCODING k",
                text(44),
                text(45)
            ),
            "(nil) | OK | int | OK | embstr | OK | raw",
        );
        check(
            "SET k 9223372036854775807 | OBJECT ENCODING k | SET k 9223372036854775808 | OBJECT ENCODING k | SET k 007 | OBJECT ENCODING k",
            "OK | int | OK | embstr | OK | embstr",
        );
    }

    #[test]
    fn tells_the_idle_time() {
        check(
            "OBJECT IDLETIME k | SET k v | @wait 9999 | OBJECT IDLETIME k | GET k | OBJECT IDLETIME k | OBJECT REFCOUNT k | OBJECT REFCOUNT x",
            "(nil) | OK | ok | 9 | v | 0 | 1 | (nil)",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "OBJECT FREQ k | SET k v | OBJECT FREQ k | OBJECT ENCODING | OBJECT | OBJECT foo k | OBJECT HELP x",
            "(nil) | OK | ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust. | \
             ERR wrong number of arguments for 'object|encoding' command | ERR wrong number of arguments for 'object' command | \
             ERR unknown subcommand 'foo'. Try OBJECT HELP. | ERR wrong number of arguments for 'object|help' command",
        );
    }
}
