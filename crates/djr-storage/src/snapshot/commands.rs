//! From the keyspace to commands: a base of the log without RDB format (`aof-use-rdb-preamble no`).

use super::{Content, Progress, SaveError};
use crate::keyspace::{Portion, SnapshotEntry, WholeEntries};
use crate::rdb::{Reader, VERSION_OF_FIELD_EXPIRY, ValueLimits, read_value};
use crate::value::{INTEGER_TEXT_SIZE_MAX, Value, format_integer};

/// Takes a command for a db.
pub(super) type Emit<'a> = &'a mut dyn FnMut(u32, &[&[u8]]) -> Result<(), SaveError>;

/// Tells the commands that make everything in a snapshot, functions included. See [`Object::rewrite`](crate::types::Object::rewrite).
pub fn write_commands(
    content: Content<'_>,
    progress: &Progress,
    emit: Emit<'_>,
) -> Result<(), SaveError> {
    let Content {
        mut snapshot,
        functions,
        rest,
        ..
    } = content;
    progress.begin(&snapshot);
    for code in &functions {
        emit(0, &[b"FUNCTION", b"LOAD", code])?;
    }
    let mut portion = Portion::new();
    let mut whole = WholeEntries::default();
    loop {
        if progress.is_cancelled() {
            return Err(SaveError::Cancelled);
        }
        let more = snapshot.step(&mut portion);
        for item in portion.items() {
            if let Some(entry) = whole.add(item) {
                write_entry(&entry, emit)?;
            }
        }
        progress.add(&portion);
        portion.clear();
        rest();
        if !more {
            return Ok(());
        }
    }
}

fn write_entry(entry: &SnapshotEntry<'_>, emit: Emit<'_>) -> Result<(), SaveError> {
    let value = value_of(entry.value)?;
    let mut failure = None;
    value.as_ref().rewrite(entry.key, &mut |words| {
        if failure.is_none() {
            failure = emit(entry.db, words).err();
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    if let Some(at) = entry.expire_at {
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let at = format_integer(at, &mut buffer);
        emit(entry.db, &[b"PEXPIREAT", entry.key, at])?;
    }
    Ok(())
}

fn value_of(bytes: &[u8]) -> Result<Value, SaveError> {
    let mut reader = Reader::new(bytes);
    let value = reader.byte().and_then(|kind| {
        read_value(
            &mut reader,
            kind,
            VERSION_OF_FIELD_EXPIRY,
            &ValueLimits::default(),
        )
    });
    value.map_err(|error| SaveError::Log(format!("a value can't be read back: {error}")))
}
