//! The timeout argument of blocking commands.

use std::time::Duration;

use djr_storage::keyspace::UnixMillis;
use djr_storage::value::parse_integer;

use crate::CommandError;
use crate::long_double::LongDouble;

const OUT_OF_RANGE: CommandError = CommandError::text("ERR timeout is out of range");

/// A timeout in seconds, decimals allowed, rounded up to a millisecond. 0 is for ever: `None`.
pub(crate) fn parse_seconds(
    text: &[u8],
    now: UnixMillis,
) -> Result<Option<Duration>, CommandError> {
    let seconds = LongDouble::parse(text).ok_or(CommandError::text(
        "ERR timeout is not a float or out of range",
    ))?;
    let millis = seconds.times_1000_rounded_up().ok_or(OUT_OF_RANGE)?;
    from_millis(millis, now)
}

/// A timeout in milliseconds. 0 is for ever: `None`.
pub fn parse_millis(text: &[u8], now: UnixMillis) -> Result<Option<Duration>, CommandError> {
    let millis = parse_integer(text).ok_or(CommandError::text(
        "ERR timeout is not an integer or out of range",
    ))?;
    from_millis(millis, now)
}

fn from_millis(millis: i64, now: UnixMillis) -> Result<Option<Duration>, CommandError> {
    let Ok(unsigned) = u64::try_from(millis) else {
        return Err(CommandError::text("ERR timeout is negative"));
    };
    // As Redis, which keeps the time of the end.
    now.checked_add(millis).ok_or(OUT_OF_RANGE)?;
    Ok((millis > 0).then(|| Duration::from_millis(unsigned)))
}
