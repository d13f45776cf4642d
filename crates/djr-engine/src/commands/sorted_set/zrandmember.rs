//! ZRANDMEMBER key [count [WITHSCORES]]

use std::collections::HashSet;

use djr_protocol::RespVersion;
use djr_storage::types::SortedSet;

use super::super::draws::Draws;
use super::super::prelude::*;
use super::replies::{reply_item, reply_member, reply_members};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "zrandmember",
    since: "6.2.0",
    group: Group::SortedSet,
    summary: "Returns random members of a sorted set: different ones, or (with a negative count) perhaps the same again.",
    complexity: "O(m * log n) for m members of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::block(
            "options",
            &[
                Arg::integer("count"),
                Arg::token("withscores", "WITHSCORES").optional(),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(zrandmember),
    ..CommandSpec::DEFAULT
};

fn zrandmember(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = context.key(args, 1);
    if args.len() == 2 {
        match context.object::<SortedSet>(key)? {
            Some(set) => {
                let rank = below(context.rng.next(), set.len());
                if let Some((member, _)) = set.get(rank) {
                    reply_member(reply, member);
                }
            }
            None => reply.null(),
        }
        return Ok(());
    }
    let (draws, with_scores) = Draws::parse_with(args, "WITHSCORES")?;
    let Some(set) = context.object::<SortedSet>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let (len, wanted) = (set.len(), draws.count);
    let mut random = |bound| below(context.rng.next(), bound);
    if draws.repeat {
        let width = if with_scores && reply.version() == RespVersion::V2 {
            2
        } else {
            1
        };
        return draws.answer_repeated(context.engine, reply, width, |reply, count| {
            let items = (0..count).filter_map(|_| set.get(random(len)));
            items.for_each(|item| reply_item(reply, with_scores, item));
        });
    }
    if wanted >= len {
        // All of them, in the order in which Redis goes through them.
        reply_members(reply, with_scores, set.iter().rev());
        return Ok(());
    }
    let ranks = distinct(wanted, len, random);
    let items = ranks.iter().filter_map(|rank| set.get(*rank));
    reply_members(reply, with_scores, Counted(items, wanted));
    Ok(())
}

/// An iterator whose length is known to the caller.
struct Counted<I>(I, usize);

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.1 = self.1.saturating_sub(1);
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl<I: Iterator> ExactSizeIterator for Counted<I> {}

/// A number below `bound`, from random bits.
fn below(bits: u64, bound: usize) -> usize {
    ((u128::from(bits) * bound as u128) >> 64) as usize
}

/// `count` different numbers below `len`, each choice as likely as any other (Floyd's way), in random order.
fn distinct(count: usize, len: usize, mut random: impl FnMut(usize) -> usize) -> Vec<usize> {
    let mut chosen = HashSet::with_capacity(count);
    let mut numbers = Vec::with_capacity(count);
    for last in len - count..len {
        let number = random(last + 1);
        let number = if chosen.insert(number) {
            number
        } else {
            chosen.insert(last);
            last
        };
        numbers.push(number);
        // Else the last ones would always come last.
        let place = random(numbers.len());
        let end = numbers.len() - 1;
        numbers.swap(place, end);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Bench, check};

    #[test]
    fn returns_members() {
        let mut bench = Bench::new();
        for number in 0..300 {
            bench.line(&format!("ZADD z {number} m{number}"));
        }
        for count in [1, 5, 150, 299, 300, 500] {
            let reply = bench.line(&format!("ZRANDMEMBER z {count} WITHSCORES"));
            let words: Vec<_> = reply.trim_matches(['[', ']']).split_whitespace().collect();
            let members: HashSet<_> = words.chunks(2).map(|pair| pair[0]).collect();
            assert_eq!(members.len(), count.min(300));
            assert!(
                words
                    .chunks(2)
                    .all(|pair| pair[0] == format!("m{}", pair[1]))
            );
            let reply = bench.line(&format!("ZRANDMEMBER z -{count}"));
            assert_eq!(reply.split_whitespace().count(), count);
        }
        assert!(bench.line("ZRANDMEMBER z").starts_with('m'));
    }

    #[test]
    fn every_choice_is_as_likely() {
        let mut bits = 1_u64;
        let mut random = |bound| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            below(bits, bound)
        };
        let mut seen = std::collections::HashMap::new();
        for _ in 0..60_000 {
            *seen.entry(distinct(2, 4, &mut random)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 12, "every pair in both orders");
        assert!(
            seen.values().all(|count| (4500..5500).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn answers_like_redis() {
        check(
            "ZRANDMEMBER none | ZRANDMEMBER none 1 | ZADD z 1 a | ZRANDMEMBER z | ZRANDMEMBER z 5 | ZRANDMEMBER z -3 | ZRANDMEMBER z 0 | \
             ZRANDMEMBER z 1 WITHSCORES | @resp 3 | ZRANDMEMBER z -2 WITHSCORES",
            "(nil) | [] | 1 | a | [a] | [a a a] | [] | [a 1] | ok | [[a ,1] [a ,1]]",
        );
        check(
            "ZRANDMEMBER z 1 x | ZRANDMEMBER z 1 WITHSCORES x | ZRANDMEMBER z x | ZRANDMEMBER z -9223372036854775808 | \
             ZRANDMEMBER z 5000000000000000000 WITHSCORES | SET s v | ZRANDMEMBER s",
            "ERR syntax error | ERR syntax error | ERR value is not an integer or out of range | \
             ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807 | ERR value is out of range | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
