//! Deadlines as commands give them (EX, PX, EXAT, PXAT) and as the log gets them.

use super::prelude::*;

/// `EX seconds`
pub(crate) const EX: Arg = Arg::integer("seconds").after("EX");
/// `PX milliseconds`
pub(crate) const PX: Arg = Arg::integer("milliseconds").after("PX");
/// `EXAT unix-time-seconds`
pub(crate) const EXAT: Arg = Arg::unix_time("unix-time-seconds").after("EXAT");
/// `PXAT unix-time-milliseconds`
pub(crate) const PXAT: Arg = Arg::unix_time("unix-time-milliseconds").after("PXAT");
/// `KEEPTTL`
pub(crate) const KEEPTTL: Arg = Arg::token("keepttl", "KEEPTTL");
/// `PERSIST`
pub(crate) const PERSIST: Arg = Arg::token("persist", "PERSIST");

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeUnit {
    /// Milliseconds in one.
    pub(crate) ms: i64,
    /// Counted from now, not from 1970.
    pub(crate) relative: bool,
}

impl TimeUnit {
    pub(crate) const EX: Self = Self {
        ms: 1000,
        relative: true,
    };
    pub(crate) const PX: Self = Self {
        ms: 1,
        relative: true,
    };
    pub(crate) const EXAT: Self = Self {
        ms: 1000,
        relative: false,
    };
    pub(crate) const PXAT: Self = Self {
        ms: 1,
        relative: false,
    };

    /// The unit that `EX`, `PX`, `EXAT` or `PXAT` announces.
    pub(crate) fn of_option(name: &[u8]) -> Option<Self> {
        match name {
            name if name.eq_ignore_ascii_case(b"EX") => Some(Self::EX),
            name if name.eq_ignore_ascii_case(b"PX") => Some(Self::PX),
            name if name.eq_ignore_ascii_case(b"EXAT") => Some(Self::EXAT),
            name if name.eq_ignore_ascii_case(b"PXAT") => Some(Self::PXAT),
            _ => None,
        }
    }

    /// The deadline that `time` means, which must be positive and must not overflow.
    pub(crate) fn positive_deadline(
        self,
        time: i64,
        now: UnixMillis,
        command: &'static str,
    ) -> Result<UnixMillis, CommandError> {
        if time <= 0 {
            return Err(CommandError::ExpireTime(command));
        }
        self.deadline(time, now, command)
    }

    /// The deadline that `time` means, in the past perhaps. Must not overflow.
    pub(crate) fn deadline(
        self,
        time: i64,
        now: UnixMillis,
        command: &'static str,
    ) -> Result<UnixMillis, CommandError> {
        let start = if self.relative { now } else { 0 };
        time.checked_mul(self.ms)
            .and_then(|time| time.checked_add(start))
            .ok_or(CommandError::ExpireTime(command))
    }
}

/// The expiry options found among a command's arguments: a time, or the one word (`KEEPTTL`, `PERSIST`) that stands for none.
#[derive(Debug, Default)]
pub(crate) struct Expiration {
    /// How the time is given and which argument it is.
    time: Option<(TimeUnit, usize)>,
    word: bool,
}

impl Expiration {
    /// Takes the option at `index` and returns how many arguments it is long; `None` if there is none that may stand here.
    ///
    /// The same option may come twice, as in Redis: the last one counts.
    pub(crate) fn take(&mut self, args: &Args<'_>, index: usize, word: &str) -> Option<usize> {
        if args.is(index, word) {
            self.word = true;
            return self.time.is_none().then_some(1);
        }
        let unit = TimeUnit::of_option(args.get(index))?;
        let other = self.time.is_some_and(|(before, _)| before != unit);
        if self.word || other || index + 1 >= args.len() {
            return None;
        }
        self.time = Some((unit, index + 1));
        Some(2)
    }

    /// Whether the word was given.
    pub(crate) fn has_word(&self) -> bool {
        self.word
    }

    /// The deadline, if a time was given. To be asked once all options have been read: a syntax error comes first.
    pub(crate) fn deadline(
        &self,
        args: &Args<'_>,
        now: UnixMillis,
        command: &'static str,
    ) -> Result<Option<UnixMillis>, CommandError> {
        let Some((unit, index)) = self.time else {
            return Ok(None);
        };
        unit.positive_deadline(args.integer(index)?, now, command)
            .map(Some)
    }
}

/// Logs that a key has this deadline now.
pub(crate) fn log_deadline(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    deadline: UnixMillis,
) -> Effect {
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let deadline = format_integer(deadline, &mut buffer);
    Effect::Rewritten(context.rewrite(&[b"PEXPIREAT", key.bytes, deadline]))
}
