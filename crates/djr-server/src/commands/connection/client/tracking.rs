//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: client-side caching

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::session::Session;
use crate::tracking::Mode;

pub(super) static TRACKING: CommandSpec = CommandSpec {
    name: "tracking",
    since: "6.0.0",
    group: Group::Connection,
    summary: "Tells this client when keys change that it may have in a cache of its own.",
    complexity: "O(1), O(N) in the number of prefixes",
    syntax: &[
        Arg::one_of(
            "status",
            &[Arg::token("on", "ON"), Arg::token("off", "OFF")],
        ),
        Arg::integer("client-id").after("REDIRECT").optional(),
        Arg::string("prefix")
            .after("PREFIX")
            .optional()
            .multiple_with_token(),
        Arg::token("bcast", "BCAST").optional(),
        Arg::token("optin", "OPTIN").optional(),
        Arg::token("optout", "OPTOUT").optional(),
        Arg::token("noloop", "NOLOOP").optional(),
    ],
    flags: Flags::LOADING.with(Flags::NO_SCRIPT).with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static CACHING: CommandSpec = CommandSpec {
    name: "caching",
    since: "6.0.0",
    group: Group::Connection,
    summary: "Says whether the keys that the next command reads are tracked.",
    syntax: &[Arg::one_of(
        "mode",
        &[Arg::token("yes", "YES"), Arg::token("no", "NO")],
    )],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static GETREDIR: CommandSpec = CommandSpec {
    name: "getredir",
    summary: "Tells which client gets the invalidations meant for this one.",
    syntax: &[],
    ..CACHING
};

pub(super) static TRACKINGINFO: CommandSpec = CommandSpec {
    name: "trackinginfo",
    since: "6.2.0",
    summary: "Tells how this client tracks keys.",
    syntax: &[],
    flags: Flags::LOADING.with(Flags::NO_SCRIPT).with(Flags::STALE),
    ..CACHING
};

/// What `CLIENT TRACKING` says behind ON or OFF.
#[derive(Default)]
struct Options {
    redirect: u64,
    prefixes: Vec<Bytes>,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
}

impl Options {
    fn parse(context: &Context<'_>, args: &Args<'_>) -> std::result::Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            let has_more = index + 1 < args.len();
            if args.is(index, "redirect") && has_more {
                index += 1;
                if options.redirect != 0 {
                    return Err(CommandError::text(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                let client = args.integer(index)?;
                let client = u64::try_from(client).ok();
                let exists = |id: &u64| context.core.shared.clients.get(*id).is_some();
                options.redirect = client.filter(exists).ok_or(CommandError::text(
                    "ERR The client ID you want redirect to does not exist",
                ))?;
            } else if args.is(index, "bcast") {
                options.bcast = true;
            } else if args.is(index, "optin") {
                options.optin = true;
            } else if args.is(index, "optout") {
                options.optout = true;
            } else if args.is(index, "noloop") {
                options.noloop = true;
            } else if args.is(index, "prefix") && has_more {
                index += 1;
                options
                    .prefixes
                    .push(Bytes::copy_from_slice(args.get(index)));
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }

    /// Whether they fit each other, and the way in which the client tracks keys already.
    fn check(&self, session: &Session) -> Result {
        let before = session
            .tracked
            .as_ref()
            .map(|tracked| &tracked.tracker.mode);
        let was_bcast = matches!(before, Some(Mode::Broadcast(_)));
        if !self.bcast && !self.prefixes.is_empty() {
            return Err(CommandError::text(
                "ERR PREFIX option requires BCAST mode to be enabled",
            ));
        }
        if before.is_some() && was_bcast != self.bcast {
            return Err(CommandError::text(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        if self.bcast && (self.optin || self.optout) {
            return Err(CommandError::text(
                "ERR OPTIN and OPTOUT are not compatible with BCAST",
            ));
        }
        if self.optin && self.optout {
            return Err(CommandError::text(
                "ERR You can't specify both OPTIN mode and OPTOUT mode",
            ));
        }
        if self.optin && before == Some(&Mode::OptOut)
            || self.optout && before == Some(&Mode::OptIn)
        {
            return Err(CommandError::text(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        let existing = match before {
            Some(Mode::Broadcast(prefixes)) => prefixes.as_slice(),
            _ => &[],
        };
        check_overlaps(&self.prefixes, existing)
    }

    /// The mode that they ask for. Prefixes are added to those that the client has.
    fn mode(self, session: &Session) -> Mode {
        if self.optin {
            return Mode::OptIn;
        }
        if self.optout {
            return Mode::OptOut;
        }
        if !self.bcast {
            return Mode::Default;
        }
        let mut prefixes = match session
            .tracked
            .as_ref()
            .map(|tracked| &tracked.tracker.mode)
        {
            Some(Mode::Broadcast(prefixes)) => prefixes.clone(),
            _ => Vec::new(),
        };
        let is_new = |prefix: &Bytes| !prefixes.contains(prefix);
        let added: Vec<_> = match self.prefixes.is_empty() {
            // All keys.
            true => [Bytes::new()].into_iter().filter(is_new).collect(),
            false => self.prefixes,
        };
        prefixes.extend(added);
        prefixes.sort_unstable();
        Mode::Broadcast(prefixes)
    }
}

/// No key may have two prefixes of the same client: it would be told twice.
fn check_overlaps(prefixes: &[Bytes], existing: &[Bytes]) -> Result {
    let overlap = |a: &Bytes, b: &Bytes| a.starts_with(b) || b.starts_with(a);
    let refuse = |prefix: &[u8], with: &str, other: &[u8]| {
        Err(CommandError::format(format!(
            "ERR Prefix '{}' overlaps with {with} prefix '{}'. Prefixes for a single client must not overlap.",
            String::from_utf8_lossy(prefix),
            String::from_utf8_lossy(other),
        )))
    };
    for (index, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = existing.iter().find(|other| overlap(prefix, other)) {
            return refuse(prefix, "an existing", other);
        }
        let mut behind = prefixes[index + 1..].iter();
        if let Some(other) = behind.find(|other| overlap(prefix, other)) {
            return refuse(prefix, "another provided", other);
        }
    }
    Ok(())
}

pub(super) fn tracking(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let options = Options::parse(context, args)?;
    if args.is(2, "on") {
        options.check(context.session)?;
        let (redirect, noloop) = (options.redirect, options.noloop);
        let mode = options.mode(context.session);
        context.core.track(context.session, redirect, mode, noloop);
    } else if args.is(2, "off") {
        context.core.untrack(context.session);
    } else {
        return Err(CommandError::Syntax);
    }
    reply.ok();
    Ok(())
}

pub(super) fn caching(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let Some(tracked) = &mut context.session.tracked else {
        return Err(CommandError::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let wanted = if args.is(2, "yes") {
        (
            Mode::OptIn,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        )
    } else if args.is(2, "no") {
        (
            Mode::OptOut,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        )
    } else {
        return Err(CommandError::Syntax);
    };
    if tracked.tracker.mode != wanted.0 {
        return Err(CommandError::text(wanted.1));
    }
    tracked.caching = true;
    reply.ok();
    Ok(())
}

pub(super) fn getredir(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.integer(redirect(context.session));
    Ok(())
}

/// The client that gets the invalidations; 0: this one; -1: none, as nothing is tracked.
fn redirect(session: &Session) -> i64 {
    let tracked = session.tracked.as_ref();
    tracked.map_or(-1, |tracked| tracked.tracker.redirect as i64)
}

pub(super) fn trackinginfo(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let mut flags = Vec::new();
    let mut prefixes: &[Bytes] = &[];
    match &context.session.tracked {
        None => flags.push("off"),
        Some(tracked) => {
            flags.push("on");
            match &tracked.tracker.mode {
                Mode::Default => {}
                Mode::OptIn => flags.push("optin"),
                Mode::OptOut => flags.push("optout"),
                Mode::Broadcast(wanted) => {
                    flags.push("bcast");
                    prefixes = wanted;
                }
            }
            if tracked.caching {
                flags.push(match tracked.tracker.mode {
                    Mode::OptOut => "caching-no",
                    _ => "caching-yes",
                });
            }
            if tracked.tracker.noloop {
                flags.push("noloop");
            }
            if tracked.tracker.is_broken.load(Relaxed) {
                flags.push("broken_redirect");
            }
        }
    }
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect(context.session));
    reply.bulk(b"prefixes");
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    Ok(())
}
