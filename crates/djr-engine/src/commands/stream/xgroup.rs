//! XGROUP CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, SETID, HELP

use djr_storage::types::Stream;
use djr_storage::types::stream::{Group as ConsumerGroup, StreamId};

use super::super::prelude::*;
use super::group::{no_group, update_group};
use super::ids::{parse_id, parse_strict};
use crate::notify::Notify;

const NO_KEY: CommandError = CommandError::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty \
     stream automatically.",
);

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xgroup",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Manages the consumer groups of a stream.",
    complexity: "Depends on the subcommand",
    subcommands: &[
        &CREATE,
        &CREATECONSUMER,
        &DELCONSUMER,
        &DESTROY,
        &HELP,
        &SETID,
    ],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

const ID_SELECTOR: Arg = Arg::one_of(
    "id-selector",
    &[Arg::string("id"), Arg::token("new-id", "$")],
);
const ENTRIES_READ: Arg = Arg::integer("entriesread").after("ENTRIESREAD").optional();

static CREATE: CommandSpec = CommandSpec {
    name: "create",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Adds a consumer group to a stream.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("group"),
        ID_SELECTOR,
        Arg::token("mkstream", "MKSTREAM").optional(),
        ENTRIES_READ,
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(create),
    ..CommandSpec::DEFAULT
};

static CREATECONSUMER: CommandSpec = CommandSpec {
    name: "createconsumer",
    since: "6.2.0",
    group: Group::Stream,
    summary: "Adds a consumer to a group.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("group"),
        Arg::string("consumer"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(create_consumer),
    ..CommandSpec::DEFAULT
};

static DELCONSUMER: CommandSpec = CommandSpec {
    name: "delconsumer",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Removes a consumer from a group, with all that is pending for it.",
    complexity: "O(P), P being the number of entries that are pending for it",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("group"),
        Arg::string("consumer"),
    ],
    flags: Flags::WRITE,
    run: Run::Write(delete_consumer),
    ..CommandSpec::DEFAULT
};

static DESTROY: CommandSpec = CommandSpec {
    name: "destroy",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Removes a consumer group.",
    complexity: "O(P), P being the number of pending entries",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("group"),
    ],
    flags: Flags::WRITE,
    run: Run::Write(destroy),
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Read(help),
    ..CommandSpec::DEFAULT
};

static SETID: CommandSpec = CommandSpec {
    name: "setid",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Sets the id of the last entry that counts as delivered to a group.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::string("group"),
        ID_SELECTOR,
        ENTRIES_READ,
    ],
    flags: Flags::WRITE,
    run: Run::Write(set_id),
    ..CommandSpec::DEFAULT
};

#[derive(Default)]
struct Options {
    make: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(args: &Args<'_>, may_make: bool) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 5;
        while index < args.len() {
            if may_make && args.is(index, "MKSTREAM") {
                options.make = true;
                index += 1;
            } else if args.is(index, "ENTRIESREAD") && index + 1 < args.len() {
                let read = args.integer(index + 1)?;
                if read < -1 {
                    return Err(CommandError::text(
                        "ERR value for ENTRIESREAD must be positive or -1",
                    ));
                }
                options.entries_read = Some(read).filter(|read| *read >= 0);
                index += 2;
            } else {
                return Err(unknown_form(args));
            }
        }
        Ok(options)
    }
}

/// What Redis says of a subcommand with arguments that it does not know.
pub(super) fn unknown_form(args: &Args<'_>) -> CommandError {
    CommandError::format(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
        crate::error::quoted(args.get(1), 128),
        String::from_utf8_lossy(args.get(0)).to_ascii_uppercase(),
    ))
}

fn create(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args, true)?;
    let (key, name) = (context.key(args, 2), args.get(3));
    let stream = context.object::<Stream>(key)?;
    if stream.is_none() && !options.make {
        return Err(NO_KEY);
    }
    if args.len() > 8 {
        return Err(unknown_form(args));
    }
    let last_id = match args.get(4) {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.entries().last_id()),
        text => parse_strict(text, 0)?,
    };
    if stream.is_some_and(|stream| stream.group(name).is_some()) {
        return Err(CommandError::text(
            "BUSYGROUP Consumer Group name already exists",
        ));
    }
    context.change_quietly();
    context.update_or_insert(key, |stream: &mut Stream| {
        stream.add_group(name, ConsumerGroup::new(last_id, options.entries_read))
    })?;
    context.notify(Notify::STREAM, "xgroup-create", key.bytes);
    reply.ok();
    Ok(Effect::Verbatim)
}

/// The group that a subcommand is about, which must be there.
fn group_of<'a>(
    context: &'a WriteContext<'_, '_>,
    args: &Args<'_>,
) -> Result<(&'a Stream, &'a ConsumerGroup), CommandError> {
    let key = context.key(args, 2);
    let stream = context.object::<Stream>(key)?.ok_or(NO_KEY)?;
    let group = stream.group(args.get(3));
    let group = group.ok_or_else(|| no_group(key.bytes, args.get(3)))?;
    Ok((stream, group))
}

