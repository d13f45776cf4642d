//! ZSCORE key member, ZMSCORE key member [member …]

use djr_storage::types::SortedSet;

use super::super::prelude::*;

pub(super) static ZSCORE: CommandSpec = CommandSpec {
    name: "zscore",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Returns the score of a member of a sorted set.",
    syntax: &[Arg::key("key", Access::READ), Arg::string("member")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let set = context.object::<SortedSet>(context.key(args, 1))?;
        reply_score(reply, set.and_then(|set| set.score(args.get(2))));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static ZMSCORE: CommandSpec = CommandSpec {
    name: "zmscore",
    since: "6.2.0",
    group: Group::SortedSet,
    summary: "Returns the scores of members of a sorted set.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("member").multiple(),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let set = context.object::<SortedSet>(context.key(args, 1))?;
        reply.array(args.len() - 2);
        for member in args.from(2) {
            reply_score(reply, set.and_then(|set| set.score(member)));
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

fn reply_score(reply: &mut Reply<'_>, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn tells_scores() {
        check(
            "ZADD z 1.25 a -inf b 1e20 c 3 d | ZSCORE z a | ZMSCORE z a x b c d | ZSCORE none a | ZMSCORE none a b | SET s v | ZMSCORE s a",
            "4 | 1.25 | [1.25 (nil) -inf 1e+20 3] | (nil) | [(nil) (nil)] | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
