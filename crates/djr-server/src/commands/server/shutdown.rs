//! SHUTDOWN [[NOSAVE|SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT]

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::shared::Gate;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "shutdown",
    since: "1.0.0",
    group: Group::Server,
    summary: "Ends the server. The append-only log is complete and durable then.",
    syntax: &[Arg::one_of(
        "abort-selector",
        &[
            Arg::block(
                "save-selector-block",
                &[
                    Arg::one_of(
                        "save-selector",
                        &[Arg::token("nosave", "NOSAVE"), Arg::token("save", "SAVE")],
                    )
                    .optional(),
                    Arg::token("now", "NOW").optional(),
                    Arg::token("force", "FORCE").optional(),
                    Arg::token("safe", "SAFE").optional(),
                    Arg::token("failover", "FAILOVER").optional(),
                ],
            ),
            Arg::token("abort", "ABORT"),
        ],
    )
    .optional()],
    flags: Flags::ADMIN
        .with(Flags::ALLOW_BUSY)
        .with(Flags::LOADING)
        .with(Flags::NO_MULTI)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// What the words ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    save: bool,
    nosave: bool,
    force: bool,
    abort: bool,
}

/// NOW, SAFE and FAILOVER are about replicas and clusters: there are none to wait for.
fn parse(words: &mut dyn Iterator<Item = &[u8]>) -> Option<Options> {
    let mut options = Options::default();
    let mut count = 0;
    for word in words {
        count += 1;
        match &word.to_ascii_lowercase()[..] {
            b"save" => options.save = true,
            b"nosave" => options.nosave = true,
            b"force" => options.force = true,
            b"abort" => options.abort = true,
            b"now" | b"safe" | b"failover" => {}
            _ => return None,
        }
    }
    let contradiction = (options.save && options.nosave) || (options.abort && count > 1);
    (!contradiction).then_some(options)
}

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result {
    let options = parse(&mut args.from(1)).ok_or(CommandError::Syntax)?;
    if options.abort {
        // It would have to come between the request and the next turn.
        return Err(CommandError::text("ERR No shutdown in progress."));
    }
    let shared = &context.core.shared;
    if shared.gate.bits() & Gate::BUSY != 0 && !options.nosave {
        // The script keeps the keyspace.
        return Err(shared.engine.scripts.running().busy_error());
    }
    tracing::warn!("User requested shutdown...");
    if options.save || options.nosave {
        shared.shutdown.set_save(options.save);
    }
    let saves = match options.nosave {
        true => false,
        false => options.save || !shared.config.save_points().is_empty(),
    };
    // Whether it can be written must be known while there is a way back. What changes until the end is in the last one.
    let shared = context.core.shared.clone();
    if saves && shared.snapshots.save_before_the_end(&shared).is_err() {
        if options.force {
            shared.shutdown.set_save(false);
        } else {
            return Err(CommandError::text(
                "ERR Errors trying to SHUTDOWN. Check logs.",
            ));
        }
    }
    shared.shutdown.request();
    shared.wake_workers();
    // No reply: that the connection ends is the answer.
    context.session.close = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", true)]
    #[case("SAVE", true)]
    #[case("nosave now force", true)]
    #[case("SAFE FAILOVER", true)]
    #[case("abort", true)]
    #[case("save nosave", false)]
    #[case("abort now", false)]
    #[case("foo", false)]
    fn words_are_accepted_as_in_redis(#[case] words: &str, #[case] accepted: bool) {
        let mut words = words.split_ascii_whitespace().map(str::as_bytes);
        assert_eq!(parse(&mut words).is_some(), accepted);
    }
}
