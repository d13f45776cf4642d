//! CLIENT GETNAME, SETNAME, SETINFO: what a client says about itself

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::connection::hello::checked_name;
use crate::commands::{Context, Result};

pub(super) static GETNAME: CommandSpec = CommandSpec {
    name: "getname",
    since: "2.6.9",
    group: Group::Connection,
    summary: "Tells the name of this connection.",
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static SETNAME: CommandSpec = CommandSpec {
    name: "setname",
    since: "2.6.9",
    group: Group::Connection,
    summary: "Names this connection.",
    syntax: &[Arg::string("connection-name")],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static SETINFO: CommandSpec = CommandSpec {
    name: "setinfo",
    since: "7.2.0",
    group: Group::Connection,
    summary: "Notes the library that the client uses.",
    syntax: &[Arg::one_of(
        "attr",
        &[
            Arg::string("libname").after("LIB-NAME"),
            Arg::string("libver").after("LIB-VER"),
        ],
    )],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn getname(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let names = context.session.info.names.lock();
    let names = names.get();
    if names.name.is_empty() {
        reply.null();
    } else {
        reply.bulk(names.name.as_bytes());
    }
    Ok(())
}

pub(super) fn setname(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let name = checked_name(args.get(2))?;
    context.session.info.names.lock().change().name = name;
    reply.ok();
    Ok(())
}

pub(super) fn setinfo(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let value = args.get(3);
    let mut names = context.session.info.names.lock();
    let names = names.change();
    let option = String::from_utf8_lossy(args.get(2));
    let place = if args.is(2, "lib-name") {
        &mut names.lib_name
    } else if args.is(2, "lib-ver") {
        &mut names.lib_version
    } else {
        return Err(CommandError::format(format!(
            "ERR Unrecognized option '{option}'"
        )));
    };
    if value.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(CommandError::format(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        )));
    }
    *place = String::from_utf8_lossy(value).into_owned();
    reply.ok();
    Ok(())
}
