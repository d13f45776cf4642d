//! GEOSEARCH key [FROMMEMBER member|FROMLONLAT longitude latitude] BYRADIUS radius unit|BYBOX width height unit|BYPOLYGON vertices
//! longitude latitude … [ASC|DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH], GEOSEARCHSTORE destination source … [STOREDIST]

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::args::UNITS;
use super::search::{Form, Query};

const FROM: Arg = Arg::one_of(
    "from",
    &[
        Arg::string("member").after("FROMMEMBER"),
        Arg::block(
            "fromlonlat",
            &[Arg::double("longitude"), Arg::double("latitude")],
        )
        .after("FROMLONLAT"),
    ],
);
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block(
            "circle",
            &[
                Arg::double("radius").after("BYRADIUS"),
                Arg::one_of("unit", UNITS),
            ],
        ),
        Arg::block(
            "box",
            &[
                Arg::double("width").after("BYBOX"),
                Arg::double("height"),
                Arg::one_of("unit", UNITS),
            ],
        ),
        Arg::block(
            "polygon",
            &[
                Arg::integer("num-vertices").after("BYPOLYGON"),
                Arg::block(
                    "vertices",
                    &[Arg::double("longitude"), Arg::double("latitude")],
                )
                .multiple(),
            ],
        ),
    ],
);
const ORDER: Arg = Arg::one_of(
    "order",
    &[Arg::token("asc", "ASC"), Arg::token("desc", "DESC")],
)
.optional();
const COUNT: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").after("COUNT"),
        Arg::token("any", "ANY").optional(),
    ],
)
.optional();

pub(super) static GEOSEARCH: CommandSpec = CommandSpec {
    name: "geosearch",
    since: "6.2.0",
    group: Group::Geo,
    summary: "Returns the members within a circle, a box or a polygon.",
    complexity: "O(n + log m) for n members of m in the squares around the shape",
    syntax: &[
        Arg::key("key", Access::READ),
        FROM,
        BY,
        ORDER,
        COUNT,
        Arg::token("withcoord", "WITHCOORD").optional(),
        Arg::token("withdist", "WITHDIST").optional(),
        Arg::token("withhash", "WITHHASH").optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(geosearch),
    ..CommandSpec::DEFAULT
};

pub(super) static GEOSEARCHSTORE: CommandSpec = CommandSpec {
    name: "geosearchstore",
    since: "6.2.0",
    group: Group::Geo,
    summary: "Stores the members within a circle, a box or a polygon.",
    complexity: "O(n + log m) for n members of m in the squares around the shape",
    syntax: &[
        Arg::key("destination", Access::OVERWRITE),
        Arg::key("source", Access::READ),
        FROM,
        BY,
        ORDER,
        COUNT,
        Arg::token("storedist", "STOREDIST").optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(geosearchstore),
    ..CommandSpec::DEFAULT
};

fn geosearch(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    let query = Query::parse(args, Form::Search, false, set)?;
    let found = set.map_or_else(Vec::new, |set| query.run(set));
    query.reply(reply, &found);
    Ok(())
}

fn geosearchstore(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let set = context.counted_object::<SortedSet>(context.key(args, 2))?;
    let query = Query::parse(args, Form::SearchStore, true, set)?;
    let found = set.map_or_else(Vec::new, |set| query.run(set));
    let key = context.key(args, 1);
    Ok(query.store(context, key, found, "geosearchstore", reply))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const ADD: &str = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

    #[test]
    fn finds_what_is_inside() {
        check(
            &format!(
                "{ADD} | GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC | GEOSEARCH g BYBOX 400 400 km FROMMEMBER Palermo ASC WITHDIST | \
                 GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY | GEOSEARCH g BYPOLYGON 3 10 30 20 30 15 45 | \
                 GEOSEARCH g BYPOLYGON 3 10 30 20 30 15 45 WITHDIST WITHCOORD WITHHASH ASC COUNT 1 | \
                 GEOSEARCH none FROMMEMBER x BYRADIUS 1 m | GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 0 m"
            ),
            "2 | [Catania Palermo] | [[Palermo 0.0000] [Catania 166.2742]] | [Palermo] | [Palermo Catania] | \
             [[Catania 271790.7291 3479447370796909 [15.08726745843887329 37.50266842333162032]]] | [] | []",
        );
    }

    #[test]
    fn stores() {
        check(
            &format!(
                "{ADD} | GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km | ZRANGE d 0 -1 | \
                 GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST ASC COUNT 1 | ZRANGE d 0 -1 WITHSCORES | \
                 GEOSEARCHSTORE d none FROMMEMBER x BYRADIUS 1 m | EXISTS d"
            ),
            "2 | 2 | [Palermo Catania] | 1 | [Catania 56.4412578701582] | 0 | 0",
        );
        check_effects(
            &format!("{ADD} | GEOSEARCHSTORE g g FROMLONLAT 15 37 BYRADIUS 100 km"),
            &format!("{ADD} | MULTI | DEL g | ZADD g 3479447370796909 Catania | EXEC"),
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "GEOSEARCH g FROMLONLAT 15 37 FROMMEMBER x BYRADIUS 1 km | GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 2 km BYBOX 1 1 km | \
             GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 -1 km | GEOSEARCH g FROMLONLAT 15 37 BYBOX x 1 km | \
             GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 x km | GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 xx | \
             GEOSEARCH g BYRADIUS 1 km WITHDIST ASC | geosearch g FROMLONLAT 1 1 ASC WITHDIST | \
             GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km STOREDIST | GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 1 km WITHDIST",
            "ERR syntax error | ERR syntax error | ERR height or width cannot be negative | ERR need numeric width | ERR need numeric height | \
             ERR unsupported unit provided. please use M, KM, FT, MI | \
             ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH | \
             ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for geosearch | ERR syntax error | \
             ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        );
        check(
            "GEOSEARCH g BYPOLYGON 2 10 30 20 30 ASC | GEOSEARCH g BYPOLYGON x 10 30 20 30 | GEOSEARCH g BYPOLYGON 3 10 30 20 30 ASC | \
             GEOSEARCH g BYPOLYGON 3 10 30 20 30 15 95 | GEOSEARCH g FROMLONLAT 1 1 BYPOLYGON 3 10 30 20 30 15 45 | \
             GEOSEARCH g BYPOLYGON 3 10 30 20 30 15 45 FROMMEMBER x | GEOSEARCH g BYPOLYGON 9223372036854775807 1 1 1 1 1",
            "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices | ERR invalid number of vertices | \
             ERR GEOSEARCH BYPOLYGON must have at least 3 vertices | ERR invalid longitude,latitude pair 15.000000,95.000000 | \
             ERR syntax error | ERR syntax error | ERR GEOSEARCH BYPOLYGON must have at least 3 vertices",
        );
    }
}
