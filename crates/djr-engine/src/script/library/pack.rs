//! `struct`: values to bytes and back by a format string.
//!
//! ```text
//! >  big-endian    b B  1 byte        i In I In  4 or n bytes    s   text and a zero byte
//! <  little-endian h H  2 bytes       l L T      8 bytes         cn  n bytes; c0: all of the text, or as
//! !n alignment     x    a zero byte   f d        4, 8 bytes          many as the number before it says
//! ```
//! Lower case is signed. `!` alone aligns to 8; without it nothing is aligned.

use mlua::{Lua, MultiValue, Table, Value};

use super::super::host::{bad_argument, error_at_call, wrong_type};
use super::{Arguments, number_of};

/// Integers are at most so many bytes long.
const INTEGER_SIZE_MAX: usize = 32;

/// The library's functions.
pub(in super::super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("pack", lua.create_function(pack)?)?;
    table.set("unpack", lua.create_function(unpack)?)?;
    table.set("size", lua.create_function(size)?)?;
    Ok(table)
}

/// One item of a format.
#[derive(Clone, Copy, Debug)]
enum Item {
    Integer {
        size: usize,
        signed: bool,
    },
    Float,
    Double,
    Padding,
    /// So many bytes; 0: as many as there are.
    Bytes(usize),
    /// Text up to a zero byte.
    Text,
}

impl Item {
    fn size(self) -> usize {
        match self {
            Self::Integer { size, .. } | Self::Bytes(size) => size,
            Self::Float => 4,
            Self::Double => 8,
            Self::Padding => 1,
            Self::Text => 0,
        }
    }
}

/// Reads a format item by item.
struct Format<'a> {
    lua: &'a Lua,
    function: &'static str,
    rest: &'a [u8],
    big_endian: bool,
    alignment: usize,
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, function: &'static str, format: &'a [u8]) -> Self {
        // A zero byte ends it, as in C.
        let rest = format.split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            lua,
            function,
            rest,
            big_endian: cfg!(target_endian = "big"),
            alignment: 1,
        }
    }

    fn next(&mut self) -> mlua::Result<Option<Item>> {
        while let Some((option, rest)) = self.rest.split_first() {
            self.rest = rest;
            let integer = |size| Item::Integer {
                size,
                signed: option.is_ascii_lowercase(),
            };
            return Ok(Some(match option {
                b'b' | b'B' => integer(1),
                b'h' | b'H' => integer(2),
                b'l' | b'L' | b'T' => integer(8),
                b'i' | b'I' => {
                    let size = self.number(4)?;
                    if size > INTEGER_SIZE_MAX {
                        return Err(error_at_call(
                            self.lua,
                            format!(
                                "integral size {size} is larger than limit of {INTEGER_SIZE_MAX}"
                            ),
                        ));
                    }
                    integer(size)
                }
                b'f' => Item::Float,
                b'd' => Item::Double,
                b'x' => Item::Padding,
                b'c' => Item::Bytes(self.number(1)?),
                b's' => Item::Text,
                b' ' => continue,
                b'>' => {
                    self.big_endian = true;
                    continue;
                }
                b'<' => {
                    self.big_endian = false;
                    continue;
                }
                b'!' => {
                    let alignment = self.number(8)?;
                    if !alignment.is_power_of_two() {
                        let text = format!("alignment {alignment} is not a power of 2");
                        return Err(error_at_call(self.lua, text));
                    }
                    self.alignment = alignment;
                    continue;
                }
                // Only `struct.size` passes over letters that it does not know.
                other if self.function == "size" && other.is_ascii_alphanumeric() => continue,
                other => {
                    let why = format!("invalid format option '{}'", char::from(*other));
                    return Err(bad_argument(self.lua, 1, self.function, &why));
                }
            }));
        }
        Ok(None)
    }

    /// The digits that follow an option.
    fn number(&mut self, default: usize) -> mlua::Result<usize> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(default);
        }
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<i32>().ok());
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| error_at_call(self.lua, "integral size overflow"))
    }

    /// How many bytes stand between `position` and the item, so that it is aligned.
    fn padding(&self, item: Item, position: usize) -> usize {
        let size = match item {
            Item::Bytes(_) | Item::Text => 0,
            item => item.size().min(self.alignment),
        };
        // Sizes that are no power of two are aligned in the same odd way as ever.
        if size == 0 {
            0
        } else {
            size.wrapping_sub(position & (size - 1)) & (size - 1)
        }
    }

    fn bytes<const N: usize>(&self, little: [u8; N]) -> [u8; N] {
        let mut bytes = little;
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, mut args: MultiValue) -> mlua::Result<mlua::String> {
    if !args.is_empty() {
        // A nil ends the arguments: a missing one is said to be nil.
        args.push_back(Value::Nil);
    }
    let mut args = Arguments::new(lua, "pack", &args);
    let format_text = args.text()?;
    let format_text = format_text.as_bytes();
    let mut format = Format::new(lua, "pack", &format_text);
    let mut out = Vec::new();
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(item, out.len()), 0);
        match item {
            Item::Integer { size, .. } => {
                let number = args.number()?;
                // As C converts a double: through a signed integer where it is negative.
                let value = if number < 0.0 {
                    number as i64 as u64
                } else {
                    number as u64
                };
                let mut bytes = [0; INTEGER_SIZE_MAX];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                let bytes = &mut bytes[..size];
                if format.big_endian {
                    bytes.reverse();
                }
                out.extend_from_slice(bytes);
            }
            Item::Float => {
                let number = args.number()? as f32;
                out.extend(format.bytes(number.to_le_bytes()));
            }
            Item::Double => {
                let number = args.number()?;
                out.extend(format.bytes(number.to_le_bytes()));
            }
            Item::Padding => out.push(0),
            Item::Bytes(size) => {
                let text = args.text()?;
                let text = text.as_bytes();
                let size = if size == 0 { text.len() } else { size };
                let bytes = text.get(..size);
                out.extend_from_slice(bytes.ok_or_else(|| args.bad_next("string too short"))?);
            }
            Item::Text => {
                out.extend_from_slice(&args.text()?.as_bytes());
                out.push(0);
            }
        }
    }
    lua.create_string(out)
}

