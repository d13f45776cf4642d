//! CLIENT KILL address | filters

use std::sync::Arc;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::filter::Filter;
use crate::commands::{Context, Result};
use crate::worker::Mail;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "kill",
    since: "2.4.0",
    group: Group::Connection,
    summary: "Ends connections.",
    syntax: &[Arg::one_of(
        "filter",
        &[
            Arg::string("old-format"),
            Arg::one_of(
                "new-format",
                &[
                    Arg::integer("client-id").after("ID").optional().multiple(),
                    Arg::one_of(
                        "client-type",
                        &[
                            Arg::token("normal", "NORMAL"),
                            Arg::token("master", "MASTER"),
                            Arg::token("primary", "PRIMARY"),
                            Arg::token("slave", "SLAVE"),
                            Arg::token("replica", "REPLICA"),
                            Arg::token("pubsub", "PUBSUB"),
                        ],
                    )
                    .after("TYPE")
                    .optional(),
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
                            Arg::token("primary", "PRIMARY"),
                            Arg::token("slave", "SLAVE"),
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
            )
            .multiple(),
        ],
    )],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let old_form = args.len() == 3;
    let shared = context.core.shared.clone();
    let filter = if old_form {
        Filter::address(args.get(2))
    } else {
        let users_and_dbs = (&shared.acl, shared.config.databases());
        Filter::parse(users_and_dbs, args, 2, true)?
    };
    let own = Arc::clone(&context.session.info);
    let mut killed = 0;
    for client in shared.clients.all() {
        if !filter.matches(&client, &own, context.core.now) {
            continue;
        }
        if client.id == own.id {
            killed += 1;
            context.session.close = true;
        } else if shared.clients.remove(client.id) {
            // Out of the directory at once: nobody can see it or kill it again, though its worker closes it a moment later.
            killed += 1;
            shared.workers[client.worker]
                .mailbox
                .send(Mail::Kill(client.id));
        }
    }
    if !old_form {
        reply.integer(killed);
    } else if killed == 0 {
        return Err(CommandError::text("ERR No such client"));
    } else {
        reply.ok();
    }
    Ok(())
}
