//! What it costs that a client may not do everything.

use super::Theatre;
use super::rates::{Rates, Side};
use crate::bench::stream::Opening;
use anyhow::Result;

/// What requests cost of a user with rules about keys, beside those of the default user on the same server.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rates: Rates,
}

/// CPU time, as a part of the default user's.
const GOAL: f64 = 1.03;
/// The keys are those of the third pattern.
const RULES: &[&str] = &[
    "ACL",
    "SETUSER",
    "app",
    "on",
    ">secret",
    "~session:*",
    "~cache:*",
    "~key:*",
    "&news.*",
    "+@all",
    "-@dangerous",
    "-@admin",
];

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    for contender in theatre
        .contenders
        .iter()
        .filter(|contender| contender.is_djr())
    {
        let mut stage = theatre.open(contender)?;
        stage.client.ask(RULES)?;
        args.rates.fill(&stage.server, theatre)?;
        println!("{}: {}\n", contender.name, RULES[2..].join(" "));
        let side = |name: &str, greeting| Side {
            name: name.into(),
            server: &stage.server,
            address: stage.server.address,
            opening: Opening {
                greeting,
                tls: None,
            },
        };
        let sides = [
            side("user with rules", &["AUTH app secret\r\n"]),
            side("default user", &[]),
        ];
        args.rates.compare(&sides, GOAL, theatre)?;
    }
    Ok(())
}
