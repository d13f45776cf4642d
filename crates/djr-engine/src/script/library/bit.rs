//! `bit`: operations on 32-bit integers.

use mlua::{Lua, MultiValue, Table, Value};

use super::super::host::wrong_type;

/// The library's functions.
pub(in super::super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let fold = |name: &'static str, fold: fn(u32, u32) -> u32| {
        let function = lua.create_function(move |lua, args: MultiValue| {
            let mut bits = argument(lua, &args, 0, name)?;
            for index in 1..args.len() {
                bits = fold(bits, argument(lua, &args, index, name)?);
            }
            Ok(signed(bits))
        })?;
        table.set(name, function)
    };
    fold("band", |a, b| a & b)?;
    fold("bor", |a, b| a | b)?;
    fold("bxor", |a, b| a ^ b)?;
    let map = |name: &'static str, map: fn(u32) -> u32| {
        let function = lua.create_function(move |lua, args: MultiValue| {
            Ok(signed(map(argument(lua, &args, 0, name)?)))
        })?;
        table.set(name, function)
    };
    map("tobit", |bits| bits)?;
    map("bnot", |bits| !bits)?;
    map("bswap", u32::swap_bytes)?;
    let shift = |name: &'static str, shift: fn(u32, u32) -> u32| {
        let function = lua.create_function(move |lua, args: MultiValue| {
            let count = argument(lua, &args, 1, name);
            let bits = argument(lua, &args, 0, name)?;
            Ok(signed(shift(bits, count? & 31)))
        })?;
        table.set(name, function)
    };
    shift("lshift", |bits, count| bits << count)?;
    shift("rshift", |bits, count| bits >> count)?;
    shift("arshift", |bits, count| ((bits as i32) >> count) as u32)?;
    shift("rol", u32::rotate_left)?;
    shift("ror", u32::rotate_right)?;
    table.set("tohex", lua.create_function(tohex)?)?;
    Ok(table)
}

/// `bit.tohex(x [, digits])`: lower case, or upper case for a negative number of digits.
fn tohex(lua: &Lua, args: MultiValue) -> mlua::Result<String> {
    let bits = argument(lua, &args, 0, "tohex")?;
    let digits = match args.get(1) {
        None | Some(Value::Nil) => 8,
        Some(_) => argument(lua, &args, 1, "tohex")? as i32,
    };
    let text = if digits < 0 {
        format!("{bits:08X}")
    } else {
        format!("{bits:08x}")
    };
    Ok(text[8 - digits.unsigned_abs().min(8) as usize..].to_owned())
}

/// The low 32 bits of an argument, rounded to an integer.
fn argument(lua: &Lua, args: &MultiValue, index: usize, name: &str) -> mlua::Result<u32> {
    // Adding this to a double leaves the integer in its low bits, whatever its sign.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let value = args.get(index);
    let number = value
        .cloned()
        .map(|value| lua.coerce_number(value))
        .transpose()?
        .flatten();
    match number {
        Some(number) => Ok((number + ROUND).to_bits() as u32),
        None => Err(wrong_type(lua, index + 1, name, "number", value)),
    }
}

fn signed(bits: u32) -> i64 {
    i64::from(bits as i32)
}
