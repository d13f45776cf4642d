//! COMMAND DOCS [command-name ...]

use djr_engine::command::Command;
use djr_engine::spec::{Arg, ArgKind, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "docs",
    since: "7.0.0",
    group: Group::Server,
    summary: "Documents commands.",
    syntax: &[Arg::string("command-name").optional().multiple()],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    tips: &["nondeterministic_output_order"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let registry = context.core.shared.engine.registry;
    let commands: Vec<&Command> = if args.len() == 2 {
        registry.callable().collect()
    } else {
        args.from(2)
            .filter_map(|name| registry.by_full_name(name))
            .collect()
    };
    reply.map(commands.len());
    for command in commands {
        write(reply, command);
    }
    Ok(())
}

fn write(reply: &mut Reply<'_>, command: &Command) {
    let spec = command.spec;
    reply.bulk(command.full_name.as_bytes());
    let fields =
        4 + usize::from(!spec.syntax.is_empty()) + usize::from(!command.subcommands.is_empty());
    reply.map(fields);
    for (name, text) in [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !spec.syntax.is_empty() {
        reply.bulk(b"arguments");
        let mut key = KeySpecIndex {
            command,
            next: 0,
            seen: 0,
        };
        write_arguments(reply, spec.syntax, &mut key);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|sub| write(reply, sub));
    }
}

/// Which key specification the next key argument belongs to.
struct KeySpecIndex<'a> {
    command: &'a Command,
    next: usize,
    /// Keys of the current specification so far.
    seen: i32,
}

impl KeySpecIndex<'_> {
    fn take(&mut self) -> usize {
        use djr_engine::spec::FindKeys;
        let index = self.next;
        // Neighbours that are used alike share one.
        let keys = match self.command.keys.get(index).map(|spec| spec.find) {
            Some(FindKeys::Range { last, .. }) if last > 0 => last + 1,
            _ => 1,
        };
        self.seen += 1;
        if self.seen >= keys {
            self.seen = 0;
            self.next = (index + 1).min(self.command.keys.len().saturating_sub(1));
        }
        index
    }
}

fn write_arguments(reply: &mut Reply<'_>, args: &[Arg], key: &mut KeySpecIndex<'_>) {
    reply.array(args.len());
    for arg in args {
        let flags: Vec<_> = [
            (arg.optional, "optional"),
            (arg.multiple, "multiple"),
            (arg.multiple_token, "multiple_token"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect();
        let inner = match arg.kind {
            ArgKind::OneOf(inner) | ArgKind::Block(inner) => Some(inner),
            _ => None,
        };
        let is_key = matches!(arg.kind, ArgKind::Key(_));
        let fields = 2
            + usize::from(inner.is_none())
            + usize::from(is_key)
            + usize::from(arg.token.is_some())
            + usize::from(!flags.is_empty())
            + usize::from(inner.is_some());
        reply.map(fields);
        write_field(reply, "name", arg.name);
        write_field(reply, "type", arg.kind.name());
        if inner.is_none() {
            write_field(reply, "display_text", arg.name);
        }
        if is_key {
            reply.bulk(b"key_spec_index");
            reply.integer(key.take() as i64);
        }
        if let Some(token) = arg.token {
            write_field(reply, "token", token);
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if let Some(inner) = inner {
            reply.bulk(b"arguments");
            write_arguments(reply, inner, key);
        }
    }
}

fn write_field(reply: &mut Reply<'_>, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}
