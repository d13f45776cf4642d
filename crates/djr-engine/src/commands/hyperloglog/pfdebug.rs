//! PFDEBUG DECODE|ENCODING|GETREG|TODENSE key, PFDEBUG SIMD ON|OFF

use super::super::prelude::*;
use super::{REGISTERS, sparse};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pfdebug",
    since: "2.8.9",
    group: Group::HyperLogLog,
    summary: "Shows how a HyperLogLog is kept, or makes it dense.",
    complexity: "O(n) for n registers",
    syntax: &[
        Arg::string("subcommand"),
        Arg::key("key", Access::RW.with(Access::ACCESS)),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::ADMIN),
    run: Run::Write(pfdebug),
    ..CommandSpec::DEFAULT
};

fn pfdebug(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    if args.is(1, "SIMD") {
        // There is one implementation, whatever is asked for.
        match () {
            () if args.is(2, "ON") => reply.simple("enabled"),
            () if args.is(2, "OFF") => reply.simple("disabled"),
            () => return Err(CommandError::text("ERR Argument must be ON or OFF")),
        }
        return Ok(Effect::None);
    }
    let key = context.key(args, 2);
    let mut db = context.db();
    let Some(mut entry) = db.get_mut(key) else {
        return Err(CommandError::text("ERR The specified key does not exist"));
    };
    let bytes = super::hll_of(entry.entry().value())?;
    let is_dense = super::is_dense(bytes);
    let mut effect = Effect::None;
    let make_dense = |entry: &mut djr_storage::keyspace::EntryMut<'_>| {
        if is_dense {
            return Ok(Effect::None);
        }
        entry.edit(sparse::to_dense).map(|()| Effect::Verbatim)
    };
    match () {
        () if args.is(1, "GETREG") => {
            let mut registers = [0; REGISTERS];
            super::merge(bytes, &mut registers)?;
            effect = make_dense(&mut entry)?;
            reply.array(REGISTERS);
            for register in registers {
                reply.integer(i64::from(register));
            }
        }
        () if args.is(1, "DECODE") => {
            if is_dense {
                return Err(CommandError::text("ERR HLL encoding is not sparse"));
            }
            let mut words = Vec::new();
            for run in sparse::runs(bytes) {
                let run = run.ok_or(super::Corrupt)?;
                words.push(match run.value {
                    0 if run.is_long() => format!("Z:{}", run.len),
                    0 => format!("z:{}", run.len),
                    value => format!("v:{value},{}", run.len),
                });
            }
            reply.bulk(words.join(" ").as_bytes());
        }
        () if args.is(1, "ENCODING") => reply.simple(if is_dense { "dense" } else { "sparse" }),
        () if args.is(1, "TODENSE") => {
            effect = make_dense(&mut entry)?;
            reply.integer(i64::from(!is_dense));
        }
        () => {
            return Err(CommandError::format(format!(
                "ERR Unknown PFDEBUG subcommand '{}'",
                crate::error::quoted(args.get(1), 128)
            )));
        }
    }
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn shows_what_there_is() {
        check(
            "PFADD k a b c | PFDEBUG DECODE k | PFDEBUG ENCODING k | PFDEBUG TODENSE k | PFDEBUG TODENSE k | PFDEBUG ENCODING k | \
             PFDEBUG DECODE k | PFDEBUG FOO k | PFDEBUG FOO none | PFDEBUG SIMD on | PFDEBUG SIMD x",
            "1 | Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603 | sparse | 1 | 0 | dense | ERR HLL encoding is not sparse | \
             ERR Unknown PFDEBUG subcommand 'FOO' | ERR The specified key does not exist | enabled | ERR Argument must be ON or OFF",
        );
    }

    #[test]
    fn logs_what_changes() {
        check_effects(
            "PFADD k a | PFDEBUG GETREG k | PFDEBUG GETREG k | PFDEBUG TODENSE k",
            "PFADD k a | PFDEBUG GETREG k",
        );
    }
}
