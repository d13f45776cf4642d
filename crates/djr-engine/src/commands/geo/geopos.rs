//! GEOPOS key [member …], GEOHASH key [member …]

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::args::reply_place;
use super::hash::Place;

pub(super) static GEOPOS: CommandSpec = CommandSpec {
    name: "geopos",
    since: "3.2.0",
    group: Group::Geo,
    summary: "Returns the longitude and latitude of members.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("member").optional().multiple(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(|context, args, reply| {
        places(context, args, reply, |reply, place| match place {
            Some(place) => reply_place(reply, place),
            None => reply.null_array(),
        })
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static GEOHASH: CommandSpec = CommandSpec {
    name: "geohash",
    summary: "Returns the geohash strings of members, as geohash.org writes them.",
    run: Run::Read(|context, args, reply| {
        places(context, args, reply, |reply, place| match place {
            Some(place) => reply.bulk(&place.to_text()),
            None => reply.null(),
        })
    }),
    ..GEOPOS
};

fn places(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    answer: impl Fn(&mut Reply<'_>, Option<Place>),
) -> Result<(), CommandError> {
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    reply.array(args.len() - 2);
    for member in args.from(2) {
        let score = set.and_then(|set| set.score(member));
        answer(reply, score.map(Place::of_score));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn tells_places() {
        check(
            "GEOADD g 13.361389 38.115556 Palermo 0 0 zero 180 0 east | GEOPOS g Palermo x zero east | GEOHASH g Palermo x zero east | \
             GEOPOS g | GEOPOS none a | GEOHASH none a | SET s v | GEOPOS s a",
            "3 | [[13.36138933897018433 38.11555639549629859] (nil) [0.00000268220901489 0.00000126736058093] [180 0.00000126736058093]] | \
             [sqc8b49rny0 (nil) s0000000000 80000000000] | [] | [(nil)] | [(nil)] | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
        check(
            "@resp 3 | GEOADD g 13.361389 38.115556 Palermo | GEOPOS g Palermo x",
            "ok | 1 | [[,13.361389338970184 ,38.1155563954963] (nil)]",
        );
    }
}
