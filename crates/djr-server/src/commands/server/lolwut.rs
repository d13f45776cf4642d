//! LOLWUT [VERSION version]

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lolwut",
    since: "5.0.0",
    group: Group::Server,
    summary: "Draws something, and tells the version.",
    syntax: &[Arg::integer("version").after("VERSION").optional()],
    flags: Flags::FAST.with(Flags::READONLY),
    ignores_more: true,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let text = format!(
        "  o-o   o-o  o-o\n  |  \\    |  |  )\n  |   O   |  |-<\n  |  /  \\ o  |  \\\n  o-o   o-o  o   o\nDJR ver. {} (Redis ver. {})\n",
        env!("CARGO_PKG_VERSION"),
        crate::REDIS_VERSION
    );
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}
