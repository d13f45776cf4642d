//! ACL GETUSER username

use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, Reply};

use super::ADMIN;
use crate::acl::SelectorView;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "getuser",
    since: "6.0.0",
    group: Group::Server,
    summary: "Tells the rules of a user.",
    complexity: "O(N) in the number of passwords and rules of the user",
    syntax: &[Arg::string("username")],
    flags: ADMIN,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let Some(user) = context.core.shared.acl.user(args.get(2)) else {
        reply.null();
        return Ok(());
    };
    let mut selectors = user.selectors();
    let root = selectors.next();
    let with_dbs = root.as_ref().is_some_and(|root| root.dbs.is_some());
    reply.map(if with_dbs { 7 } else { 6 });
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    let passwords = user.passwords();
    reply.array(passwords.len());
    passwords
        .iter()
        .for_each(|hash| reply.bulk(hash.as_bytes()));
    if let Some(root) = &root {
        put(reply, root);
    }
    reply.bulk(b"selectors");
    reply.array(selectors.len());
    for selector in selectors {
        reply.map(if with_dbs { 4 } else { 3 });
        put(reply, &selector);
    }
    Ok(())
}

fn put(reply: &mut Reply<'_>, selector: &SelectorView) {
    reply.bulk(b"commands");
    reply.bulk(selector.commands.as_bytes());
    reply.bulk(b"keys");
    reply.bulk(&selector.keys);
    reply.bulk(b"channels");
    reply.bulk(&selector.channels);
    if let Some(dbs) = &selector.dbs {
        reply.bulk(b"databases");
        reply.bulk(dbs.as_bytes());
    }
}
