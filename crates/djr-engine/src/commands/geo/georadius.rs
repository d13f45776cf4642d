//! GEORADIUS key longitude latitude radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]
//! [STORE key|STOREDIST key], GEORADIUSBYMEMBER key member radius …, and the two that don't store: GEORADIUS_RO, GEORADIUSBYMEMBER_RO

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::args::UNITS;
use super::search::{Form, Query};
use crate::spec::{BeginSearch, FindKeys, KeySpec, Keys};

const KEY: Arg = Arg::key("key", Access::READ);
const PLACE: [Arg; 2] = [Arg::double("longitude"), Arg::double("latitude")];
const MEMBER: Arg = Arg::string("member");
const RADIUS: Arg = Arg::double("radius");
const UNIT: Arg = Arg::one_of("unit", UNITS);
const WITHCOORD: Arg = Arg::token("withcoord", "WITHCOORD").optional();
const WITHDIST: Arg = Arg::token("withdist", "WITHDIST").optional();
const WITHHASH: Arg = Arg::token("withhash", "WITHHASH").optional();
const COUNT: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").after("COUNT"),
        Arg::token("any", "ANY").optional(),
    ],
)
.optional();
const ORDER: Arg = Arg::one_of(
    "order",
    &[Arg::token("asc", "ASC"), Arg::token("desc", "DESC")],
)
.optional();
const STORE: Arg = Arg::one_of(
    "store",
    &[
        Arg::key("storekey", Access::OVERWRITE).after("STORE"),
        Arg::key("storedistkey", Access::OVERWRITE).after("STOREDIST"),
    ],
)
.optional();

const ONE_KEY: FindKeys = FindKeys::Range {
    last: 0,
    step: 1,
    limit: 0,
};

const fn destination(keyword: &'static str, start_from: i32) -> KeySpec {
    KeySpec {
        begin: BeginSearch::Keyword {
            keyword,
            start_from,
        },
        find: ONE_KEY,
        access: Access::OVERWRITE.with(Access::VARIABLE),
    }
}

/// The source, and a destination behind either word.
const fn keys(start_from: i32) -> [KeySpec; 3] {
    let source = KeySpec {
        begin: BeginSearch::Index(1),
        find: ONE_KEY,
        access: Access::READ,
    };
    [
        source,
        destination("STORE", start_from),
        destination("STOREDIST", start_from),
    ]
}

/// The key, and the destination: the last one, behind either word. (A specification finds the first of each word.)
fn find_keys(args: &Args<'_>, found: &mut dyn FnMut(usize, Access)) {
    found(1, Access::READ);
    let mut destination = None;
    // Options begin here, or behind the unit.
    let mut index = 5;
    while index < args.len() {
        if args.is(index, "COUNT") {
            index += 1;
        } else if args.is(index, "STORE") || args.is(index, "STOREDIST") {
            destination = (index + 1 < args.len())
                .then_some(index + 1)
                .or(destination);
            index += 1;
        }
        index += 1;
    }
    if let Some(destination) = destination {
        found(destination, Access::OVERWRITE);
    }
}

