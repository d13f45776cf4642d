//! TTL key, PTTL key, EXPIRETIME key, PEXPIRETIME key

use super::super::prelude::*;

const KEY: Arg = Arg::key("key", Access::READ);

pub(super) static TTL: CommandSpec = CommandSpec {
    name: "ttl",
    group: Group::Generic,
    summary: "Returns how many seconds a key has left; -1: it has no deadline, -2: there is no key.",
    syntax: &[KEY],
    flags: Flags::READONLY.with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: Run::Read(|context, args, reply| {
        let now = context.now;
        answer(context, args, reply, |deadline| {
            rounded(left(deadline, now))
        })
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static PTTL: CommandSpec = CommandSpec {
    name: "pttl",
    since: "2.6.0",
    summary: "Returns how many milliseconds a key has left; -1: it has no deadline, -2: there is no key.",
    run: Run::Read(|context, args, reply| {
        let now = context.now;
        answer(context, args, reply, |deadline| left(deadline, now))
    }),
    ..TTL
};

pub(super) static EXPIRETIME: CommandSpec = CommandSpec {
    name: "expiretime",
    since: "7.0.0",
    summary: "Returns a key's deadline in seconds since 1970; -1: it has none, -2: there is no key.",
    tips: &[],
    run: Run::Read(|context, args, reply| answer(context, args, reply, rounded)),
    ..TTL
};

pub(super) static PEXPIRETIME: CommandSpec = CommandSpec {
    name: "pexpiretime",
    summary: "Returns a key's deadline in milliseconds since 1970; -1: it has none, -2: there is no key.",
    run: Run::Read(|context, args, reply| answer(context, args, reply, |deadline| deadline)),
    ..EXPIRETIME
};

fn answer(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    figure: impl FnOnce(UnixMillis) -> i64,
) -> Result<(), CommandError> {
    let entry = context.peek(context.key(args, 1));
    reply.integer(match entry.map(|entry| entry.expire_at()) {
        Some(Some(deadline)) => figure(deadline),
        Some(None) => -1,
        None => -2,
    });
    Ok(())
}

fn left(deadline: UnixMillis, now: UnixMillis) -> i64 {
    deadline.saturating_sub(now).max(0)
}

/// Milliseconds in seconds, to the nearest.
fn rounded(ms: i64) -> i64 {
    ((ms.max(0) as u64 + 500) / 1000) as i64
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn tell_the_deadline() {
        check(
            "TTL k | PTTL k | EXPIRETIME k | PEXPIRETIME k | SET k v | TTL k | PTTL k | EXPIRETIME k | PEXPIRETIME k",
            "-2 | -2 | -2 | -2 | OK | -1 | -1 | -1 | -1",
        );
        check(
            "SET k v PX 1499 | TTL k | PTTL k | EXPIRETIME k | PEXPIRETIME k | @wait 999 | TTL k | @wait 1 | TTL k | @wait 500 | TTL k",
            "OK | 1 | 1499 | 1700000001 | 1700000001499 | ok | 1 | ok | 0 | ok | -2",
        );
        check(
            "SET k v | PEXPIREAT k 9223372036854775807 | EXPIRETIME k",
            "OK | 1 | 9223372036854776",
        );
    }
}
