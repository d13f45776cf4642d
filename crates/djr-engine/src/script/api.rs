//! The table `redis` (also called `server`), and what else the sandbox needs of the host.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::cache::Sha;
use super::host::{self, ErrorReply, Place};
use super::interpreter::Shared;
use super::{functions, library};
use crate::REDIS_VERSION;

/// [`REDIS_VERSION`] as a number: a byte each for major, minor and patch.
pub(super) const REDIS_VERSION_NUM: i64 = 0x08_00_06;

const LOG_LEVELS: [(&str, i64); 4] = [
    ("LOG_DEBUG", 0),
    ("LOG_VERBOSE", 1),
    ("LOG_NOTICE", 2),
    ("LOG_WARNING", 3),
];
/// What `redis.set_repl` takes. It changes nothing: what a script wrote is always logged as a whole.
const REPLICATION: [(&str, i64); 5] = [
    ("REPL_NONE", 0),
    ("REPL_AOF", 1),
    ("REPL_SLAVE", 2),
    ("REPL_REPLICA", 2),
    ("REPL_ALL", 3),
];

/// What `sandbox.lua` is called with.
pub(super) fn host_table(lua: &Lua, shared: &Rc<Shared>) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    host.set("reveal", lua.create_function(host::reveal)?)?;
    host.set(
        "position",
        lua.create_function(|lua, ()| {
            let place = Place::of_error(lua);
            let prefix = place.prefix().replace('%', "%%");
            Ok((place.source, place.line, prefix))
        })?,
    )?;
    host.set("results_max", library::RESULTS_MAX)?;
    host.set("invalid_name", functions::INVALID_NAME)?;
    let is_name = |_: &Lua, name: mlua::String| Ok(functions::is_name(&name.as_bytes()));
    host.set("is_name", lua.create_function(is_name)?)?;
    let is_flag = |_: &Lua, name: mlua::String| {
        let mut flags = super::shebang::Flags::default();
        Ok(flags.set(&name.as_bytes()).is_some())
    };
    host.set("is_flag", lua.create_function(is_flag)?)?;
    host.set("redis", redis(lua)?)?;
    library::math::add(lua, shared, &host)?;
    let libraries = lua.create_table()?;
    libraries.set("bit", library::bit::table(lua)?)?;
    libraries.set("struct", library::pack::table(lua)?)?;
    libraries.set("cjson", library::cjson::table(lua, shared)?)?;
    libraries.set("cmsgpack", library::cmsgpack::table(lua)?)?;
    host.set("libraries", libraries)?;
    Ok(host)
}

fn redis(lua: &Lua) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    for (name, value) in LOG_LEVELS.into_iter().chain(REPLICATION) {
        redis.set(name, value)?;
    }
    redis.set("REDIS_VERSION", REDIS_VERSION)?;
    redis.set("REDIS_VERSION_NUM", REDIS_VERSION_NUM)?;
    redis.set("SERVER_NAME", "djr")?;
    redis.set("SERVER_VERSION", env!("CARGO_PKG_VERSION"))?;
    let add = |name: &str, function: fn(&Lua, MultiValue) -> mlua::Result<Value>| {
        redis.set(name, lua.create_function(function)?)
    };
    add("call", |lua, args| {
        Ok(host::with(|host| host.call(lua, &args))???)
    })?;
    add("pcall", |lua, args| {
        match host::with(|host| host.call(lua, &args))?? {
            Ok(value) => Ok(value),
            Err(error) => error.to_table(lua),
        }
    })?;
    add("error_reply", error_reply)?;
    add("status_reply", |lua, args| {
        single_field(lua, &args, |lua, text| {
            let table = lua.create_table_with_capacity(0, 1)?;
            table.raw_set("ok", text)?;
            Ok(Value::Table(table))
        })
    })?;
    add("sha1hex", sha1hex)?;
    add("log", log)?;
    add("setresp", setresp)?;
    add("set_repl", set_repl)?;
    add("acl_check_cmd", |_, args| {
        Ok(Value::Boolean(host::with(|host| host.may_call(&args))??))
    })?;
    add("replicate_commands", |_, _| Ok(Value::Boolean(true)))?;
    add("breakpoint", |_, _| Ok(Value::Boolean(false)))?;
    add("debug", |_, _| Ok(Value::Nil))?;
    Ok(redis)
}

fn single_field(
    lua: &Lua,
    args: &MultiValue,
    make: impl FnOnce(&Lua, &mlua::String) -> mlua::Result<Value>,
) -> mlua::Result<Value> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(text))) => make(lua, text),
        _ => ErrorReply::api("ERR wrong number or type of arguments").to_table(lua),
    }
}

/// A text of one word is a message, and gets the code `ERR`; a leading `-` is not part of it.
fn error_reply(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    single_field(lua, &args, |lua, text| {
        let text = text.as_bytes();
        let text = text.strip_prefix(b"-").unwrap_or(&text);
        let end = text
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |last| last + 1);
        let text = &text[..end];
        let text = if text.contains(&b' ') {
            text.to_vec()
        } else {
            [b"ERR ", text].concat()
        };
        let table = lua.create_table_with_capacity(0, 1)?;
        table.raw_set("err", mlua::String::wrap(text))?;
        Ok(Value::Table(table))
    })
}

fn sha1hex(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() != 1 {
        return Err(ErrorReply::api("ERR wrong number of arguments").into());
    }
    let text = args
        .front()
        .cloned()
        .map(|value| lua.coerce_string(value))
        .transpose()?
        .flatten();
    let hex = Sha::of(
        text.as_ref()
            .map(|text| text.as_bytes())
            .as_deref()
            .unwrap_or_default(),
    )
    .hex();
    Ok(Value::String(lua.create_string(hex)?))
}

/// As C casts a Lua number; what is no number is 0.
fn integer(lua: &Lua, value: Option<&Value>) -> i64 {
    let number = value
        .cloned()
        .and_then(|value| lua.coerce_number(value).ok().flatten());
    number.map_or(0, |number| number as i64)
}

fn log(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() < 2 {
        return Err(ErrorReply::api("ERR redis.log() requires two arguments or more.").into());
    }
    let first = args.front().cloned().unwrap_or(Value::Nil);
    let Some(level) = lua.coerce_number(first)? else {
        return Err(ErrorReply::api("ERR First argument must be a number (log level).").into());
    };
    let level = u8::try_from(level as i64).ok().filter(|level| *level <= 3);
    let level = level.ok_or(ErrorReply::api("ERR Invalid log level."))?;
    let mut line = Vec::new();
    for value in args.into_iter().skip(1) {
        let Some(text) = lua.coerce_string(value)? else {
            continue;
        };
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(&text.as_bytes());
    }
    host::with(|host| host.log(level, &line))?;
    Ok(Value::Nil)
}

fn setresp(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() != 1 {
        return Err(ErrorReply::api("ERR redis.setresp() requires one argument.").into());
    }
    let version = integer(lua, args.front());
    if version != 2 && version != 3 {
        return Err(ErrorReply::api("ERR RESP version must be 2 or 3.").into());
    }
    host::with(|host| host.set_resp3(version == 3))?;
    Ok(Value::Nil)
}

fn set_repl(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() != 1 {
        return Err(ErrorReply::api("ERR redis.set_repl() requires one argument.").into());
    }
    if !(0..=3).contains(&integer(lua, args.front())) {
        return Err(ErrorReply::api(
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )
        .into());
    }
    Ok(Value::Nil)
}
