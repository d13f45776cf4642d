//! XSETID key last-id \[ENTRIESADDED entries-added\] \[MAXDELETEDID max-deleted-id\]

use djr_storage::types::Stream;
use djr_storage::types::stream::StreamId;

use super::super::prelude::*;
use super::ids::parse_strict;
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xsetid",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Sets what a stream remembers of its entries: its last id, how many were added, the greatest id that was deleted.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::string("last-id"),
        Arg::integer("entries-added")
            .after("ENTRIESADDED")
            .optional(),
        Arg::string("max-deleted-id")
            .after("MAXDELETEDID")
            .optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(xsetid),
    ..CommandSpec::DEFAULT
};

fn xsetid(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let last_id = parse_strict(args.get(2), 0)?;
    let (mut added, mut max_deleted_id) = (None, StreamId::MIN);
    let mut index = 3;
    while index < args.len() {
        if index + 1 == args.len() {
            return Err(CommandError::Syntax);
        }
        if args.is(index, "ENTRIESADDED") {
            let number = u64::try_from(args.integer(index + 1)?);
            added =
                Some(number.map_err(|_| CommandError::text("ERR entries_added must be positive"))?);
        } else if args.is(index, "MAXDELETEDID") {
            max_deleted_id = parse_strict(args.get(index + 1), 0)?;
            if last_id < max_deleted_id {
                return Err(CommandError::text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    let key = context.key(args, 1);
    let stream = context
        .object::<Stream>(key)?
        .ok_or(CommandError::NoSuchKey)?;
    check(stream, last_id, added)?;
    context.change_quietly();
    context.update(key, |stream: &mut Stream| {
        let max_deleted_id = Some(max_deleted_id).filter(|id| !id.is_zero());
        stream.set_id(last_id, added, max_deleted_id);
    })?;
    context.notify(Notify::STREAM, "xsetid", key.bytes);
    reply.ok();
    Ok(Effect::Verbatim)
}

fn check(stream: &Stream, last_id: StreamId, added: Option<u64>) -> Result<(), CommandError> {
    let entries = stream.entries();
    if last_id < entries.max_deleted_id() {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if entries.last_live_id().is_some_and(|id| last_id < id) {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| added < entries.len()) {
        return Err(CommandError::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn sets_what_is_possible() {
        check(
            "XSETID s 1-1 | XADD s 1-1 a b | XADD s 1-2 a b | XDEL s 1-1 | XSETID s 1-1 | XSETID s 1-2 ENTRIESADDED 0 | XSETID s 1-2 MAXDELETEDID 1-3 | \
             XSETID s 1-0 | XSETID s 5-5 ENTRIESADDED 7 MAXDELETEDID 2-2 | XSETID s 2-1 | XSETID s 5-5 FOO 1 | XSETID s 5-5 ENTRIESADDED | XSETID s x | \
             XSETID s 5-5 ENTRIESADDED -1 | XADD s 5-* a b",
            "ERR no such key | 1-1 | 1-2 | 1 | ERR The ID specified in XSETID is smaller than the target stream top item | \
             ERR The entries_added specified in XSETID is smaller than the target stream length | \
             ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id | \
             ERR The ID specified in XSETID is smaller than current max_deleted_entry_id | OK | \
             ERR The ID specified in XSETID is smaller than current max_deleted_entry_id | ERR syntax error | ERR syntax error | \
             ERR Invalid stream ID specified as stream command argument | ERR entries_added must be positive | 5-6",
        );
    }
}
