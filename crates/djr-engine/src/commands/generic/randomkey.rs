//! RANDOMKEY

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "randomkey",
    group: Group::Generic,
    summary: "Returns a key drawn at random.",
    flags: Flags::READONLY,
    tips: &[
        "request_policy:all_shards",
        "response_policy:special",
        "nondeterministic_output",
    ],
    reach: Reach::Whole,
    run: Run::Read(randomkey),
    ..CommandSpec::DEFAULT
};

/// How often to draw again where only expired keys were met.
const TRIES: usize = 100;

fn randomkey(
    context: &mut ReadContext<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let drawn = (0..TRIES).find_map(|_| context.db.random(context.rng.next()));
    match drawn {
        Some(entry) => reply.bulk(entry.key()),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check};

    #[test]
    fn draws_live_keys_only() {
        check(
            "RANDOMKEY | SET a 1 PX 1 | SET b 2 | @wait 2 | RANDOMKEY | DEL b | RANDOMKEY",
            "(nil) | OK | OK | ok | b | 1 | (nil)",
        );
    }

    #[test]
    fn draws_all_in_the_end() {
        let mut bench = Bench::new();
        bench.line("MSET a 1 b 2 c 3");
        let drawn: std::collections::BTreeSet<_> =
            (0..200).map(|_| bench.line("RANDOMKEY")).collect();
        assert_eq!(drawn.into_iter().collect::<String>(), "abc");
    }
}
