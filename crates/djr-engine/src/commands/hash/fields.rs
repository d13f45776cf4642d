//! What the commands about fields with deadlines share: `FIELDS numfields field …`, the times, what is logged of them.

use super::super::expiration::TimeUnit;
use super::prelude::*;

/// `FIELDS numfields field [field …]`
pub(super) const FIELDS: Arg = Arg::block(
    "fields",
    &[Arg::integer("numfields"), Arg::string("field").multiple()],
)
.after("FIELDS");

/// The largest deadline of a field that Redis keeps, in milliseconds since 1970: the year 4199.
const DEADLINE_MAX: UnixMillis = (1 << 46) - 1;

const NO_FIELDS: CommandError =
    CommandError::text("ERR Mandatory argument FIELDS is missing or not at the right position");
const OTHER_NUMBER: CommandError =
    CommandError::text("ERR The `numfields` parameter must match the number of arguments");
/// What most commands say of a number of fields that is none.
pub(super) const NOT_A_NUMBER: CommandError =
    CommandError::text("ERR Number of fields must be a positive integer");

/// Reads `FIELDS numfields`, the former at `index`; the fields are all arguments from the returned index on.
/// `not_a_number` is the error where the number is not positive.
pub(super) fn first_field(
    args: &Args<'_>,
    index: usize,
    not_a_number: CommandError,
) -> Result<usize, CommandError> {
    if !args.is(index, "FIELDS") {
        return Err(NO_FIELDS);
    }
    if index + 1 == args.len() {
        let name = String::from_utf8_lossy(args.get(0)).to_ascii_lowercase();
        return Err(CommandError::Arity(name));
    }
    let first = index + 2;
    match parse_integer(args.get(index + 1)) {
        Some(number) if number > 0 => match usize::try_from(number) {
            Ok(number) if first.checked_add(number) == Some(args.len()) => Ok(first),
            _ => Err(OTHER_NUMBER),
        },
        _ => Err(not_a_number),
    }
}

/// The deadline that argument `index` means.
pub(super) fn deadline(
    args: &Args<'_>,
    index: usize,
    unit: TimeUnit,
    now: UnixMillis,
    command: &'static str,
) -> Result<UnixMillis, CommandError> {
    let time = args.integer(index)?;
    if time < 0 {
        return Err(CommandError::text("ERR invalid expire time, must be >= 0"));
    }
    match unit.deadline(time, now, command)? {
        deadline if deadline > DEADLINE_MAX => Err(CommandError::ExpireTime(command)),
        deadline => Ok(deadline),
    }
}

/// Logs that these fields have this deadline now.
pub(super) fn log_deadline(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    deadline: UnixMillis,
    fields: &[&[u8]],
) -> Effect {
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let deadline = format_integer(deadline, &mut buffer);
    let number = fields.len().to_string();
    let mut args = vec![
        b"HPEXPIREAT".as_slice(),
        key.bytes,
        deadline,
        b"FIELDS",
        number.as_bytes(),
    ];
    args.extend(fields);
    Effect::Rewritten(context.rewrite(&args))
}

/// Logs and notifies that these fields were removed, and with them the key, perhaps.
pub(super) fn log_removal(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    fields: &[&[u8]],
) -> Effect {
    context.notify_update(Notify::HASH, "hdel", key);
    let mut args = vec![b"HDEL".as_slice(), key.bytes];
    args.extend(fields);
    Effect::Rewritten(context.rewrite(&args))
}
