//! SHUTDOWN [[NOSAVE|SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT]

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::shared::Gate;
use crate::shutdown::Wish;

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
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Abort,
    End(Wish),
}

fn parse(words: &[&[u8]]) -> Option<Asked> {
    if let [word] = words
        && word.eq_ignore_ascii_case(b"abort")
    {
        return Some(Asked::Abort);
    }
    let mut wish = Wish::default();
    let are_known = words
        .iter()
        .all(|word| !word.eq_ignore_ascii_case(b"default") && wish.add(word));
    (are_known && !(wish.save && wish.nosave)).then_some(Asked::End(wish))
}

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result {
    let words: Vec<_> = args.from(1).collect();
    let wish = match parse(&words).ok_or(CommandError::Syntax)? {
        // It would have to come between the request and the next turn.
        Asked::Abort => return Err(CommandError::text("ERR No shutdown in progress.")),
        Asked::End(wish) => wish,
    };
    let shared = context.core.shared.clone();
    if shared.gate.bits() & Gate::BUSY != 0 && !wish.nosave {
        // The script keeps the keyspace.
        return Err(shared.engine.scripts.running().busy_error());
    }
    tracing::warn!("User requested shutdown...");
    if !shared.end(wish) {
        return Err(CommandError::text(
            "ERR Errors trying to SHUTDOWN. Check logs.",
        ));
    }
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
    #[case("default", false)]
    fn words_are_accepted_as_in_redis(#[case] words: &str, #[case] accepted: bool) {
        let words: Vec<_> = words.split_ascii_whitespace().map(str::as_bytes).collect();
        assert_eq!(parse(&words).is_some(), accepted);
    }
}
