//! DEBUG SLEEP seconds, DEBUG SET-ACTIVE-EXPIRE 0|1

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Executor, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "debug",
    since: "1.0.0",
    group: Group::Server,
    summary: "For tests and debugging.",
    syntax: &[Arg::string("subcommand")],
    ignores_more: true,
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// DEBUG SLEEP takes no longer than this.
const SLEEP_SECONDS_MAX: f64 = 3600.0;

pub(super) fn run(
    context: &mut Context<'_>,
    _: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let shared = &context.core.shared;
    if !shared.config.allows_debug(&context.session.info.peer) {
        return Err(CommandError::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ));
    }
    if args.is(1, "sleep") && args.len() == 3 {
        let seconds = std::str::from_utf8(args.get(2))
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|seconds| seconds.is_finite())
            .ok_or(CommandError::NotAFloat)?;
        // As in Redis nothing else runs meanwhile: the whole keyspace is taken.
        let _all = shared
            .engine
            .keyspace
            .open(djr_storage::keyspace::Footprint::ALL, context.core.now);
        std::thread::sleep(Duration::from_secs_f64(
            seconds.clamp(0.0, SLEEP_SECONDS_MAX),
        ));
        reply.ok();
        return Ok(());
    }
    if args.is(1, "set-active-expire") && args.len() == 3 {
        shared.active_expire.store(args.integer(2)? != 0, Relaxed);
        reply.ok();
        return Ok(());
    }
    let name = String::from_utf8_lossy(args.get(1));
    Err(CommandError::format(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
    )))
}
