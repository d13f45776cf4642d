//! XADD key \[NOMKSTREAM\] \[KEEPREF | DELREF | ACKED\] \[MAXLEN | MINID \[= | ~\] threshold \[LIMIT count\]\] <* | id> field value …

use djr_storage::types::Stream;
use djr_storage::types::stream::{Entries, ID_TEXT_SIZE_MAX, StreamId, Trim};

use super::super::prelude::*;
use super::ids::NewId;
use super::trim_options::{self, ExactTrim, REFERENCES, TrimOptions};
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xadd",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Adds an entry to a stream, which is made if it is not there, and may trim it.",
    complexity: "O(1), and O(N) for N entries that are trimmed",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::token("nomkstream", "NOMKSTREAM").optional(),
        REFERENCES,
        trim_options::SYNTAX.optional(),
        Arg::one_of(
            "id-selector",
            &[Arg::token("auto-id", "*"), Arg::string("id")],
        ),
        Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: Run::Write(xadd),
    ..CommandSpec::DEFAULT
};

struct Options {
    make: bool,
    trim: TrimOptions,
    id: NewId,
    /// Where the first field is.
    fields: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let (mut make, mut trim, mut index) = (true, TrimOptions::default(), 2);
        while index < args.len() {
            if args.get(index) == b"*" {
                break;
            } else if let Some(len) = trim.take(args, index)? {
                index += len;
            } else if args.is(index, "NOMKSTREAM") {
                make = false;
                index += 1;
            } else {
                break;
            }
        }
        Ok(Self {
            make,
            trim,
            // Without an id there are too few arguments, which is said later.
            id: match index < args.len() {
                true => NewId::parse(args.get(index))?,
                false => NewId::Auto,
            },
            fields: index + 1,
        })
    }
}

