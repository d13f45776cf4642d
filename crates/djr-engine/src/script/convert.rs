//! Replies to Lua values, and Lua values to replies.

use djr_protocol::RespVersion;
use mlua::{Lua, Table, Value};

use super::host::ErrorReply;
use crate::Reply;

/// How deep a script's result may nest. (Redis's Lua stack allows 7995; the binding to Lua has less references than that.)
const RESULT_DEPTH_MAX: usize = 7500;
/// How deep maps and sets may nest in it: writing them is recursive.
const MAP_DEPTH_MAX: usize = 200;
/// How deep a command's reply may nest.
const REPLY_DEPTH_MAX: usize = 128;

/// The reply of a command as a Lua value, or the error that it is. `reply` is what our own encoder wrote.
pub(super) fn reply_to_lua(lua: &Lua, reply: &[u8]) -> mlua::Result<Result<Value, ErrorReply>> {
    if let [b'-', text @ ..] = reply {
        let text = text.strip_suffix(b"\r\n").unwrap_or(text);
        return Ok(Err(ErrorReply::command(text)));
    }
    Parser { lua, rest: reply }.value(0).map(Ok)
}

struct Parser<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        let lua = self.lua;
        if depth > REPLY_DEPTH_MAX {
            return Err(broken());
        }
        let line = self.line()?;
        let (kind, line) = line.split_first().ok_or_else(broken)?;
        Ok(match kind {
            b'+' => field(lua, "ok", line)?,
            b'-' => ErrorReply::command(line).to_table(lua)?,
            b':' => Value::Integer(integer(line)?),
            b'$' | b'*' if line == b"-1" => Value::Boolean(false),
            b'$' => Value::String(lua.create_string(self.bytes(line)?)?),
            b'*' => {
                let count = length(line)?;
                let array = lua.create_table_with_capacity(count, 0)?;
                for index in 1..=count {
                    array.raw_set(index, self.value(depth + 1)?)?;
                }
                Value::Table(array)
            }
            b'_' => Value::Nil,
            b'#' => Value::Boolean(line == b"t"),
            b',' => {
                let text = std::str::from_utf8(line).map_err(|_| broken())?;
                let number: f64 = text.parse().map_err(|_| broken())?;
                wrap(lua, "double", Value::Number(number))?
            }
            b'(' => field(lua, "big_number", line)?,
            b'%' => {
                let count = length(line)?;
                let map = lua.create_table_with_capacity(0, count)?;
                for _ in 0..count {
                    let key = self.value(depth + 1)?;
                    let value = self.value(depth + 1)?;
                    if !key.is_nil() {
                        map.raw_set(key, value)?;
                    }
                }
                wrap(lua, "map", Value::Table(map))?
            }
            b'~' => {
                let count = length(line)?;
                let set = lua.create_table_with_capacity(0, count)?;
                for _ in 0..count {
                    let member = self.value(depth + 1)?;
                    if !member.is_nil() {
                        set.raw_set(member, true)?;
                    }
                }
                wrap(lua, "set", Value::Table(set))?
            }
            b'=' => {
                let text = self.bytes(line)?;
                let (format, text) = text.split_at_checked(4).ok_or_else(broken)?;
                let table = lua.create_table_with_capacity(0, 2)?;
                table.raw_set("string", mlua::String::wrap(text))?;
                table.raw_set("format", mlua::String::wrap(&format[..3]))?;
                wrap(lua, "verbatim_string", Value::Table(table))?
            }
            _ => return Err(broken()),
        })
    }

    fn line(&mut self) -> mlua::Result<&'a [u8]> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == b'\r')
            .ok_or_else(broken)?;
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 2..).ok_or_else(broken)?;
        Ok(line)
    }

    fn bytes(&mut self, len: &[u8]) -> mlua::Result<&'a [u8]> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length(len)?)
            .ok_or_else(broken)?;
        self.rest = rest.get(2..).ok_or_else(broken)?;
        Ok(bytes)
    }
}

fn integer(text: &[u8]) -> mlua::Result<i64> {
    djr_storage::value::parse_integer(text).ok_or_else(broken)
}

fn length(text: &[u8]) -> mlua::Result<usize> {
    usize::try_from(integer(text)?).map_err(|_| broken())
}

#[cold]
fn broken() -> mlua::Error {
    mlua::Error::runtime("a command's reply is not RESP")
}

fn field(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, mlua::String::wrap(text))?;
    Ok(Value::Table(table))
}

