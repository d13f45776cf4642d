//! CLIENT LIST [filters], CLIENT INFO

use std::sync::Arc;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use super::filter::Filter;
use super::line::write_line;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "list",
    since: "2.4.0",
    group: Group::Connection,
    summary: "Tells about the connections.",
    syntax: &[
        Arg::one_of(
            "client-type",
            &[
                Arg::token("normal", "NORMAL"),
                Arg::token("master", "MASTER"),
                Arg::token("replica", "REPLICA"),
                Arg::token("pubsub", "PUBSUB"),
            ],
        )
        .after("TYPE")
        .optional(),
        Arg::integer("client-id").after("ID").optional().multiple(),
        Arg::string("username").after("USER").optional(),
        Arg::string("addr").after("ADDR").optional(),
        Arg::string("laddr").after("LADDR").optional(),
        Arg::one_of(
            "skipme",
            &[Arg::token("yes", "YES"), Arg::token("no", "NO")],
        )
        .after("SKIPME")
        .optional(),
        Arg::integer("maxage").after("MAXAGE").optional(),
        Arg::string("name").after("NAME").optional(),
        Arg::integer("idle").after("IDLE").optional(),
        Arg::string("flags").after("FLAGS").optional(),
        Arg::string("lib-name").after("LIB-NAME").optional(),
        Arg::string("lib-ver").after("LIB-VER").optional(),
        Arg::integer("db").after("DB").optional(),
        Arg::string("capa").after("CAPA").optional(),
        Arg::string("ip").after("IP").optional(),
        Arg::one_of(
            "not-client-type",
            &[
                Arg::token("normal", "NORMAL"),
                Arg::token("master", "MASTER"),
                Arg::token("replica", "REPLICA"),
                Arg::token("pubsub", "PUBSUB"),
            ],
        )
        .after("NOT-TYPE")
        .optional(),
        Arg::integer("not-client-id")
            .after("NOT-ID")
            .optional()
            .multiple(),
        Arg::string("not-username").after("NOT-USER").optional(),
        Arg::string("not-addr").after("NOT-ADDR").optional(),
        Arg::string("not-laddr").after("NOT-LADDR").optional(),
        Arg::string("not-name").after("NOT-NAME").optional(),
        Arg::string("not-flags").after("NOT-FLAGS").optional(),
        Arg::string("not-lib-name").after("NOT-LIB-NAME").optional(),
        Arg::string("not-lib-ver").after("NOT-LIB-VER").optional(),
        Arg::integer("not-db").after("NOT-DB").optional(),
        Arg::string("not-capa").after("NOT-CAPA").optional(),
        Arg::string("not-ip").after("NOT-IP").optional(),
    ],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &["nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static INFO: CommandSpec = CommandSpec {
    name: "info",
    since: "6.2.0",
    group: Group::Connection,
    summary: "Tells all about this connection.",
    flags: Flags::LOADING.with(Flags::NO_SCRIPT).with(Flags::STALE),
    tips: &["nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn list(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = context.core.shared.clone();
    let users_and_dbs = (&shared.acl, shared.config.databases());
    let filter = Filter::parse(users_and_dbs, args, 2, false)?;
    let own = Arc::clone(&context.session.info);
    let now = context.core.now;
    let mut text = String::new();
    for client in shared.clients.all() {
        if filter.matches(&client, &own, now) {
            write_line(&mut text, &client, shared.engine.registry, now);
            text.push('\n');
        }
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn info(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let mut text = String::new();
    let registry = context.core.shared.engine.registry;
    write_line(&mut text, &context.session.info, registry, context.core.now);
    text.push('\n');
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}
