//! A range of a string's bytes or bits, as BITCOUNT and BITPOS take it.

use super::super::prelude::*;

/// `start [end [BYTE|BIT]]`.
pub(super) const SYNTAX: Arg = Arg::block(
    "range",
    &[
        Arg::integer("start"),
        Arg::block(
            "end-unit-block",
            &[
                Arg::integer("end"),
                Arg::one_of(
                    "unit",
                    &[Arg::token("byte", "BYTE"), Arg::token("bit", "BIT")],
                )
                .optional(),
            ],
        )
        .optional(),
    ],
)
.optional();

/// A range as it was asked for: negative positions count from the end, both are included.
pub(super) struct BitRange {
    start: i64,
    /// The last position, if it was given.
    pub(super) end: Option<i64>,
    in_bits: bool,
}

impl BitRange {
    /// The range in the arguments from `index` on.
    pub(super) fn parse(args: &Args<'_>, index: usize) -> Result<Self, CommandError> {
        let mut range = Self {
            start: 0,
            end: None,
            in_bits: false,
        };
        if args.len() > index + 3 {
            return Err(CommandError::Syntax);
        }
        if args.len() > index {
            range.start = args.integer(index)?;
        }
        if args.len() > index + 2 {
            range.in_bits = args.is(index + 2, "BIT");
            if !range.in_bits && !args.is(index + 2, "BYTE") {
                return Err(CommandError::Syntax);
            }
        }
        if args.len() > index + 1 {
            range.end = Some(args.integer(index + 1)?);
        }
        Ok(range)
    }

    /// Whether it ends before it begins, both counted from the end. That means nothing to BITCOUNT, whatever the length.
    pub(super) fn is_backward(&self) -> bool {
        self.end
            .is_some_and(|end| self.start < 0 && end < 0 && self.start > end)
    }

    /// The bits of a string of `len` bytes that it means: from the first up to, not including, the last; `None` if there is none.
    pub(super) fn bits_of(&self, len: usize) -> Option<(u64, u64)> {
        let unit = if self.in_bits { 1 } else { 8 };
        let len = len as i64 * 8 / unit;
        let end = self.end.unwrap_or(-1);
        let from_end = |at: i64| if at < 0 { len.saturating_add(at) } else { at };
        // A position before the first means the first, as in Redis.
        let (start, end) = (from_end(self.start).max(0), from_end(end).max(0));
        let end = end.min(len - 1);
        if start > end {
            return None;
        }
        Some(((start * unit) as u64, ((end + 1) * unit) as u64))
    }
}