fn create_consumer(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 2), context.now);
    let (_, group) = group_of(context, args)?;
    if group.find_consumer(args.get(4)).is_some() {
        reply.integer(0);
        return Ok(Effect::None);
    }
    update_group(context, key, args.get(3), |_, group| {
        group.add_consumer(args.get(4), now)
    })?;
    context.notify(Notify::STREAM, "xgroup-createconsumer", key.bytes);
    reply.integer(1);
    Ok(Effect::Verbatim)
}

fn delete_consumer(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 2);
    let (_, group) = group_of(context, args)?;
    if group.find_consumer(args.get(4)).is_none() {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let pending = update_group(context, key, args.get(3), |_, group| {
        group.remove_consumer(args.get(4))
    })?;
    context.notify(Notify::STREAM, "xgroup-delconsumer", key.bytes);
    reply.integer(pending.flatten().unwrap_or(0) as i64);
    Ok(Effect::Verbatim)
}

fn destroy(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, name) = (context.key(args, 2), args.get(3));
    let stream = context.object::<Stream>(key)?.ok_or(NO_KEY)?;
    if stream.group(name).is_none() {
        reply.integer(0);
        return Ok(Effect::None);
    }
    context.change_for_waiters();
    context.update(key, |stream: &mut Stream| stream.remove_group(name))?;
    context.notify(Notify::STREAM, "xgroup-destroy", key.bytes);
    reply.integer(1);
    Ok(Effect::Verbatim)
}

fn set_id(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args, false)?;
    let key = context.key(args, 2);
    let (stream, _) = group_of(context, args)?;
    if args.len() > 7 {
        return Err(unknown_form(args));
    }
    let last_id = match args.get(4) {
        b"$" => stream.entries().last_id(),
        text => parse_id(text, 0)?,
    };
    update_group(context, key, args.get(3), |_, group| {
        group.last_id = last_id;
        group.entries_read = options.entries_read;
    })?;
    context.notify(Notify::STREAM, "xgroup-setid", key.bytes);
    reply.ok();
    Ok(Effect::Verbatim)
}

fn help(_: &mut ReadContext<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.array(HELP_LINES.len());
    HELP_LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

/// As Redis 8 and Valkey 9 answer it.
const HELP_LINES: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Print this help.",
];

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn groups_come_and_go() {
        check(
            "XGROUP CREATE s g $ | XGROUP CREATE s g $ MKSTREAM | XGROUP CREATE s g 0 MKSTREAM | XGROUP CREATE s h 5-5 ENTRIESREAD 3 | XINFO GROUPS s | \
             XGROUP SETID s g 7 ENTRIESREAD 2 | XGROUP SETID s g + | XINFO GROUPS s | XGROUP DESTROY s g | XGROUP DESTROY s g | XGROUP DESTROY n g | XLEN s",
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically. | \
             OK | BUSYGROUP Consumer Group name already exists | OK | \
             [[name g consumers 0 pending 0 last-delivered-id 0-0 entries-read (nil) lag 0] [name h consumers 0 pending 0 last-delivered-id 5-5 entries-read 3 lag 0]] | \
             OK | OK | [[name g consumers 0 pending 0 last-delivered-id 18446744073709551615-18446744073709551615 entries-read (nil) lag 0] \
             [name h consumers 0 pending 0 last-delivered-id 5-5 entries-read 3 lag 0]] | 1 | 0 | \
             ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically. | 0",
        );
    }

    #[test]
    fn consumers_come_and_go() {
        check(
            "XGROUP CREATE s g 0 MKSTREAM | XGROUP CREATECONSUMER s g c | XGROUP CREATECONSUMER s g c | XADD s 1-1 a b | XREADGROUP GROUP g c STREAMS s > | \
             XGROUP DELCONSUMER s g c | XGROUP DELCONSUMER s g c | XPENDING s g | XGROUP CREATECONSUMER s h c | XGROUP DELCONSUMER n g c",
            "OK | 1 | 0 | 1-1 | [[s [[1-1 [a b]]]]] | 1 | 0 | [0 (nil) (nil) (nil)] | NOGROUP No such consumer group 'h' for key name 's' | \
             ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
        );
    }

    #[test]
    fn errors() {
        check(
            "XGROUP CREATE s g x MKSTREAM | EXISTS s | XGROUP CREATE s g 0 FOO | XGROUP CREATE s g 0 ENTRIESREAD | XGROUP CREATE s g 0 ENTRIESREAD -2 | \
             XGROUP CREATE s g 0 MKSTREAM MKSTREAM ENTRIESREAD 1 | SET t x | XGROUP CREATE t g 0 | XGROUP SETID s g 0 MKSTREAM",
            "ERR Invalid stream ID specified as stream command argument | 0 | \
             ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP. | \
             ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP. | ERR value for ENTRIESREAD must be positive or -1 | \
             ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP. | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | \
             ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
        );
    }

    #[test]
    fn logs_what_changed_something() {
        check_effects(
            "XGROUP CREATE s g $ MKSTREAM | XGROUP CREATECONSUMER s g c | XGROUP CREATECONSUMER s g c | XGROUP DELCONSUMER s g d | XGROUP SETID s g 5 | XGROUP DESTROY s h",
            "XGROUP CREATE s g $ MKSTREAM | XGROUP CREATECONSUMER s g c | XGROUP SETID s g 5",
        );
    }
}
