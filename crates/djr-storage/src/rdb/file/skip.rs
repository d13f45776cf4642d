//! Where values end, without building them.

use crate::rdb::{NODE_PACKED, NODE_PLAIN, RdbError, Reader, VERSION_OF_VALKEY, kind};

/// How a module's number is read in the bytes that it wrote.
mod module_opcode {
    pub(super) const END: u64 = 0;
    pub(super) const SIGNED: u64 = 1;
    pub(super) const UNSIGNED: u64 = 2;
    pub(super) const FLOAT: u64 = 3;
    pub(super) const DOUBLE: u64 = 4;
    pub(super) const STRING: u64 = 5;
}

/// Reads over a value of the type that `kind` says, in this version of the format.
#[inline]
pub(super) fn skip_value(reader: &mut Reader<'_>, kind: u8, version: u16) -> Result<(), RdbError> {
    match kind {
        kind::STRING
        | kind::HASH_ZIPMAP
        | kind::LIST_ZIPLIST
        | kind::SET_INTSET
        | kind::SORTED_SET_ZIPLIST
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::SORTED_SET_LISTPACK
        | kind::SET_LISTPACK
        | kind::HASH_LISTPACK_DEADLINES_EARLY => reader.skip_string(),
        _ => skip_parts(reader, kind, version),
    }
}

fn skip_parts(reader: &mut Reader<'_>, kind: u8, version: u16) -> Result<(), RdbError> {
    match kind {
        kind::LIST | kind::SET | kind::LIST_QUICKLIST => {
            for _ in 0..reader.count(1)? {
                reader.skip_string()?;
            }
        }
        kind::LIST_QUICKLIST_2 => {
            for _ in 0..reader.count(2)? {
                if !matches!(reader.number()?, NODE_PLAIN | NODE_PACKED) {
                    return Err(RdbError::Corrupt("no such form of a list's chunk"));
                }
                reader.skip_string()?;
            }
        }
        kind::SORTED_SET => {
            for _ in 0..reader.count(2)? {
                reader.skip_string()?;
                let len = reader.byte()?;
                if len < 253 {
                    reader.bytes(u64::from(len))?;
                }
            }
        }
        kind::SORTED_SET_2 => {
            for _ in 0..reader.count(9)? {
                reader.skip_string()?;
                reader.bytes(8)?;
            }
        }
        kind::HASH => {
            for _ in 0..reader.count(2)? {
                reader.skip_string()?;
                reader.skip_string()?;
            }
        }
        kind::HASH_2_OF_VALKEY if version >= VERSION_OF_VALKEY => {
            for _ in 0..reader.count(10)? {
                reader.skip_string()?;
                reader.skip_string()?;
                reader.bytes(8)?;
            }
        }
        kind::HASH_DEADLINES | kind::HASH_DEADLINES_EARLY => {
            if kind == kind::HASH_DEADLINES {
                reader.bytes(8)?;
            }
            for _ in 0..reader.count(3)? {
                reader.number()?;
                reader.skip_string()?;
                reader.skip_string()?;
            }
        }
        kind::HASH_LISTPACK_DEADLINES => {
            reader.bytes(8)?;
            reader.skip_string()?;
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => skip_stream(reader, kind)?,
        kind::MODULE => {
            reader.number()?;
            skip_module(reader)?;
        }
        kind => return Err(RdbError::UnknownType(kind)),
    }
    Ok(())
}

fn skip_numbers(reader: &mut Reader<'_>, count: usize) -> Result<(), RdbError> {
    (0..count).try_for_each(|_| reader.number().map(drop))
}

fn skip_stream(reader: &mut Reader<'_>, kind: u8) -> Result<(), RdbError> {
    for _ in 0..reader.count(2)? {
        reader.skip_string()?;
        reader.skip_string()?;
    }
    let newer = kind != kind::STREAM;
    skip_numbers(reader, if newer { 8 } else { 3 })?;
    for _ in 0..reader.count(4)? {
        reader.skip_string()?;
        skip_numbers(reader, if newer { 3 } else { 2 })?;
        for _ in 0..reader.count(25)? {
            reader.bytes(24)?;
            reader.number()?;
        }
        for _ in 0..reader.count(10)? {
            reader.skip_string()?;
            reader.bytes(if kind == kind::STREAM_3 { 16 } else { 8 })?;
            let pending = reader.count(16)?;
            reader.bytes(pending as u64 * 16)?;
        }
    }
    Ok(())
}

/// Reads over what a module wrote, up to its end.
pub(super) fn skip_module(reader: &mut Reader<'_>) -> Result<(), RdbError> {
    loop {
        match reader.number()? {
            module_opcode::END => return Ok(()),
            module_opcode::SIGNED | module_opcode::UNSIGNED => drop(reader.number()?),
            module_opcode::FLOAT => drop(reader.bytes(4)?),
            module_opcode::DOUBLE => drop(reader.bytes(8)?),
            module_opcode::STRING => reader.skip_string()?,
            _ => return Err(RdbError::Corrupt("what a module wrote")),
        }
    }
}
