//! `cjson`: JSON, with the settings, limits and messages of lua-cjson.

mod decode;
mod encode;

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::super::host::{bad_argument, wrong_type};
use super::super::interpreter::Shared;

/// What the functions named `encode_…` and `decode_…` set. It lasts until the script ends.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Config {
    /// An array with many holes becomes an object, not an error.
    sparse_convert: bool,
    /// An array is sparse if its last index is more than this times the number of its elements; 0: never.
    sparse_ratio: i32,
    /// But not up to this index.
    sparse_safe: i32,
    encode_depth_max: i32,
    decode_depth_max: i32,
    /// What NaN and infinities become.
    encode_invalid_numbers: InvalidNumbers,
    /// Whether hexadecimal numbers, NaN and infinities are read.
    decode_invalid_numbers: bool,
    /// Significant digits.
    number_precision: i32,
    keep_buffer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// Whatever a script allows: coding is recursive, and this much fits the stack of a thread.
const DEPTH_LIMIT: i32 = 1500;

const DEFAULT: Config = Config {
    sparse_convert: false,
    sparse_ratio: 2,
    sparse_safe: 10,
    encode_depth_max: 1000,
    decode_depth_max: 1000,
    encode_invalid_numbers: InvalidNumbers::Refused,
    decode_invalid_numbers: true,
    number_precision: 14,
    keep_buffer: true,
};

/// The settings of the table `cjson` itself. Those of the tables that `cjson.new` makes go with them.
pub(in super::super) struct Settings(Rc<Cell<Config>>);

impl Default for Settings {
    fn default() -> Self {
        Self(Rc::new(Cell::new(DEFAULT)))
    }
}

impl Settings {
    /// As they are at the start of a script.
    pub(in super::super) fn reset(&self) {
        self.0.set(DEFAULT);
    }
}

/// The library's functions.
pub(in super::super) fn table(lua: &Lua, shared: &Rc<Shared>) -> mlua::Result<Table> {
    make(lua, Rc::clone(&shared.cjson.0))
}

fn make(lua: &Lua, config: Rc<Cell<Config>>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("_NAME", "cjson")?;
    table.set("_VERSION", "2.1.0")?;
    table.set("null", Value::NULL)?;
    table.set(
        "new",
        lua.create_function(|lua, ()| make(lua, Rc::new(Cell::new(DEFAULT))))?,
    )?;
    let current = Rc::clone(&config);
    table.set(
        "encode",
        lua.create_function(move |lua, args: MultiValue| {
            let value = only(lua, &args, "encode")?;
            lua.create_string(encode::encode(lua, value, &current.get())?)
        })?,
    )?;
    let current = Rc::clone(&config);
    table.set(
        "decode",
        lua.create_function(move |lua, args: MultiValue| {
            let value = only(lua, &args, "decode")?;
            let text = match value {
                Value::String(_) | Value::Integer(_) | Value::Number(_) => {
                    lua.coerce_string(value.clone())?
                }
                _ => None,
            };
            let text = text.ok_or_else(|| wrong_type(lua, 1, "decode", "string", Some(value)))?;
            decode::decode(lua, &text.as_bytes(), &current.get())
        })?,
    )?;
    let setter = |name: &'static str,
                  set: fn(&Setter<'_>, &mut Config) -> mlua::Result<Vec<Value>>| {
        let config = Rc::clone(&config);
        let function = lua.create_function(move |lua, args: MultiValue| {
            let mut changed = config.get();
            let setter = Setter {
                lua,
                name,
                args: &args,
            };
            let values = set(&setter, &mut changed)?;
            config.set(changed);
            Ok(values.into_iter().collect::<MultiValue>())
        })?;
        table.set(name, function)
    };
    setter("encode_sparse_array", |args, config| {
        args.at_most(3)?;
        args.boolean(0, &mut config.sparse_convert)?;
        args.integer(1, &mut config.sparse_ratio, 0, i32::MAX)?;
        args.integer(2, &mut config.sparse_safe, 0, i32::MAX)?;
        Ok(vec![
            Value::Boolean(config.sparse_convert),
            Value::Integer(config.sparse_ratio.into()),
            Value::Integer(config.sparse_safe.into()),
        ])
    })?;
    setter("encode_max_depth", |args, config| {
        args.at_most(1)?;
        args.integer(0, &mut config.encode_depth_max, 1, i32::MAX)
    })?;
    setter("decode_max_depth", |args, config| {
        args.at_most(1)?;
        args.integer(0, &mut config.decode_depth_max, 1, i32::MAX)
    })?;
    setter("encode_number_precision", |args, config| {
        args.at_most(1)?;
        args.integer(0, &mut config.number_precision, 1, 14)
    })?;
    setter("encode_keep_buffer", |args, config| {
        args.at_most(1)?;
        args.boolean(0, &mut config.keep_buffer)
    })?;
    setter("encode_invalid_numbers", |args, config| {
        args.at_most(1)?;
        args.invalid_numbers(&mut config.encode_invalid_numbers)
    })?;
    setter("decode_invalid_numbers", |args, config| {
        args.at_most(1)?;
        args.boolean(0, &mut config.decode_invalid_numbers)
    })?;
    Ok(table)
}