fn unpack(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let mut args = Arguments::new(lua, "unpack", &args);
    let format_text = args.text()?;
    let format_text = format_text.as_bytes();
    let data = args.text()?;
    let data = data.as_bytes();
    let start = args.integer_or(1)?;
    let mut position = match usize::try_from(start) {
        Ok(start) if start > 0 => start - 1,
        Ok(_) => {
            return Err(bad_argument(
                lua,
                3,
                "unpack",
                "offset must be 1 or greater",
            ));
        }
        // As an unsigned number it is far behind the end.
        Err(_) => usize::MAX - 64,
    };
    let too_short = || bad_argument(lua, 2, "unpack", "data string too short");
    let take = |position: usize, size: usize| {
        let end = position.checked_add(size);
        end.and_then(|end| data.get(position..end))
            .ok_or_else(too_short)
    };
    let mut format = Format::new(lua, "unpack", &format_text);
    let mut values: Vec<Value> = Vec::new();
    while let Some(item) = format.next()? {
        position = position.saturating_add(format.padding(item, position));
        let bytes = take(position, item.size())?;
        let mut size = bytes.len();
        match item {
            Item::Integer { signed, .. } => {
                values.push(Value::Number(integer(bytes, format.big_endian, signed)));
            }
            Item::Float => {
                let bytes = format.bytes(bytes.try_into().map_err(|_| too_short())?);
                values.push(Value::Number(f32::from_le_bytes(bytes).into()));
            }
            Item::Double => {
                let bytes = format.bytes(bytes.try_into().map_err(|_| too_short())?);
                values.push(Value::Number(f64::from_le_bytes(bytes)));
            }
            Item::Padding => {}
            Item::Bytes(0) => {
                let number = values.pop().as_ref().and_then(number_of);
                let number = number
                    .ok_or_else(|| error_at_call(lua, "format 'c0' needs a previous size"))?;
                size = number as i64 as usize;
                values.push(Value::String(lua.create_string(take(position, size)?)?));
            }
            Item::Bytes(_) => values.push(Value::String(lua.create_string(bytes)?)),
            Item::Text => {
                let rest = data.get(position..).ok_or_else(too_short)?;
                let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                if text.len() == rest.len() {
                    return Err(error_at_call(lua, "unfinished string in data"));
                }
                values.push(Value::String(lua.create_string(text)?));
                size = text.len() + 1;
            }
        }
        position = position.saturating_add(size);
        if values.len() >= super::RESULTS_MAX {
            return Err(error_at_call(lua, "stack overflow (too many results)"));
        }
    }
    values.push(Value::Integer(position.saturating_add(1) as i64));
    Ok(values.into_iter().collect())
}

fn integer(bytes: &[u8], big_endian: bool, signed: bool) -> f64 {
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if big_endian {
        bytes.iter().fold(0, push)
    } else {
        bytes.iter().rev().fold(0, push)
    };
    if !signed {
        return value as f64;
    }
    // What is above the sign bit takes its value.
    let above = 64_usize.saturating_sub(8 * bytes.len());
    if above == 64 {
        0.0
    } else {
        (((value << above) as i64) >> above) as f64
    }
}

fn size(lua: &Lua, args: MultiValue) -> mlua::Result<i64> {
    let first = args.front();
    let Some(Value::String(text)) = first else {
        return Err(wrong_type(lua, 1, "size", "string", first));
    };
    let text = text.as_bytes();
    let mut format = Format::new(lua, "size", &text);
    let mut position: usize = 0;
    while let Some(item) = format.next()? {
        position = position.saturating_add(format.padding(item, position));
        match item {
            Item::Text => return Err(bad_argument(lua, 1, "size", "option 's' has no fixed size")),
            Item::Bytes(0) => {
                return Err(bad_argument(
                    lua,
                    1,
                    "size",
                    "option 'c0' has no fixed size",
                ));
            }
            item => position = position.saturating_add(item.size()),
        }
    }
    Ok(position as i64)
}
