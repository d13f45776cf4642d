//! XTRIM key MAXLEN | MINID \[= | ~\] threshold \[LIMIT count\] \[KEEPREF | DELREF | ACKED\]

use djr_storage::types::Stream;
use djr_storage::types::stream::Trimmed;

use super::super::prelude::*;
use super::trim_options::{self, ExactTrim, REFERENCES, TrimOptions, may_trim};
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xtrim",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Deletes the first entries of a stream, down to a length or up to an id.",
    complexity: "O(N), N being the number of deleted entries; whole blocks go at once",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        trim_options::SYNTAX,
        REFERENCES,
    ],
    flags: Flags::WRITE,
    tips: &["nondeterministic_output"],
    run: Run::Write(xtrim),
    ..CommandSpec::DEFAULT
};

fn xtrim(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let mut options = TrimOptions::default();
    let mut index = 2;
    while index < args.len() {
        index += options.take(args, index)?.ok_or(CommandError::Syntax)?;
    }
    let limits = context.engine.settings.stream_limits();
    let trim = options.finish(&limits)?.ok_or(CommandError::text(
        "ERR syntax error, XTRIM must be called with a trimming strategy",
    ))?;
    let key = context.key(args, 1);
    let stream = context.object::<Stream>(key)?;
    if !stream.is_some_and(|stream| may_trim(stream, &trim)) {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let (trimmed, len) = context
        .update(key, |stream: &mut Stream| {
            (stream.trim(&trim), stream.entries().len())
        })?
        .unwrap_or((Trimmed::default(), 0));
    reply.integer(trimmed.deleted as i64);
    if trimmed.deleted == 0 {
        return Ok(Effect::None);
    }
    context.notify(Notify::STREAM, "xtrim", key.bytes);
    if !trim.approximate {
        return Ok(Effect::Verbatim);
    }
    let exact = ExactTrim::of(&trim, trimmed, len);
    let mut command: Vec<&[u8]> = vec![b"XTRIM", key.bytes];
    exact.push(&mut command);
    Ok(Effect::Rewritten(context.rewrite(&command)))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

    #[test]
    fn trims_exactly() {
        check(
            "XADD s 1-1 a b | XADD s 1-2 a b | XADD s 1-3 a b | XTRIM s MAXLEN 2 | XTRIM s MAXLEN = 2 | XTRIM s MINID 1-3 | XRANGE s - + | XTRIM s MAXLEN 0 | \
             XINFO STREAM s | XTRIM n MAXLEN 0",
            "1-1 | 1-2 | 1-3 | 1 | 0 | 1 | [[1-3 [a b]]] | 1 | [length 0 radix-tree-keys 0 radix-tree-nodes 1 last-generated-id 1-3 \
             max-deleted-entry-id 0-0 entries-added 3 recorded-first-entry-id 0-0 groups 0 first-entry (nil) last-entry (nil)] | 0",
        );
    }

    #[test]
    fn errors() {
        check(
            "XTRIM s FOO 1 | XTRIM s LIMIT 1 | XTRIM s MAXLEN 1 x | XTRIM s LIMIT 0 LIMIT 0 | XTRIM s MAXLEN ~ | XTRIM s MAXLEN 1 ACKED KEEPREF | XTRIM s ACKED",
            "ERR syntax error | ERR syntax error, LIMIT cannot be used without specifying a trimming strategy | ERR syntax error | \
             ERR syntax error, XTRIM must be called with a trimming strategy | ERR value is not an integer or out of range | ERR syntax error | \
             ERR wrong number of arguments for 'xtrim' command",
        );
    }

    /// Blocks of a hundred entries go, as in Redis; the log says what went.
    #[test]
    fn trims_whole_blocks() {
        let mut bench = Bench::new();
        for number in 1..=250 {
            bench.line(&format!("XADD s {number} a b"));
        }
        let before = bench.log().len();
        for (line, reply) in [
            ("XTRIM s MAXLEN ~ 151", "0"),
            ("XTRIM s MAXLEN ~ 150 LIMIT 99", "0"),
            ("XTRIM s MAXLEN ~ 10 LIMIT 100", "100"),
            ("XTRIM s MINID ~ 200", "0"),
            ("XTRIM s MINID ~ 230", "100"),
            ("XTRIM s MINID ~ 999 ACKED", "50"),
        ] {
            assert_eq!(bench.line(line), reply, "{line}");
        }
        let log = bench.log_text();
        let lines: Vec<_> = log.split(" | ").skip(before).collect();
        assert_eq!(
            lines,
            [
                "XTRIM s MAXLEN = 150",
                "XTRIM s MINID = 201-0",
                "XTRIM s MINID = 999-0 ACKED"
            ]
        );
        bench.check_log();
    }

    #[test]
    fn logs_nothing_for_nothing() {
        check_effects(
            "XADD s 1-1 a b | XTRIM s MAXLEN 1 | XTRIM s MAXLEN ~ 0 LIMIT 0 | XTRIM s MAXLEN ~ 0",
            "XADD s 1-1 a b | XTRIM s MAXLEN = 0",
        );
    }
}