pub(super) static GEORADIUS: CommandSpec = CommandSpec {
    name: "georadius",
    since: "3.2.0",
    group: Group::Geo,
    summary: "Returns or stores the members within a distance of a place.",
    complexity: "O(n + log m) for n members of m in the squares around the circle",
    syntax: &[
        KEY, PLACE[0], PLACE[1], RADIUS, UNIT, WITHCOORD, WITHDIST, WITHHASH, COUNT, ORDER, STORE,
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    keys: Keys::Explicit(&keys(6)),
    find_keys: Some(find_keys),
    run: Run::Write(|context, args, reply| write(context, args, reply, Form::Radius)),
    ..CommandSpec::DEFAULT
};

pub(super) static GEORADIUSBYMEMBER: CommandSpec = CommandSpec {
    name: "georadiusbymember",
    summary: "Returns or stores the members within a distance of a member.",
    syntax: &[
        KEY, MEMBER, RADIUS, UNIT, WITHCOORD, WITHDIST, WITHHASH, COUNT, ORDER, STORE,
    ],
    keys: Keys::Explicit(&keys(5)),
    run: Run::Write(|context, args, reply| write(context, args, reply, Form::RadiusByMember)),
    ..GEORADIUS
};

pub(super) static GEORADIUS_RO: CommandSpec = CommandSpec {
    name: "georadius_ro",
    since: "3.2.10",
    summary: "Returns the members within a distance of a place.",
    syntax: &[
        KEY, PLACE[0], PLACE[1], RADIUS, UNIT, WITHCOORD, WITHDIST, WITHHASH, COUNT, ORDER,
    ],
    flags: Flags::READONLY,
    keys: Keys::FromSyntax,
    find_keys: None,
    run: Run::Read(|context, args, reply| read(context, args, reply, Form::Radius)),
    ..GEORADIUS
};

pub(super) static GEORADIUSBYMEMBER_RO: CommandSpec = CommandSpec {
    name: "georadiusbymember_ro",
    summary: "Returns the members within a distance of a member.",
    syntax: &[
        KEY, MEMBER, RADIUS, UNIT, WITHCOORD, WITHDIST, WITHHASH, COUNT, ORDER,
    ],
    run: Run::Read(|context, args, reply| read(context, args, reply, Form::RadiusByMember)),
    ..GEORADIUS_RO
};

fn read(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), CommandError> {
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    let query = Query::parse(args, form, false, set)?;
    let found = set.map_or_else(Vec::new, |set| query.run(set));
    query.reply(reply, &found);
    Ok(())
}

fn write(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<Effect, CommandError> {
    let set = context.counted_object::<SortedSet>(context.key(args, 1))?;
    let query = Query::parse(args, form, true, set)?;
    let found = set.map_or_else(Vec::new, |set| query.run(set));
    let Some(destination) = query.destination else {
        query.reply(reply, &found);
        return Ok(Effect::None);
    };
    let key = context.engine.keyspace.key(destination);
    Ok(query.store(context, key, found, "georadiusstore", reply))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const ADD: &str = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

    #[test]
    fn the_last_destination_counts() {
        let mut lines = String::from("GEOADD g 13.361389 38.115556 Palermo");
        let mut replies = String::from("1");
        // One shard of many is that of each name.
        for name in 0..20 {
            lines += &format!(
                " | GEORADIUS g 13 38 200 km STOREDIST x STOREDIST y{name} | EXISTS x y{name} | \
                 GEORADIUSBYMEMBER g Palermo 1 m STORE STOREDIST STOREDIST z{name} | EXISTS STOREDIST z{name}"
            );
            replies += " | 1 | 1 | 1 | 1";
        }
        check(&lines, &replies);
    }

    #[test]
    fn finds_what_is_near() {
        check(
            &format!(
                "{ADD} | GEORADIUS g 15 37 200 km | GEORADIUS g 15 37 100 km WITHDIST WITHHASH WITHCOORD | GEORADIUS g 15 37 200 km COUNT 1 | \
                 GEORADIUS g 15 37 200 km DESC COUNT 1 WITHDIST | GEORADIUS g 15 37 200 km COUNT 1 ANY | GEORADIUSBYMEMBER g Palermo 200 km | \
                 GEORADIUSBYMEMBER_RO g Palermo 100 mi DESC WITHDIST | GEORADIUS_RO g 15 37 200000 ft ASC | GEORADIUSBYMEMBER none x -1 km | \
                 GEORADIUS none 15 37 200 km"
            ),
            "2 | [Palermo Catania] | [[Catania 56.4413 3479447370796909 [15.08726745843887329 37.50266842333162032]]] | [Catania] | \
             [[Palermo 190.4424]] | [Palermo] | [Palermo Catania] | [[Palermo 0.0000]] | [Catania] | [] | []",
        );
    }

    #[test]
    fn stores() {
        check(
            &format!(
                "{ADD} | GEORADIUS g 15 37 200 km STORE d | ZRANGE d 0 -1 WITHSCORES | GEORADIUS g 15 37 200 km STORE x STOREDIST d | \
                 ZRANGE d 0 -1 WITHSCORES | EXISTS x | GEORADIUSBYMEMBER g Palermo 1 m STORE d | ZCARD d | GEORADIUS g 0 0 1 m STORE d | EXISTS d"
            ),
            "2 | 2 | [Palermo 3479099956230698 Catania 3479447370796909] | 2 | [Catania 56.4412578701582 Palermo 190.44242984775784] | 0 | \
             1 | 1 | 0 | 0",
        );
        check_effects(
            &format!(
                "{ADD} | GEORADIUS g 15 37 100 km STORE d | GEORADIUS g 15 37 100 km STOREDIST d | GEORADIUS g 0 0 1 m STORE d | GEORADIUS g 0 0 1 m STORE d | GEORADIUS g 15 37 100 km"
            ),
            &format!(
                "{ADD} | ZADD d 3479447370796909 Catania | MULTI | DEL d | ZADD d 56.4412578701582 Catania | EXEC | DEL d"
            ),
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            &format!(
                "{ADD} | GEORADIUS g 15 37 200 km COUNT 0 | GEORADIUS g 15 37 200 km COUNT x | GEORADIUS g 15 37 200 km ANY | \
                 GEORADIUS g 15 37 -1 km | GEORADIUS g 15 37 x km | GEORADIUS g 15 37 1 xx | GEORADIUS g 15 97 1 km | GEORADIUS g x 37 1 km | \
                 GEORADIUS g 15 37 200 km STORE | GEORADIUS g 15 37 200 km STORE d WITHDIST | GEORADIUS_RO g 15 37 200 km STORE d"
            ),
            "2 | ERR COUNT must be > 0 | ERR value is not an integer or out of range | ERR the ANY argument requires COUNT argument | \
             ERR radius cannot be negative | ERR need numeric radius | ERR unsupported unit provided. please use M, KM, FT, MI | \
             ERR invalid longitude,latitude pair 15.000000,97.000000 | ERR value is not a valid float | ERR syntax error | \
             ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options | ERR syntax error",
        );
        check(
            &format!(
                "{ADD} | GEORADIUSBYMEMBER g none 1 km | GEORADIUSBYMEMBER g Palermo x km | SET s v | GEORADIUS s x 37 1 km"
            ),
            "2 | ERR could not decode requested zset member | ERR need numeric radius | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
