//! ZRANK key member [WITHSCORE], ZREVRANK key member [WITHSCORE]

use djr_storage::types::SortedSet;

use super::super::prelude::*;

pub(super) static ZRANK: CommandSpec = CommandSpec {
    name: "zrank",
    since: "2.0.0",
    group: Group::SortedSet,
    summary: "Returns how many members of a sorted set come before a member.",
    complexity: "O(log n) in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("member"),
        Arg::token("withscore", "WITHSCORE").optional(),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| rank(context, args, reply, false)),
    ..CommandSpec::DEFAULT
};

pub(super) static ZREVRANK: CommandSpec = CommandSpec {
    name: "zrevrank",
    summary: "Returns how many members of a sorted set come behind a member.",
    run: Run::Read(|context, args, reply| rank(context, args, reply, true)),
    ..ZRANK
};

fn rank(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    reverse: bool,
) -> Result<(), CommandError> {
    if args.len() > 4 {
        let name = if reverse { "zrevrank" } else { "zrank" };
        return Err(CommandError::Arity(name.to_owned()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "WITHSCORE") {
        return Err(CommandError::Syntax);
    }
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(args.get(2))?;
        Some((if reverse { set.len() - 1 - rank } else { rank }, score))
    });
    match found {
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.integer(rank as i64);
            if with_score {
                reply.double(score);
            }
        }
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_from_either_end() {
        check(
            "ZADD z 1 a 2 b 2 c | ZRANK z a | ZRANK z c | ZREVRANK z c | ZREVRANK z a WITHSCORE | ZRANK z x | ZRANK none a withscore | \
             ZRANK z a x | ZREVRANK z a withscore x",
            "3 | 0 | 2 | 0 | [2 1] | (nil) | (nil) | ERR syntax error | ERR wrong number of arguments for 'zrevrank' command",
        );
    }
}
