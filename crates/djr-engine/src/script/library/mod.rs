//! The libraries that scripts have beside Lua's own.

pub(super) mod bit;
pub(super) mod cjson;
pub(super) mod cmsgpack;
pub(super) mod math;
pub(super) mod pack;

use mlua::{Lua, MultiValue, Value};

use super::host::{bad_argument, wrong_type};

/// No function returns more values than this, so none is called with many more. The binding to Lua holds less than 8000
/// references at a time, and panics at one more.
pub(super) const RESULTS_MAX: usize = 7600;

/// The arguments of a library's function, one after the other, converted and refused as Lua does it.
pub(super) struct Arguments<'a> {
    lua: &'a Lua,
    function: &'static str,
    values: &'a MultiValue,
    next: usize,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(lua: &'a Lua, function: &'static str, values: &'a MultiValue) -> Self {
        Self {
            lua,
            function,
            values,
            next: 0,
        }
    }

    /// The next one as text; a number is text, too.
    pub(super) fn text(&mut self) -> mlua::Result<mlua::String> {
        let value = self.take();
        let text = match value {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Integer(_) | Value::Number(_)) => value
                .cloned()
                .map(|value| self.lua.coerce_string(value))
                .transpose()?
                .flatten(),
            _ => None,
        };
        text.ok_or_else(|| wrong_type(self.lua, self.next, self.function, "string", value))
    }

    /// The next one as a number; text that is one counts.
    pub(super) fn number(&mut self) -> mlua::Result<f64> {
        let value = self.take();
        let number = value
            .cloned()
            .map(|value| self.lua.coerce_number(value))
            .transpose()?
            .flatten();
        number.ok_or_else(|| wrong_type(self.lua, self.next, self.function, "number", value))
    }

    /// The next one as an integer, if it is there.
    pub(super) fn integer_or(&mut self, default: i64) -> mlua::Result<i64> {
        match self.values.get(self.next) {
            None | Some(Value::Nil) => {
                self.next += 1;
                Ok(default)
            }
            Some(_) => Ok(self.number()? as i64),
        }
    }

    /// The error that the argument after the present one does not fit.
    pub(super) fn bad_next(&self, why: &str) -> mlua::Error {
        bad_argument(self.lua, self.next + 1, self.function, why)
    }

    fn take(&mut self) -> Option<&'a Value> {
        self.next += 1;
        self.values.get(self.next - 1)
    }
}

/// The number that a value is.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}
