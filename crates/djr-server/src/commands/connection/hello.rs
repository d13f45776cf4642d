//! HELLO [protover [AUTH username password] [SETNAME clientname]]

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};
use djr_protocol::RespVersion;
use djr_storage::value::parse_integer;

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hello",
    since: "6.0.0",
    group: Group::Connection,
    summary: "Chooses the protocol version, may log in and name the client, and tells about the server.",
    syntax: &[Arg::block(
        "arguments",
        &[
            Arg::integer("protover"),
            Arg::block("auth", &[Arg::string("username"), Arg::string("password")])
                .after("AUTH")
                .optional(),
            Arg::string("clientname").after("SETNAME").optional(),
        ],
    )
    .optional()],
    flags: Flags::ALLOW_BUSY
        .with(Flags::FAST)
        .with(Flags::LOADING)
        .with(Flags::NO_AUTH)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let version = match args.len() {
        1 => None,
        _ => match parse_integer(args.get(1)) {
            Some(2) => Some(RespVersion::V2),
            Some(3) => Some(RespVersion::V3),
            Some(_) => return Err(CommandError::text("NOPROTO unsupported protocol version")),
            None => {
                return Err(CommandError::text(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
        },
    };
    let mut credentials = None;
    let mut name = None;
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index - 1;
        if args.is(index, "auth") && left >= 2 {
            credentials = Some((args.get(index + 1), args.get(index + 2)));
            index += 3;
        } else if args.is(index, "setname") && left >= 1 {
            name = Some(checked_name(args.get(index + 1))?);
            index += 2;
        } else {
            let option = String::from_utf8_lossy(args.get(index));
            return Err(CommandError::format(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if let Some((user, password)) = credentials {
        super::auth::authenticate(context, args, user, password)?;
    }
    if !context.session.identity.is_authenticated() {
        return Err(CommandError::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    if let Some(name) = name {
        context.session.info.names.lock().change().name = name;
    }
    if let Some(version) = version {
        context.session.version = version;
        context
            .session
            .info
            .resp3
            .store(version == RespVersion::V3, Relaxed);
        reply.set_version(version);
    }
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(match context.session.version {
        RespVersion::V2 => 2,
        RespVersion::V3 => 3,
    });
    reply.bulk(b"id");
    reply.integer(context.session.info.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// A name for a client, if it is one: it must not break the lines of CLIENT LIST.
pub(super) fn checked_name(name: &[u8]) -> std::result::Result<String, CommandError> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(CommandError::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}