fn wrap(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

/// Writes what a script returned. `resp3` is what the script chose for itself: it decides what booleans become.
pub(super) fn lua_to_reply(value: Value, resp3: bool, reply: &mut Reply<'_>) -> mlua::Result<()> {
    let mut writer = Writer {
        resp3,
        reply,
        depth: 0,
        maps: 0,
    };
    writer.value(value)
}

struct Writer<'a, 'r> {
    resp3: bool,
    reply: &'a mut Reply<'r>,
    depth: usize,
    /// How many of `depth` are maps and sets.
    maps: usize,
}

/// An array, and how many of its elements are still to be written.
struct Open {
    table: Table,
    next: usize,
    left: usize,
}

impl Writer<'_, '_> {
    /// Not recursive for arrays: a script can nest them as deep as it likes, even put one into itself.
    fn value(&mut self, value: Value) -> mlua::Result<()> {
        let outer = self.depth;
        let mut open: Vec<Open> = Vec::new();
        open.extend(self.begin(value)?);
        while let Some(array) = open.last_mut() {
            if array.left == 0 {
                open.pop();
                continue;
            }
            array.left -= 1;
            array.next += 1;
            let element = array.table.raw_get(array.next)?;
            self.depth = outer + open.len();
            open.extend(self.begin(element)?);
        }
        self.depth = outer;
        Ok(())
    }

    /// Writes a value or, of an array, its head: then its elements are to be written next.
    fn begin(&mut self, value: Value) -> mlua::Result<Option<Open>> {
        match value {
            Value::String(text) => self.reply.bulk(&text.as_bytes()),
            Value::Integer(integer) => self.reply.integer(integer),
            Value::Number(number) => self.reply.integer(truncate(number)),
            Value::Boolean(value) if self.resp3 => self.reply.boolean(value),
            Value::Boolean(true) => self.reply.integer(1),
            Value::Table(table) => return self.table(table),
            _ => self.reply.null(),
        }
        Ok(None)
    }

    fn table(&mut self, table: Table) -> mlua::Result<Option<Open>> {
        let reply = &mut *self.reply;
        if self.depth >= RESULT_DEPTH_MAX || self.maps >= MAP_DEPTH_MAX {
            reply.error("ERR reached lua stack limit");
            return Ok(None);
        }
        let field = |name: &str| table.raw_get::<Value>(name);
        if let Value::String(text) = field("err")? {
            reply.error_bytes(&text.as_bytes());
            return Ok(None);
        }
        if let Value::String(text) = field("ok")? {
            reply.simple_bytes(&text.as_bytes());
            return Ok(None);
        }
        match field("double")? {
            Value::Integer(number) => {
                reply.double(number as f64);
                return Ok(None);
            }
            Value::Number(number) => {
                reply.double(number);
                return Ok(None);
            }
            _ => {}
        }
        if let Value::Table(map) = field("map")? {
            reply.map(count(&map)?);
            self.members(&map, true)?;
            return Ok(None);
        }
        if let Value::Table(set) = field("set")? {
            reply.set(count(&set)?);
            self.members(&set, false)?;
            return Ok(None);
        }
        if let Value::String(digits) = field("big_number")? {
            reply.big_number(&one_line(&digits.as_bytes()));
            return Ok(None);
        }
        if let Value::Table(verbatim) = field("verbatim_string")?
            && let (Value::String(format), Value::String(text)) = (
                verbatim.raw_get::<Value>("format")?,
                verbatim.raw_get::<Value>("string")?,
            )
        {
            reply.verbatim(&format.to_string_lossy(), &text.as_bytes());
            return Ok(None);
        }
        // The array ends at the first nil, which need not be where Lua sees its end.
        let mut left = table.raw_len();
        for index in 1..=left {
            if table.raw_get::<Value>(index)?.is_nil() {
                left = index - 1;
                break;
            }
        }
        reply.array(left);
        Ok(Some(Open {
            table,
            next: 0,
            left,
        }))
    }

    /// The keys of a table, each with its value if `values`.
    fn members(&mut self, table: &Table, values: bool) -> mlua::Result<()> {
        self.depth += 1;
        self.maps += 1;
        table.for_each(|key: Value, value: Value| {
            self.value(key)?;
            if values {
                self.value(value)?;
            }
            Ok(())
        })?;
        self.depth -= 1;
        self.maps -= 1;
        Ok(())
    }
}

fn count(table: &Table) -> mlua::Result<usize> {
    let mut count = 0;
    table.for_each(|_: Value, _: Value| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// A number as an integer, the way that a processor truncates it: what does not fit is the least integer.
fn truncate(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// A text that fits a line: line ends become blanks.
pub(super) fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(['\r', '\n'], " ")
}

/// The version of a number.
pub(super) const fn version(resp3: bool) -> RespVersion {
    if resp3 {
        RespVersion::V3
    } else {
        RespVersion::V2
    }
}
