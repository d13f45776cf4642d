//! PING [message]

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "ping",
    group: Group::Connection,
    summary: "Answers PONG, or the message: the server is there.",
    syntax: &[Arg::string("message").optional()],
    flags: Flags::FAST,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    match args.len() {
        1 | 2 if context.session.is_restricted() => {
            // Among messages, the reply looks like one.
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.get(1));
        }
        1 => reply.simple("PONG"),
        2 => reply.bulk(args.get(1)),
        _ => return Err(CommandError::Arity("ping".into())),
    }
    Ok(())
}
