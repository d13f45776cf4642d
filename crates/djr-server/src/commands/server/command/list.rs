//! COMMAND LIST [FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]

use djr_engine::command::Command;
use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "list",
    since: "7.0.0",
    group: Group::Server,
    summary: "Lists the names of commands.",
    syntax: &[Arg::one_of(
        "filterby",
        &[
            Arg::string("module-name").after("MODULE"),
            Arg::string("category").after("ACLCAT"),
            Arg::pattern("pattern").after("PATTERN"),
        ],
    )
    .after("FILTERBY")
    .optional()],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    tips: &["nondeterministic_output_order"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let registry = context.core.shared.engine.registry;
    let text = args.get(4).to_ascii_lowercase();
    let wanted: &dyn Fn(&Command) -> bool = match args.len() {
        2 => &|_| true,
        5 if args.is(2, "filterby") && args.is(3, "module") => &|_| false,
        5 if args.is(2, "filterby") && args.is(3, "aclcat") => &|command| {
            command
                .categories
                .iter()
                .any(|category| category.as_bytes() == text)
        },
        5 if args.is(2, "filterby") && args.is(3, "pattern") => {
            &|command| djr_engine::glob::matches(&text, command.full_name.as_bytes())
        }
        _ => return Err(CommandError::Syntax),
    };
    let all = registry
        .callable()
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands));
    let names: Vec<_> = all.filter(|command| wanted(command)).collect();
    reply.array(names.len());
    names
        .iter()
        .for_each(|command| reply.bulk(command.full_name.as_bytes()));
    Ok(())
}
