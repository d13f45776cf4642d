//! HSET key field value [field value …], HMSET key field value [field value …]

use super::prelude::*;

pub(super) static HSET: CommandSpec = CommandSpec {
    name: "hset",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Sets fields of a hash.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(|context, args, reply| {
        let added = set(context, args, "hset")?;
        reply.integer(added as i64);
        Ok(Effect::Verbatim)
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static HMSET: CommandSpec = CommandSpec {
    name: "hmset",
    summary: "Sets fields of a hash. HSET also says how many were new.",
    run: Run::Write(|context, args, reply| {
        set(context, args, "hmset")?;
        reply.ok();
        Ok(Effect::Verbatim)
    }),
    ..HSET
};

/// Sets the fields; returns how many were new.
fn set(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    command: &str,
) -> Result<usize, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(command.into()));
    }
    let key = context.key(args, 1);
    let (limits, now) = (context.engine.settings.hash_limits(), context.now);
    let longest = args.from(2).map(<[u8]>::len).max().unwrap_or(0);
    let added = context.update_or_insert::<Hash, _>(key, |hash| {
        hash.prepare((args.len() - 2) / 2, longest, limits);
        (2..args.len())
            .step_by(2)
            .filter(|&at| {
                hash.put(
                    args.get(at),
                    args.get(at + 1),
                    FieldExpire::Clear,
                    now,
                    limits,
                )
            })
            .count()
    })?;
    context.notify(Notify::HASH, "hset", key.bytes);
    Ok(added)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_fields_and_counts_the_new_ones() {
        check(
            "HSET h a 1 b 2 | HSET h a 3 c 4 c 5 | HGETALL h | HMSET h a 6 d 7 | HGETALL h | OBJECT ENCODING h",
            "2 | 1 | [a 3 b 2 c 5] | OK | [a 6 b 2 c 5 d 7] | listpack",
        );
    }

    #[test]
    fn refuses_half_a_pair_and_other_types() {
        check(
            "HSET h a | HSET h a 1 b | HMSET h a 1 b | SET s v | HSET s a | HSET s a 1 | EXISTS h",
            "ERR wrong number of arguments for 'hset' command | ERR wrong number of arguments for 'hset' command | \
             ERR wrong number of arguments for 'hmset' command | OK | ERR wrong number of arguments for 'hset' command | \
             WRONGTYPE Operation against a key holding the wrong kind of value | 0",
        );
    }

    #[test]
    fn a_field_that_is_set_has_no_deadline() {
        check(
            "HSET h a 1 b 2 | HEXPIRE h 9 FIELDS 2 a b | HSET h a 3 | HTTL h FIELDS 2 a b | @wait 9001 | HGETALL h",
            "2 | [1 1] | 0 | [-1 9] | ok | [a 3]",
        );
    }

    #[test]
    fn long_values_and_many_fields_make_a_table() {
        let long = "x".repeat(65);
        check(
            &format!("HSET h a 1 | HSET h b {long} | OBJECT ENCODING h | HGET h a"),
            "1 | 1 | hashtable | 1",
        );
        let many: String = (0..512).map(|number| format!(" f{number} v")).collect();
        check(
            &format!(
                "HSET h{many} | OBJECT ENCODING h | HSET h one 1 | OBJECT ENCODING h | HLEN h"
            ),
            "512 | listpack | 1 | hashtable | 513",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "HSET h a 1 | HSET h a 1 | HMSET h b 2",
            "HSET h a 1 | HSET h a 1 | HMSET h b 2",
        );
    }
}