/// The one argument that there must be.
fn only<'a>(lua: &Lua, args: &'a MultiValue, name: &str) -> mlua::Result<&'a Value> {
    match (args.len(), args.front()) {
        (1, Some(value)) => Ok(value),
        _ => Err(bad_argument(lua, 1, name, "expected 1 argument")),
    }
}

/// The arguments of a function that changes settings. One that is not there, or nil, changes nothing.
struct Setter<'a> {
    lua: &'a Lua,
    name: &'static str,
    args: &'a MultiValue,
}

impl Setter<'_> {
    fn at_most(&self, count: usize) -> mlua::Result<()> {
        if self.args.len() > count {
            return Err(bad_argument(
                self.lua,
                count + 1,
                self.name,
                "found too many arguments",
            ));
        }
        Ok(())
    }

    fn integer(
        &self,
        index: usize,
        setting: &mut i32,
        least: i32,
        most: i32,
    ) -> mlua::Result<Vec<Value>> {
        if let Some(value) = self.args.get(index).filter(|value| !value.is_nil()) {
            let number = self.lua.coerce_number(value.clone())?;
            let number = number
                .ok_or_else(|| wrong_type(self.lua, index + 1, self.name, "number", Some(value)))?;
            let number = number as i64;
            *setting = i32::try_from(number)
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| {
                    let why = format!("expected integer between {least} and {most}");
                    bad_argument(self.lua, 1, self.name, &why)
                })?;
        }
        Ok(vec![Value::Integer((*setting).into())])
    }

    fn boolean(&self, index: usize, setting: &mut bool) -> mlua::Result<Vec<Value>> {
        match self.args.get(index) {
            None | Some(Value::Nil) => {}
            Some(Value::Boolean(value)) => *setting = *value,
            Some(value) => *setting = self.option(index, value, &["off", "on"])? == 1,
        }
        Ok(vec![Value::Boolean(*setting)])
    }

    fn invalid_numbers(&self, setting: &mut InvalidNumbers) -> mlua::Result<Vec<Value>> {
        match self.args.front() {
            None | Some(Value::Nil) => {}
            Some(Value::Boolean(true)) => *setting = InvalidNumbers::Written,
            Some(Value::Boolean(false)) => *setting = InvalidNumbers::Refused,
            Some(value) => {
                *setting = match self.option(0, value, &["off", "on", "null"])? {
                    0 => InvalidNumbers::Refused,
                    1 => InvalidNumbers::Written,
                    _ => InvalidNumbers::Null,
                }
            }
        }
        Ok(vec![match setting {
            InvalidNumbers::Refused => Value::Boolean(false),
            InvalidNumbers::Written => Value::Boolean(true),
            InvalidNumbers::Null => Value::String(self.lua.create_string("null")?),
        }])
    }

    fn option(&self, index: usize, value: &Value, options: &[&str]) -> mlua::Result<usize> {
        let text = match value {
            Value::Boolean(_) => None,
            value => self.lua.coerce_string(value.clone())?,
        };
        let Some(text) = text else {
            return Err(wrong_type(
                self.lua,
                index + 1,
                self.name,
                "string",
                Some(value),
            ));
        };
        let found = options.iter().position(|option| text == *option);
        found.ok_or_else(|| {
            let why = format!("invalid option '{}'", text.to_string_lossy());
            bad_argument(self.lua, index + 1, self.name, &why)
        })
    }
}
