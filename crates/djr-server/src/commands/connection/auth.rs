//! AUTH [username] password

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::acl::{Origin, Refusal};
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "auth",
    since: "1.0.0",
    group: Group::Connection,
    summary: "Gives the password of a user.",
    syntax: &[Arg::string("username").optional(), Arg::string("password")],
    flags: Flags::ALLOW_BUSY
        .with(Flags::FAST)
        .with(Flags::LOADING)
        .with(Flags::NO_AUTH)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let (user, password) = match args.len() {
        2 => {
            if !context.core.shared.acl.default_has_password() {
                return Err(CommandError::text(
                    "ERR AUTH <password> called without any password configured for the default user. \
                     Are you sure your configuration is correct?",
                ));
            }
            (&b"default"[..], args.get(1))
        }
        3 => (args.get(1), args.get(2)),
        _ => return Err(CommandError::Syntax),
    };
    authenticate(context, args, user, password)?;
    reply.ok();
    Ok(())
}

/// Lets the session in if the user exists, is on, and the password is theirs.
pub(super) fn authenticate(
    context: &mut Context<'_>,
    args: &Args<'_>,
    user: &[u8],
    password: &[u8],
) -> Result {
    let (core, session) = (&context.core, &mut context.session);
    match core.shared.acl.log_in(user, password) {
        Some(identity) => {
            session.log_in(identity);
            Ok(())
        }
        None => {
            let origin = match session.multi {
                Some(_) => Origin::Multi,
                None => Origin::TopLevel,
            };
            let refusal = Refusal {
                reason: "auth",
                origin,
                object: args.get(0).to_vec(),
                username: user.to_vec(),
            };
            core.shared.note_refusal(refusal, &session.info, core.now);
            Err(CommandError::text(
                "WRONGPASS invalid username-password pair or user is disabled.",
            ))
        }
    }
}
