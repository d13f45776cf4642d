//! Sorted sets.

mod bounds;
mod bzpop;
mod combine;
mod replies;
mod zadd;
mod zcount;
mod zmpop;
mod zpop;
mod zrandmember;
mod zrange;
mod zrangestore;
mod zrank;
mod zrem;
mod zremrange;
mod zscan;
mod zscore;
mod zunion;

pub(super) use bounds::parse_double;
pub(super) use combine::{Item, store};
pub(super) use zadd::{Items, Options as AddOptions, add};

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &bzpop::BZMPOP,
    &bzpop::BZPOPMAX,
    &bzpop::BZPOPMIN,
    &zadd::ZADD,
    &zadd::ZINCRBY,
    &zcount::ZCARD,
    &zcount::ZCOUNT,
    &zcount::ZLEXCOUNT,
    &zmpop::ZMPOP,
    &zpop::ZPOPMAX,
    &zpop::ZPOPMIN,
    &zrandmember::SPEC,
    &zrange::ZRANGE,
    &zrange::ZRANGEBYLEX,
    &zrange::ZRANGEBYSCORE,
    &zrange::ZREVRANGE,
    &zrange::ZREVRANGEBYLEX,
    &zrange::ZREVRANGEBYSCORE,
    &zrangestore::SPEC,
    &zrank::ZRANK,
    &zrank::ZREVRANK,
    &zrem::SPEC,
    &zremrange::ZREMRANGEBYLEX,
    &zremrange::ZREMRANGEBYRANK,
    &zremrange::ZREMRANGEBYSCORE,
    &zscan::SPEC,
    &zscore::ZMSCORE,
    &zscore::ZSCORE,
    &zunion::ZDIFF,
    &zunion::ZDIFFSTORE,
    &zunion::ZINTER,
    &zunion::ZINTERCARD,
    &zunion::ZINTERSTORE,
    &zunion::ZUNION,
    &zunion::ZUNIONSTORE,
];
