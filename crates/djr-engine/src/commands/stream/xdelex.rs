//! XDELEX key \[KEEPREF | DELREF | ACKED\] IDS numids id …, XACKDEL key group \[KEEPREF | DELREF | ACKED\] IDS numids id …

use djr_storage::types::Stream;
use djr_storage::types::stream::{References, StreamId};

use super::super::prelude::*;
use super::ids::parse_strict;
use super::trim_options::{REFERENCES, references};
use crate::notify::Notify;

pub(super) static XDELEX: CommandSpec = CommandSpec {
    name: "xdelex",
    since: "8.2.0",
    group: Group::Stream,
    summary: "Deletes entries of a stream, with what groups know of them or only if no group needs them.",
    complexity: "O(log B + G log P) per id, B being the number of blocks, G that of groups and P that of pending entries",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        REFERENCES,
        IDS,
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(xdelex),
    ..CommandSpec::DEFAULT
};

pub(super) static XACKDEL: CommandSpec = CommandSpec {
    name: "xackdel",
    summary: "Acknowledges entries in a group and deletes them, with what other groups know of them or only if none needs them.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE).with(Access::DELETE)),
        Arg::string("group"),
        REFERENCES,
        IDS,
    ],
    run: Run::Write(xackdel),
    ..XDELEX
};

const IDS: Arg = Arg::block(
    "ids",
    &[Arg::integer("numids"), Arg::string("id").multiple()],
)
.after("IDS");

/// What became of an id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There is no such entry, or it is not pending.
    Missing = -1,
    /// It was deleted.
    Deleted = 1,
    /// A group needs it.
    Needed = 2,
}

struct Options {
    references: References,
    ids: Vec<StreamId>,
}

impl Options {
    /// The options from argument `index` on; the ids may stand before or behind the other one.
    fn parse(args: &Args<'_>, mut index: usize) -> Result<Self, CommandError> {
        let (mut policy, mut ids) = (None, None);
        while index < args.len() {
            if let Some(references) = references(args.get(index)) {
                if policy.replace(references).is_some() {
                    return Err(CommandError::Syntax);
                }
                index += 1;
            } else if args.is(index, "IDS") && index + 1 < args.len() && ids.is_none() {
                let count = args.integer(index + 1).ok();
                let count = count
                    .and_then(|count| usize::try_from(count).ok())
                    .filter(|count| *count > 0)
                    .ok_or(CommandError::text(
                        "ERR Number of IDs must be a positive integer",
                    ))?;
                let first = index + 2;
                if count > args.len() - first {
                    return Err(CommandError::text(
                        "ERR The `numids` parameter must match the number of arguments",
                    ));
                }
                let texts = args.from(first).take(count);
                let parsed: Result<Vec<StreamId>, _> =
                    texts.map(|text| parse_strict(text, 0)).collect();
                ids = Some(parsed?);
                index = first + count;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(Self {
            references: policy.unwrap_or_default(),
            ids: ids.ok_or(CommandError::Syntax)?,
        })
    }
}

fn xdelex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args, 2)?;
    delete(context, args, None, &options, reply)
}

fn xackdel(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args, 3)?;
    delete(context, args, Some(args.get(2)), &options, reply)
}

fn delete(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    group: Option<&[u8]>,
    options: &Options,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let stream = context.object::<Stream>(key)?;
    let known = match group {
        Some(group) => stream.is_some_and(|stream| stream.group(group).is_some()),
        None => stream.is_some(),
    };
    let results: Option<Vec<(Outcome, bool)>> = match known {
        true => context.update(key, |stream: &mut Stream| {
            let ids = options.ids.iter();
            ids.map(|id| delete_one(stream, group, *id, options.references))
                .collect()
        })?,
        false => None,
    };
    reply.array(options.ids.len());
    let Some(results) = results else {
        options
            .ids
            .iter()
            .for_each(|_| reply.integer(Outcome::Missing as i64));
        return Ok(Effect::None);
    };
    let (mut deleted, mut changed) = (false, false);
    for (outcome, forgotten) in results {
        reply.integer(outcome as i64);
        deleted |= outcome == Outcome::Deleted;
        changed |= forgotten || outcome == Outcome::Deleted;
    }
    if deleted {
        context.notify(Notify::STREAM, "xdel", key.bytes);
    }
    Ok(if changed {
        Effect::Verbatim
    } else {
        Effect::None
    })
}

