//! `MAXLEN | MINID [= | ~] threshold [LIMIT count]` and `KEEPREF | DELREF | ACKED`: what XADD and XTRIM trim.

use djr_storage::types::StreamLimits;
use djr_storage::types::stream::{References, Stream, StreamId, Trim, TrimTo, Trimmed};

use super::ids::parse_strict;
use crate::spec::Arg;
use crate::{Args, CommandError};

/// How many entries an approximate trimming goes through if nothing is said: a hundred blocks.
const BLOCKS_PER_TRIM: u64 = 100;
/// The same where blocks have no limit.
const LIMIT_OF_UNLIMITED: u64 = 10_000;
/// And never more.
const LIMIT_MAX: u64 = 1_000_000;

/// As it is declared.
pub(super) const SYNTAX: Arg = Arg::block(
    "trim",
    &[
        Arg::one_of(
            "strategy",
            &[Arg::token("maxlen", "MAXLEN"), Arg::token("minid", "MINID")],
        ),
        Arg::one_of(
            "operator",
            &[Arg::token("equal", "="), Arg::token("approximately", "~")],
        )
        .optional(),
        Arg::string("threshold"),
        Arg::integer("count").after("LIMIT").optional(),
    ],
);

/// What becomes of references, as it is declared.
pub(super) const REFERENCES: Arg = Arg::one_of(
    "condition",
    &[
        Arg::token("keepref", "KEEPREF"),
        Arg::token("delref", "DELREF"),
        Arg::token("acked", "ACKED"),
    ],
)
.optional();

/// The word for what becomes of references.
pub(super) fn references(word: &[u8]) -> Option<References> {
    [
        (&b"KEEPREF"[..], References::Keep),
        (b"DELREF", References::Delete),
        (b"ACKED", References::Acknowledged),
    ]
    .into_iter()
    .find_map(|(name, references)| word.eq_ignore_ascii_case(name).then_some(references))
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimOptions {
    to: Option<TrimTo>,
    approximate: bool,
    limit: Option<i64>,
    references: Option<References>,
}

impl TrimOptions {
    /// Takes the option at `index` and returns how many arguments it is long; `None`: it is none of these.
    pub(super) fn take(
        &mut self,
        args: &Args<'_>,
        index: usize,
    ) -> Result<Option<usize>, CommandError> {
        if let Some(references) = references(args.get(index)) {
            return match self.references.replace(references) {
                None => Ok(Some(1)),
                Some(_) => Err(CommandError::Syntax),
            };
        }
        let more = args.len() - index - 1;
        let by_id = args.is(index, "MINID");
        if more == 0 {
            return Ok(None);
        }
        if by_id || args.is(index, "MAXLEN") {
            return self.take_goal(args, index, by_id).map(Some);
        }
        if args.is(index, "LIMIT") {
            let limit = args.integer(index + 1)?;
            if limit < 0 {
                return Err(CommandError::text("ERR The LIMIT argument must be >= 0."));
            }
            self.limit = Some(limit);
            return Ok(Some(2));
        }
        Ok(None)
    }

    fn take_goal(
        &mut self,
        args: &Args<'_>,
        index: usize,
        by_id: bool,
    ) -> Result<usize, CommandError> {
        if self.to.is_some() {
            return Err(CommandError::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let operator = args.get(index + 1);
        let has_operator = matches!(operator, b"~" | b"=") && index + 2 < args.len();
        self.approximate = has_operator && operator == b"~";
        let goal = index + 1 + usize::from(has_operator);
        self.to = Some(if by_id {
            TrimTo::MinId(parse_strict(args.get(goal), 0)?)
        } else {
            let len = u64::try_from(args.integer(goal)?);
            TrimTo::MaxLen(
                len.map_err(|_| CommandError::text("ERR The MAXLEN argument must be >= 0."))?,
            )
        });
        Ok(goal + 1 - index)
    }

    /// What is to be done; `None`: there is nothing to trim.
    pub(super) fn finish(self, limits: &StreamLimits) -> Result<Option<Trim>, CommandError> {
        let Some(to) = self.to else {
            return match self.limit {
                Some(1..) => Err(CommandError::text(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                _ => Ok(None),
            };
        };
        let limit = match self.limit {
            Some(_) if !self.approximate => {
                return Err(CommandError::text(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                ));
            }
            Some(limit) => limit as u64,
            None if !self.approximate => 0,
            None => match limits.node_max_entries as u64 {
                0 => LIMIT_OF_UNLIMITED,
                entries => entries.saturating_mul(BLOCKS_PER_TRIM).min(LIMIT_MAX),
            },
        };
        Ok(Some(Trim {
            to,
            approximate: self.approximate,
            limit,
            references: self.references.unwrap_or_default(),
        }))
    }
}

/// Whether there may be something to trim.
pub(super) fn may_trim(stream: &Stream, trim: &Trim) -> bool {
    let entries = stream.entries();
    match trim.to {
        TrimTo::MaxLen(max) => entries.len() > max,
        TrimTo::MinId(min) => entries.first_id() < min && !entries.is_empty(),
    }
}

/// What was trimmed, to be logged in an exact form: it depends neither on where blocks end nor on a limit.
#[derive(Debug)]
pub(super) struct ExactTrim {
    by_id: bool,
    goal: String,
    references: References,
}

impl ExactTrim {
    /// Of a trimming that has left `len` entries.
    pub(super) fn of(trim: &Trim, trimmed: Trimmed, len: u64) -> Self {
        let (by_id, goal) = match trim.to {
            TrimTo::MaxLen(_) if trim.approximate => (false, len.to_string()),
            TrimTo::MaxLen(max) => (false, max.to_string()),
            TrimTo::MinId(min) => {
                let reached: StreamId = trimmed.stopped_at.map_or(min, |id| id.min(min));
                (true, reached.to_string())
            }
        };
        Self {
            by_id,
            goal,
            references: trim.references,
        }
    }

    /// Appends the arguments.
    pub(super) fn push<'a>(&'a self, args: &mut Vec<&'a [u8]>) {
        args.extend::<[&[u8]; 3]>([
            if self.by_id { b"MINID" } else { b"MAXLEN" },
            b"=",
            self.goal.as_bytes(),
        ]);
        match self.references {
            References::Keep => {}
            References::Delete => args.push(b"DELREF"),
            References::Acknowledged => args.push(b"ACKED"),
        }
    }
}