fn xadd(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args)?;
    let limits = context.engine.settings.stream_limits();
    let trim = options.trim.finish(&limits)?;
    let fields = options.fields;
    let words = args.len().saturating_sub(fields);
    if words < 2 || words % 2 == 1 {
        return Err(CommandError::Arity("xadd".into()));
    }
    if options.id == NewId::Given(StreamId::MIN) {
        return Err(CommandError::text(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let key = context.key(args, 1);
    let stream = context.object::<Stream>(key)?;
    if stream.is_none() && !options.make {
        reply.null();
        return Ok(Effect::None);
    }
    let last = stream.map_or(StreamId::MIN, |stream| stream.entries().last_id());
    let id = new_id(options.id, last, context.now)?;
    let size: usize = args.from(fields).map(<[u8]>::len).sum();
    if size > Entries::ENTRY_SIZE_MAX {
        return Err(CommandError::text(
            "ERR Elements are too large to be stored",
        ));
    }
    let (trimmed, exact) = context.update_or_insert(key, |stream: &mut Stream| {
        stream.append(id, words / 2, |index| args.get(fields + index), &limits);
        match &trim {
            Some(trim) => trim_after(stream, trim),
            None => (false, None),
        }
    })?;
    let mut text = [0; ID_TEXT_SIZE_MAX];
    let text = id.format(&mut text);
    reply.bulk(text);
    context.notify(Notify::STREAM, "xadd", key.bytes);
    if trimmed {
        context.notify(Notify::STREAM, "xtrim", key.bytes);
    }
    if exact.is_none() && matches!(options.id, NewId::Given(_)) {
        return Ok(Effect::Verbatim);
    }
    let mut command: Vec<&[u8]> = Vec::with_capacity(words + 8);
    command.extend::<[&[u8]; 2]>([b"XADD", key.bytes]);
    if let Some(exact) = &exact {
        exact.push(&mut command);
    }
    command.push(text);
    command.extend(args.from(fields));
    Ok(Effect::Rewritten(context.rewrite(&command)))
}

/// The id of the new entry, if it is greater than the last one.
fn new_id(id: NewId, last: StreamId, now: UnixMillis) -> Result<StreamId, CommandError> {
    if last == StreamId::MAX {
        return Err(CommandError::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match id {
        NewId::Given(id) => Some(id),
        NewId::AutoSeq(ms) if ms == last.ms => {
            last.seq.checked_add(1).map(|seq| StreamId::new(ms, seq))
        }
        NewId::AutoSeq(ms) => Some(StreamId::new(ms, 0)),
        NewId::Auto => Stream::id_after(last, now.max(0) as u64),
    };
    id.filter(|id| *id > last).ok_or(CommandError::text(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))
}

/// Returns whether entries went, and what is to be logged of it.
fn trim_after(stream: &mut Stream, trim: &Trim) -> (bool, Option<ExactTrim>) {
    let trimmed = stream.trim(trim);
    let exact = ExactTrim::of(trim, trimmed, stream.entries().len());
    let gone = trimmed.deleted > 0;
    // Of an approximate trimming that left everything there is nothing to repeat.
    let logged = gone || !trim.approximate;
    (gone, logged.then_some(exact))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn ids() {
        check(
            "XADD s * a b | XADD s * a b | XADD s 1700000000000-* a b | XADD s 1700000000005-* a b | XADD s * a b | XADD s 1700000000005-2 a b | \
             XADD s 1-* a b | XADD n 0-0 a b | XADD n 0-* a b | XADD n 0 a b | XADD n - a b | XADD n x a b | \
             XADD m 18446744073709551615-18446744073709551615 a b | XADD m * a b",
            "1700000000000-0 | 1700000000000-1 | 1700000000000-2 | 1700000000005-0 | 1700000000005-1 | 1700000000005-2 | \
             ERR The ID specified in XADD is equal or smaller than the target stream top item | \
             ERR The ID specified in XADD must be greater than 0-0 | 0-1 | ERR The ID specified in XADD must be greater than 0-0 | \
             ERR Invalid stream ID specified as stream command argument | ERR Invalid stream ID specified as stream command argument | \
             18446744073709551615-18446744073709551615 | ERR The stream has exhausted the last possible ID, unable to add more items",
        );
        check(
            "XADD s 5-18446744073709551615 a b | XADD s 5-* a b | XADD s * a b",
            "5-18446744073709551615 | ERR The ID specified in XADD is equal or smaller than the target stream top item | 1700000000000-0",
        );
    }

    #[test]
    fn trims() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 a b | XADD s MAXLEN 2 1-3 a b | XLEN s | XADD s MINID = 1-3 1-4 a b | XLEN s | XADD s MAXLEN ~ 1 1-5 a b | XLEN s | \
             XADD s MAXLEN 0 1-6 a b | XLEN s",
            "1-1 | 1-2 | 1-3 | 2 | 1-4 | 2 | 1-5 | 3 | 1-6 | 0",
        );
    }

    #[test]
    fn errors() {
        check(
            "XADD s NOMKSTREAM 1-1 a b | XADD s 1-1 a b c | XADD s 1-1 MAXLEN 5 a | XADD s MAXLEN 5 1-1 a | XADD s MAXLEN -1 1-1 a b | \
             XADD s MAXLEN 1 MINID 1 1-1 a b | XADD s LIMIT 1 1-1 a b | XADD s LIMIT 0 1-1 a b | XADD s MAXLEN 1 LIMIT 1 1-2 a b | \
             XADD s MAXLEN ~ 1 LIMIT -1 1-2 a b | XADD s MAXLEN x 1-2 a b | XADD s MINID x 1-2 a b",
            "(nil) | ERR wrong number of arguments for 'xadd' command | ERR wrong number of arguments for 'xadd' command | \
             ERR wrong number of arguments for 'xadd' command | ERR The MAXLEN argument must be >= 0. | \
             ERR syntax error, MAXLEN and MINID options at the same time are not compatible | \
             ERR syntax error, LIMIT cannot be used without specifying a trimming strategy | 1-1 | \
             ERR syntax error, LIMIT cannot be used without the special ~ option | ERR The LIMIT argument must be >= 0. | \
             ERR value is not an integer or out of range | ERR Invalid stream ID specified as stream command argument",
        );
    }

    #[test]
    fn references_that_go_or_keep_an_entry() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 a b | XGROUP CREATE s g 0 | XREADGROUP GROUP g c COUNT 1 STREAMS s > | XADD s ACKED MAXLEN 0 1-3 a b | XLEN s | \
             XADD s DELREF MAXLEN 1 1-4 a b | XPENDING s g | XADD s KEEPREF 1-5 a b | XADD s KEEPREF ACKED 1-6 a b",
            "1-1 | 1-2 | OK | [[s [[1-1 [a b]]]]] | 1-3 | 3 | 1-4 | [0 (nil) (nil) (nil)] | 1-5 | ERR syntax error",
        );
    }

    #[test]
    fn logs_ids_and_exact_trimming() {
        check_effects(
            "XADD s * a b | XADD s NOMKSTREAM 1700000000001-* c d | XADD s 1700000000002-5 e f | XADD s MAXLEN ~ 1 * g h | XADD s MINID 1700000000001 * i j | \
             XADD s DELREF MAXLEN 1 1800000000000-1 a b",
            "XADD s 1700000000000-0 a b | XADD s 1700000000001-0 c d | XADD s 1700000000002-5 e f | XADD s 1700000000002-6 g h | \
             XADD s MINID = 1700000000001-0 1700000000002-7 i j | XADD s MAXLEN = 1 DELREF 1800000000000-1 a b",
        );
    }
}