/// Also returns whether a group has forgotten the entry.
fn delete_one(
    stream: &mut Stream,
    group: Option<&[u8]>,
    id: StreamId,
    references: References,
) -> (Outcome, bool) {
    let mut forgotten = false;
    if let Some(group) = group {
        forgotten = stream
            .update_group(group, |_, group| group.acknowledge(id))
            .unwrap_or(false);
        if !forgotten {
            return (Outcome::Missing, false);
        }
    }
    match references {
        References::Delete => forgotten |= stream.drop_references(id),
        References::Acknowledged if stream.is_referenced(id) => {
            let there = group.is_some() || stream.entries().get(id).is_some();
            let outcome = if there {
                Outcome::Needed
            } else {
                Outcome::Missing
            };
            return (outcome, forgotten);
        }
        _ => {}
    }
    let there = stream.delete(id);
    // What was acknowledged counts as deleted even if the entry had gone before.
    let outcome = if there || group.is_some() {
        Outcome::Deleted
    } else {
        Outcome::Missing
    };
    (outcome, forgotten)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const PENDING: &str = "XADD s 1-1 a b | XADD s 1-2 a b | XADD s 1-3 a b | XGROUP CREATE s g 0 | XGROUP CREATE s h 0 | \
        XREADGROUP GROUP g c COUNT 2 STREAMS s > | XREADGROUP GROUP h c COUNT 1 STREAMS s >";
    const REPLIES: &str =
        "1-1 | 1-2 | 1-3 | OK | OK | [[s [[1-1 [a b]] [1-2 [a b]]]]] | [[s [[1-1 [a b]]]]]";

    #[test]
    fn deletes_and_keeps_references() {
        check(
            &format!(
                "{PENDING} | XDELEX s IDS 2 1-1 5-5 | XDELEX s KEEPREF IDS 1 1-1 | XPENDING s g | XLEN s | XDELEX n IDS 2 1 2"
            ),
            &format!("{REPLIES} | [1 -1] | [-1] | [2 1-1 1-2 [[c 2]]] | 2 | [-1 -1]"),
        );
    }

    #[test]
    fn deletes_references_too() {
        check(
            &format!(
                "{PENDING} | XDELEX s IDS 2 1-1 1-2 DELREF | XPENDING s g | XPENDING s h | XLEN s"
            ),
            &format!("{REPLIES} | [1 1] | [0 (nil) (nil) (nil)] | [0 (nil) (nil) (nil)] | 1"),
        );
        check(
            &format!("{PENDING} | XDEL s 1-1 | XDELEX s DELREF IDS 1 1-1 | XPENDING s h"),
            &format!("{REPLIES} | 1 | [-1] | [0 (nil) (nil) (nil)]"),
        );
    }

    #[test]
    fn leaves_what_is_needed() {
        check(
            &format!(
                "{PENDING} | XDELEX s ACKED IDS 3 1-1 1-2 9-9 | XACK s g 1-1 | XDELEX s ACKED IDS 1 1-1 | XACKDEL s h ACKED IDS 1 1-1 | \
                      XACKDEL s g ACKED IDS 1 1-2 | XLEN s"
            ),
            &format!("{REPLIES} | [2 2 -1] | 1 | [2] | [1] | [2] | 2"),
        );
    }

    #[test]
    fn acknowledges_and_deletes() {
        check(
            &format!(
                "{PENDING} | XACKDEL s g IDS 3 1-1 1-1 1-3 | XPENDING s g | XPENDING s h | XACKDEL s g DELREF IDS 1 1-2 | XLEN s | XACKDEL s x IDS 1 1-1 | XACKDEL n g IDS 1 1"
            ),
            &format!(
                "{REPLIES} | [1 -1 -1] | [1 1-2 1-2 [[c 1]]] | [1 1-1 1-1 [[c 1]]] | [1] | 1 | [-1] | [-1]"
            ),
        );
    }

    #[test]
    fn errors() {
        check(
            "XDELEX s IDS 0 1 | XDELEX s IDS x 1 | XDELEX s IDS 2 1 | XDELEX s IDS 1 1 2 | XDELEX s FOO IDS 1 | XDELEX s ACKED DELREF IDS 1 1 | XDELEX s IDS 1 x | XACKDEL s g IDS 1 x",
            "ERR Number of IDs must be a positive integer | ERR Number of IDs must be a positive integer | \
             ERR The `numids` parameter must match the number of arguments | ERR syntax error | ERR syntax error | ERR syntax error | \
             ERR Invalid stream ID specified as stream command argument | ERR Invalid stream ID specified as stream command argument",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            &format!(
                "{PENDING} | XDELEX s IDS 1 9-9 | XDELEX s ACKED IDS 1 1-1 | XACKDEL s h ACKED IDS 1 1-1 | XDELEX s DELREF IDS 1 1-2"
            ),
            "XADD s 1-1 a b | XADD s 1-2 a b | XADD s 1-3 a b | XGROUP CREATE s g 0 | XGROUP CREATE s h 0 | \
             MULTI | XCLAIM s g c 0 1-1 1-2 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-2 ENTRIESREAD 2 | EXEC | \
             MULTI | XCLAIM s h c 0 1-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s h 1-1 ENTRIESREAD 1 | EXEC | \
             XACKDEL s h ACKED IDS 1 1-1 | XDELEX s DELREF IDS 1 1-2",
        );
    }
}
