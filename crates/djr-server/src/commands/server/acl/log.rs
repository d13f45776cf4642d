//! ACL LOG [count | RESET]

use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::ADMIN;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "log",
    since: "6.0.0",
    group: Group::Server,
    summary: "Tells what was refused lately, or forgets it.",
    complexity: "O(N) in the number of entries",
    syntax: &[Arg::one_of(
        "operation",
        &[Arg::integer("count"), Arg::token("reset", "RESET")],
    )
    .optional()],
    flags: ADMIN,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// Entries that are shown unless asked otherwise.
const COUNT: i64 = 10;

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len() > 3 {
        return Err(CommandError::text(
            "ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP.",
        ));
    }
    let acl = &context.core.shared.acl;
    if args.len() == 3 && args.is(2, "reset") {
        acl.forget_refusals();
        reply.ok();
        return Ok(());
    }
    let count = match args.len() {
        2 => COUNT,
        _ => args.integer(2)?,
    };
    let entries = acl.latest(usize::try_from(count).unwrap_or(0));
    reply.array(entries.len());
    for entry in entries {
        let age_ms = (context.core.now - entry.updated_ms).max(0);
        reply.map(10);
        reply.bulk(b"count");
        reply.integer(entry.count as i64);
        reply.bulk(b"reason");
        reply.bulk(entry.refusal.reason.as_bytes());
        reply.bulk(b"context");
        reply.bulk(entry.refusal.origin.name().as_bytes());
        reply.bulk(b"object");
        reply.bulk(&entry.refusal.object);
        reply.bulk(b"username");
        reply.bulk(&entry.refusal.username);
        reply.bulk(b"age-seconds");
        reply.double(age_ms as f64 / 1000.0);
        reply.bulk(b"client-info");
        reply.bulk(entry.client.as_bytes());
        reply.bulk(b"entry-id");
        reply.integer(entry.id as i64);
        reply.bulk(b"timestamp-created");
        reply.integer(entry.created_ms);
        reply.bulk(b"timestamp-last-updated");
        reply.integer(entry.updated_ms);
    }
    Ok(())
}
