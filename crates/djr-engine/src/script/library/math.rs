//! `math.random` and `math.randomseed`.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table};

use super::super::host::{bad_argument, error_at_call, wrong_type};
use super::super::interpreter::Shared;

/// Adds both to what the sandbox is built from.
pub(in super::super) fn add(lua: &Lua, shared: &Rc<Shared>, host: &Table) -> mlua::Result<()> {
    let random = Rc::clone(shared);
    host.set(
        "random",
        lua.create_function(move |lua, args: MultiValue| {
            let fraction = random.random.fraction();
            let integer = |index| integer(lua, &args, index, "random");
            match args.len() {
                0 => Ok(fraction),
                1 => {
                    let upper = integer(0)?;
                    if upper < 1 {
                        return Err(bad_argument(lua, 1, "random", "interval is empty"));
                    }
                    Ok((fraction * f64::from(upper)).floor() + 1.0)
                }
                2 => {
                    let (lower, upper) = (integer(0)?, integer(1)?);
                    if lower > upper {
                        return Err(bad_argument(lua, 2, "random", "interval is empty"));
                    }
                    let span = f64::from(upper.wrapping_sub(lower).wrapping_add(1));
                    Ok((fraction * span).floor() + f64::from(lower))
                }
                _ => Err(error_at_call(lua, "wrong number of arguments")),
            }
        })?,
    )?;
    let random = Rc::clone(shared);
    host.set(
        "randomseed",
        lua.create_function(move |lua, args: MultiValue| {
            random.random.seed(integer(lua, &args, 0, "randomseed")?);
            Ok(())
        })?,
    )
}

fn integer(lua: &Lua, args: &MultiValue, index: usize, name: &str) -> mlua::Result<i32> {
    let value = args.get(index);
    let number = value
        .cloned()
        .map(|value| lua.coerce_number(value))
        .transpose()?
        .flatten();
    number
        .map(|number| number as i64 as i32)
        .ok_or_else(|| wrong_type(lua, index + 1, name, "number", value))
}
