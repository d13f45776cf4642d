//! `cmsgpack`: MessagePack, <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use mlua::{Lua, MultiValue, Table, Value};

use super::super::host::error_at_call;
use super::{Arguments, number_of};

/// Tables nested deeper than this are written as nil.
const PACK_DEPTH_MAX: usize = 16;
/// Values nested deeper than this are refused when reading.
const UNPACK_DEPTH_MAX: usize = 1000;

/// The library's functions.
pub(in super::super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("_NAME", "cmsgpack")?;
    table.set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    table.set("pack", lua.create_function(pack)?)?;
    table.set(
        "unpack",
        lua.create_function(|lua, args: MultiValue| {
            let data = Arguments::new(lua, "unpack", &args).text()?;
            unpack(lua, &data, None, 0)
        })?,
    )?;
    table.set(
        "unpack_one",
        lua.create_function(|lua, args: MultiValue| {
            let mut args = Arguments::new(lua, "unpack_one", &args);
            let (data, offset) = (args.text()?, args.integer_or(0)?);
            unpack(lua, &data, Some(1), offset)
        })?,
    )?;
    table.set(
        "unpack_limit",
        lua.create_function(|lua, args: MultiValue| {
            let mut args = Arguments::new(lua, "unpack_limit", &args);
            let data = args.text()?;
            let limit = args.number()? as i64;
            let offset = args.integer_or(0)?;
            unpack(
                lua,
                &data,
                (limit != 0 || offset != 0).then_some(limit),
                offset,
            )
        })?,
    )?;
    Ok(table)
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<mlua::String> {
    if args.is_empty() {
        return Err(super::super::host::bad_argument(
            lua,
            0,
            "pack",
            "MessagePack pack needs input.",
        ));
    }
    let mut out = Vec::new();
    for value in &args {
        encode(value, 0, &mut out)?;
    }
    lua.create_string(out)
}

fn encode(value: &Value, depth: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
    match value {
        Value::String(text) => {
            let text = text.as_bytes();
            match text.len() {
                len @ ..32 => out.push(0xa0 | len as u8),
                len @ ..0x100 => out.extend([0xd9, len as u8]),
                len => header(0xda, len, out),
            }
            out.extend_from_slice(&text);
        }
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(integer) => encode_integer(*integer, out),
        Value::Number(number) => encode_number(*number, out),
        Value::Table(table) if depth < PACK_DEPTH_MAX => encode_table(table, depth, out)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

/// A code and a length of two bytes, or the next code and one of four.
fn header(code: u8, len: usize, out: &mut Vec<u8>) {
    match u16::try_from(len) {
        Ok(len) => {
            out.push(code);
            out.extend(len.to_be_bytes());
        }
        Err(_) => {
            out.push(code + 1);
            out.extend((len as u32).to_be_bytes());
        }
    }
}

fn encode_integer(integer: i64, out: &mut Vec<u8>) {
    match integer {
        -32..=0x7f => out.push(integer as u8),
        0x80..=0xff => out.extend([0xcc, integer as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend((integer as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend((integer as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend(integer.to_be_bytes());
        }
        -0x80..=-33 => out.extend([0xd0, integer as u8]),
        -0x8000..=-0x81 => {
            out.push(0xd1);
            out.extend((integer as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend((integer as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend(integer.to_be_bytes());
        }
    }
}

fn encode_number(number: f64, out: &mut Vec<u8>) {
    if number == 0.0 {
        encode_integer(0, out);
    } else if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend((number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

fn encode_table(table: &Table, depth: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
    let (mut count, mut array) = (0_usize, true);
    let mut last = 0;
    table.for_each(|key: Value, _: Value| {
        count += 1;
        match key {
            Value::Integer(key) if key > 0 => last = last.max(key as usize),
            _ => array = false,
        }
        Ok(())
    })?;
    if array && last == count {
        match count {
            ..16 => out.push(0x90 | count as u8),
            _ => header(0xdc, count, out),
        }
        for index in 1..=count {
            encode(&table.raw_get(index)?, depth + 1, out)?;
        }
        return Ok(());
    }
    match count {
        ..16 => out.push(0x80 | count as u8),
        _ => header(0xde, count, out),
    }
    table.for_each(|key: Value, value: Value| {
        encode(&key, depth + 1, out)?;
        encode(&value, depth + 1, out)
    })
}

/// All values of `data`, or at most `limit` of them from `offset` on, led by the offset of what is left (-1: nothing is).
fn unpack(
    lua: &Lua,
    data: &mlua::String,
    limit: Option<i64>,
    offset: i64,
) -> mlua::Result<MultiValue> {
    let data = data.as_bytes();
    let len = data.len();
    let invalid = || {
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        error_at_call(lua, text)
    };
    let start = usize::try_from(offset).map_err(|_| invalid())?;
    let count = usize::try_from(limit.unwrap_or(i64::MAX)).map_err(|_| invalid())?;
    let Some(rest) = data.get(start..) else {
        return Err(error_at_call(
            lua,
            format!("Start offset {offset} greater than input length {len}."),
        ));
    };
    let mut decoder = Decoder { lua, rest };
    let mut values = Vec::new();
    while !decoder.rest.is_empty() && values.len() < count {
        values.push(decoder.value(0)?);
        if values.len() >= super::RESULTS_MAX {
            return Err(error_at_call(
                lua,
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            ));
        }
    }
    if limit.is_some() {
        let left = decoder.rest.len();
        values.insert(
            0,
            Value::Integer(if left == 0 { -1 } else { (len - left) as i64 }),
        );
    }
    Ok(values.into_iter().collect())
}

struct Decoder<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl Decoder<'_> {
    fn bytes(&mut self, len: usize) -> mlua::Result<&[u8]> {
        let split = self.rest.split_at_checked(len);
        let (bytes, rest) =
            split.ok_or_else(|| error_at_call(self.lua, "Missing bytes in input."))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A big-endian number of so many bytes.
    fn unsigned(&mut self, size: usize) -> mlua::Result<u64> {
        let bytes = self.bytes(size)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, size: usize) -> mlua::Result<i64> {
        let unused = 64 - 8 * size as u32;
        Ok(((self.unsigned(size)? << unused) as i64) >> unused)
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        if depth > UNPACK_DEPTH_MAX {
            return Err(error_at_call(self.lua, "Bad data format in input."));
        }
        let code = self.unsigned(1)? as u8;
        Ok(match code {
            0x00..=0x7f | 0xe0..=0xff => Value::Integer(i64::from(code as i8)),
            0x80..=0x8f => self.map(usize::from(code & 0xf), depth)?,
            0x90..=0x9f => self.array(usize::from(code & 0xf), depth)?,
            0xa0..=0xbf => self.text(usize::from(code & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => Value::Number(f32::from_bits(self.unsigned(4)? as u32).into()),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            // The largest come out negative: Lua's integers are signed.
            0xcc..=0xcf => Value::Integer(self.unsigned(1 << (code - 0xcc))? as i64),
            0xd0..=0xd3 => Value::Integer(self.signed(1 << (code - 0xd0))?),
            0xd9..=0xdb => {
                let len = self.unsigned(1 << (code - 0xd9))? as usize;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.unsigned(2 << (code - 0xdc))? as usize;
                self.array(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.unsigned(2 << (code - 0xde))? as usize;
                self.map(len, depth)?
            }
            _ => return Err(error_at_call(self.lua, "Bad data format in input.")),
        })
    }

    fn text(&mut self, len: usize) -> mlua::Result<Value> {
        let lua = self.lua;
        Ok(Value::String(lua.create_string(self.bytes(len)?)?))
    }

    fn array(&mut self, len: usize, depth: usize) -> mlua::Result<Value> {
        // A length is a promise: what is reserved is bounded by what can follow.
        let table = self
            .lua
            .create_table_with_capacity(len.min(self.rest.len()), 0)?;
        for index in 1..=len {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> mlua::Result<Value> {
        let table = self
            .lua
            .create_table_with_capacity(0, len.min(self.rest.len() / 2))?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            match key {
                Value::Nil => return Err(error_at_call(self.lua, "Bad data format in input.")),
                key if number_of(&key).is_some_and(f64::is_nan) => {
                    return Err(error_at_call(self.lua, "Bad data format in input."));
                }
                key => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }
}
