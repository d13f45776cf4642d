//! Lua values to JSON.

use mlua::{Lua, Table, Value};

use super::super::super::host::{error_at_call, type_name};
use super::super::super::number;
use super::{Config, InvalidNumbers};

/// The JSON text of a value.
pub(super) fn encode(lua: &Lua, value: &Value, config: &Config) -> mlua::Result<Vec<u8>> {
    let mut encoder = Encoder {
        lua,
        config,
        out: Vec::new(),
    };
    encoder.value(value, 0)?;
    Ok(encoder.out)
}

struct Encoder<'a> {
    lua: &'a Lua,
    config: &'a Config,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: i32) -> mlua::Result<()> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(integer) => self.number(*integer as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => {
                self.out.extend_from_slice(b"null")
            }
            Value::Table(table) => self.table(table, depth + 1)?,
            other => return Err(self.refuse(type_name(other), "type not supported")),
        }
        Ok(())
    }

    fn refuse(&self, what: &str, why: &str) -> mlua::Error {
        error_at_call(self.lua, format!("Cannot serialise {what}: {why}"))
    }

    fn string(&mut self, text: &[u8]) {
        let out = &mut self.out;
        out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => out.extend([b'\\', byte]),
                8 => out.extend(b"\\b"),
                b'\t' => out.extend(b"\\t"),
                b'\n' => out.extend(b"\\n"),
                12 => out.extend(b"\\f"),
                b'\r' => out.extend(b"\\r"),
                0..32 | 127 => out.extend(format!("\\u{byte:04x}").bytes()),
                _ => out.push(byte),
            }
        }
        out.push(b'"');
    }

    fn number(&mut self, number: f64) -> mlua::Result<()> {
        if !number.is_finite() {
            match self.config.encode_invalid_numbers {
                InvalidNumbers::Refused => {
                    return Err(self.refuse("number", "must not be NaN or Inf"));
                }
                InvalidNumbers::Null => self.out.extend_from_slice(b"null"),
                InvalidNumbers::Written => {
                    let text = number::general(number, 1);
                    self.out.extend_from_slice(
                        text.strip_prefix("-n")
                            .map_or(text.as_str(), |_| "nan")
                            .as_bytes(),
                    );
                }
            }
            return Ok(());
        }
        // The common case, and all its digits fit every precision that may be asked for... of the default at least.
        if number.fract() == 0.0
            && number.abs() < 1e14
            && self.config.number_precision == 14
            && !(number == 0.0 && number.is_sign_negative())
        {
            djr_protocol::format_integer(number as i64, &mut self.out);
        } else {
            let precision = usize::try_from(self.config.number_precision).unwrap_or(14);
            self.out
                .extend_from_slice(number::general(number, precision).as_bytes());
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: i32) -> mlua::Result<()> {
        if depth > self.config.encode_depth_max.min(super::DEPTH_LIMIT) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(error_at_call(self.lua, text));
        }
        match self.array_len(table)? {
            Some(len) => self.array(table, len, depth),
            None => self.object(table, depth),
        }
    }

    /// The last index of an array; `None` for what is an object, as an empty table is.
    fn array_len(&self, table: &Table) -> mlua::Result<Option<usize>> {
        let (mut last, mut count) = (0, 0_u64);
        let mut is_array = true;
        table.for_each(|key: Value, _: Value| {
            count += 1;
            match key {
                Value::Integer(key) if key > 0 => last = last.max(key as u64),
                _ => is_array = false,
            }
            Ok(())
        })?;
        if !is_array || count == 0 {
            return Ok(None);
        }
        let ratio = u64::try_from(self.config.sparse_ratio).unwrap_or(0);
        let safe = u64::try_from(self.config.sparse_safe).unwrap_or(0);
        if ratio > 0 && last > count.saturating_mul(ratio) && last > safe {
            if !self.config.sparse_convert {
                return Err(self.refuse("table", "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(usize::try_from(last).ok())
    }

    fn array(&mut self, table: &Table, len: usize, depth: i32) -> mlua::Result<()> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            self.value(&table.raw_get(index)?, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i32) -> mlua::Result<()> {
        self.out.push(b'{');
        let mut first = true;
        table.for_each(|key: Value, value: Value| {
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.value(&key, depth)?;
                    self.out.push(b'"');
                }
                _ => return Err(self.refuse(type_name(&key), "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(&value, depth)
        })?;
        self.out.push(b'}');
        Ok(())
    }
}
