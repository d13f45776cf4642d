//! PFMERGE destkey [sourcekey ...]

use super::super::prelude::*;
use super::{Corrupt, HEADER, REGISTERS, Registers, dense, sparse};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pfmerge",
    since: "2.8.9",
    group: Group::HyperLogLog,
    summary: "Adds to a HyperLogLog, which is created if there is none, all that was added to others.",
    complexity: "O(n) with a large constant for n keys",
    syntax: &[
        Arg::key(
            "destkey",
            Access::RW.with(Access::ACCESS).with(Access::INSERT),
        ),
        Arg::key("sourcekey", Access::READ).optional().multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: Keys::Explicit(&[
        KeySpec {
            begin: BeginSearch::Index(1),
            find: FindKeys::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
            access: Access::RW.with(Access::ACCESS).with(Access::INSERT),
        },
        KeySpec {
            begin: BeginSearch::Index(2),
            find: FindKeys::Range {
                last: -1,
                step: 1,
                limit: 0,
            },
            access: Access::READ,
        },
    ]),
    run: Run::Write(pfmerge),
    ..CommandSpec::DEFAULT
};

fn pfmerge(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let mut registers = [0; REGISTERS];
    let mut any_dense = false;
    for index in 1..args.len() {
        let key = context.key(args, index);
        let entry = context.db_read().get(key);
        context.count_lookup(key, entry.is_some());
        if let Some(entry) = entry {
            let bytes = super::hll_of(entry.value())?;
            any_dense |= super::is_dense(bytes);
            super::merge(bytes, &mut registers)?;
        }
    }
    let key = context.key(args, 1);
    let sparse_max = super::sparse_max(context.engine);
    match context.db().get_mut(key) {
        Some(mut entry) => {
            entry.edit(|bytes| raise_all(bytes, &registers, any_dense, sparse_max))?
        }
        None => {
            let mut bytes = super::empty();
            raise_all(&mut bytes, &registers, any_dense, sparse_max)?;
            super::store_new(context, key, bytes);
        }
    }
    // Redis has no event of its own for it.
    context.notify(Notify::STRING, "pfadd", key.bytes);
    reply.ok();
    Ok(Effect::Verbatim)
}

/// Raises registers to those given, which are nowhere lower. All is well with the bytes: their registers are among those given.
fn raise_all(
    bytes: &mut Vec<u8>,
    registers: &Registers,
    into_dense: bool,
    sparse_max: usize,
) -> Result<(), Corrupt> {
    if into_dense || super::is_dense(bytes) {
        *bytes = dense::pack(&bytes[..HEADER], registers);
    } else {
        for (index, value) in registers.iter().enumerate() {
            if *value > 0 {
                super::raise(bytes, index, *value, sparse_max)?;
            }
        }
    }
    super::invalidate_count(bytes);
    debug_assert!(super::is_dense(bytes) || sparse::is_whole(bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn merges() {
        check(
            "PFADD a 1 2 3 | PFADD b 3 4 | PFMERGE c a b none | PFCOUNT c | PFMERGE a b | PFCOUNT a | PFMERGE d | PFCOUNT d | \
             PFDEBUG TODENSE b | PFMERGE e a b | PFDEBUG ENCODING e | PFCOUNT e | PFMERGE a b | PFDEBUG ENCODING a | PFCOUNT a",
            "1 | 1 | OK | 4 | OK | 4 | OK | 0 | 1 | OK | dense | 4 | OK | dense | 4",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "PFADD a x | PFMERGE a | PFMERGE b a",
            "PFADD a x | PFMERGE a | PFMERGE b a",
        );
    }
}
