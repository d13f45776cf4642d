//! SMOVE source destination member

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "smove",
    since: "1.0.0",
    group: Group::Set,
    summary: "Moves a member from one set to another.",
    syntax: &[
        Arg::key(
            "source",
            Access::RW.with(Access::ACCESS).with(Access::DELETE),
        ),
        Arg::key("destination", Access::RW.with(Access::INSERT)),
        Arg::string("member"),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(smove),
    ..CommandSpec::DEFAULT
};

fn smove(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (source, destination) = (context.key(args, 1), context.key(args, 2));
    let member = args.get(3);
    let found = match context.object::<Set>(source)? {
        None => {
            reply.integer(0);
            return Ok(Effect::None);
        }
        Some(set) => set.contains(member),
    };
    let is_new = !context
        .object::<Set>(destination)?
        .is_some_and(|set| set.contains(member));
    reply.integer(i64::from(found));
    if !found || source.bytes == destination.bytes {
        return Ok(Effect::None);
    }
    context.update::<Set, _>(source, |set| set.remove(member))?;
    context.notify_update(Notify::SET, "srem", source);
    if is_new {
        let limits = context.engine.settings.set_limits();
        context.update_or_insert::<Set, _>(destination, |set| {
            if set.is_empty() {
                set.prepare(member, 1, limits);
            }
            set.add(member, limits);
        })?;
        context.notify(Notify::SET, "sadd", destination.bytes);
    }
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn moves_a_member() {
        check(
            "SADD a x y | SMOVE a b x | SMOVE a b x | SMEMBERS b | SADD b y | SMOVE a b y | EXISTS a | SMEMBERS b | SMOVE b b x | SMOVE b b z | SMOVE a b x",
            "2 | 1 | 0 | [x] | 1 | 1 | 0 | [x y] | 1 | 0 | 0",
        );
    }

    #[test]
    fn both_must_be_sets() {
        const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
        check(
            "SET k v | SADD s a | SMOVE k s a | SMOVE s k a | SMOVE s k x | SMOVE none k a | SMEMBERS s",
            &format!("OK | 1 | {WRONG} | {WRONG} | {WRONG} | 0 | [a]"),
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "SADD a x y | SMOVE a b z | SMOVE a a x | SMOVE a b x | SMOVE a b y",
            "SADD a x y | SMOVE a b x | SMOVE a b y",
        );
    }
}
