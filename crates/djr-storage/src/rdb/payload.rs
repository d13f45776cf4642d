//! What DUMP answers and RESTORE takes: type, value, the format's version (two bytes, little-endian), CRC-64 of all that (eight bytes).

use super::checksum::checksum;
use super::writer::Uncompressed;
use super::{
    RdbError, Reader, VERSION_OF_FIELD_EXPIRY, VERSION_OF_VALKEY, VERSION_OF_VALKEY_MAX,
    ValueLimits, read_value, write_value,
};
use crate::keyspace::UnixMillis;
use crate::value::{Value, ValueRef};

const FOOTER: usize = 10;

/// A value as DUMP gives it. Fields of hashes that are past their deadline at `now` are left out; strings are compressed where that
/// makes them shorter if `compress` says so.
pub fn dump(value: ValueRef<'_>, now: UnixMillis, compress: bool) -> Vec<u8> {
    let mut out = Uncompressed::default();
    let version = if compress {
        write_value(&mut out.0, value, now)
    } else {
        write_value(&mut out, value, now)
    };
    seal(&mut out.0, version);
    out.0
}

/// Appends version and checksum.
pub(super) fn seal(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    let crc = checksum(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The value of such a payload. [`RdbError::Version`] and [`RdbError::Checksum`] come before anything is read.
pub fn restore(payload: &[u8], limits: &ValueLimits) -> Result<Value, RdbError> {
    read(open(payload)?, limits)
}

/// As [`restore`], whatever the checksum is: for tests of the rest.
pub fn restore_unchecked(payload: &[u8], limits: &ValueLimits) -> Result<Value, RdbError> {
    let (body, version, _) = parts(payload)?;
    read((body, version), limits)
}

fn read((body, version): (&[u8], u16), limits: &ValueLimits) -> Result<Value, RdbError> {
    let mut reader = Reader::new(body);
    let kind = reader.byte()?;
    // As Redis, which does not look at what follows.
    read_value(&mut reader, kind, version, limits)
}

/// What is before version and checksum, and the version, if both are right.
pub(super) fn open(payload: &[u8]) -> Result<(&[u8], u16), RdbError> {
    let (body, version, crc) = parts(payload)?;
    if checksum(&payload[..payload.len() - 8]) != crc {
        return Err(RdbError::Checksum);
    }
    Ok((body, version))
}

/// What is before version and checksum, a version that can be read, the checksum.
fn parts(payload: &[u8]) -> Result<(&[u8], u16, u64), RdbError> {
    let body_len = payload
        .len()
        .checked_sub(FOOTER)
        .ok_or(RdbError::Checksum)?;
    let (body, footer) = payload.split_at(body_len);
    let mut footer = Reader::new(footer);
    let version = u16::from_le_bytes(footer.array()?);
    let crc = u64::from_le_bytes(footer.array()?);
    if version > VERSION_OF_FIELD_EXPIRY
        && !(VERSION_OF_VALKEY..=VERSION_OF_VALKEY_MAX).contains(&version)
    {
        return Err(RdbError::Version(version));
    }
    Ok((body, version, crc))
}
