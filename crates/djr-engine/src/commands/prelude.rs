//! What every command file needs.

pub(super) use crate::context::{ReadContext, WriteContext, string_of};
pub(super) use crate::spec::{
    Access, Arg, BeginSearch, CommandSpec, FindKeys, Flags, Group, KeySpec, Keys, Reach, Run,
};
pub(super) use crate::{Args, CommandError, Effect, Notify, Reply};
pub(super) use djr_storage::keyspace::{Expire, Key, StringForm, UnixMillis};
pub(super) use djr_storage::value::{
    INTEGER_TEXT_SIZE_MAX, StringRef, StringValue, Value, format_integer,
};

/// Answers with a string out of the keyspace.
#[inline]
pub(super) fn reply_string(reply: &mut Reply<'_>, string: StringRef<'_>) {
    match string {
        StringRef::Bytes(bytes) => reply.bulk(bytes),
        StringRef::Int(integer) => reply.bulk_integer(integer),
    }
}

/// Refuses a string that would be longer than `proto-max-bulk-len`: `len` bytes and `more`.
pub(super) fn check_string_len(
    engine: &crate::Engine,
    len: usize,
    more: usize,
) -> Result<(), CommandError> {
    let sum = len.checked_add(more).map(|sum| sum as u64);
    match sum {
        Some(sum) if sum <= engine.settings.string_len_max.get() => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}
