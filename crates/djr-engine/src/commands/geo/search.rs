//! Finding members by their places: what GEORADIUS and GEOSEARCH have in common.

use djr_protocol::format_double;
use djr_storage::keyspace::Key;
use djr_storage::types::sorted_set::ScoreBound;
use djr_storage::types::{REWRITE_PORTION, SortedSet};

use super::super::prelude::*;
use super::super::sorted_set::{Item, parse_double, store};
use super::area::Shape;
use super::args::{place, radius, reply_distance, reply_place, unit};
use super::hash::{Place, integer_of};

/// Which command it is: what decides how the arguments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS key longitude latitude radius unit …
    Radius,
    /// GEORADIUSBYMEMBER key member radius unit …
    RadiusByMember,
    /// GEOSEARCH key …
    Search,
    /// GEOSEARCHSTORE destination source …
    SearchStore,
}

/// What the arguments ask for.
pub(super) struct Query<'a> {
    /// None if it is unknown because there is no such key, which has the same outcome whatever the shape.
    shape: Option<Shape>,
    /// Meters of the unit of distances.
    unit: f64,
    with_place: bool,
    with_distance: bool,
    with_hash: bool,
    count: Option<usize>,
    /// Any members will do.
    any: bool,
    order: Option<Order>,
    /// The key to store the result at.
    pub(super) destination: Option<&'a [u8]>,
    store_distance: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// Where the center is said to be.
enum From {
    /// Not said yet.
    Nowhere,
    Place(Place),
    /// At a member of a key that is not there.
    Unknown,
}

/// What is said of the shape: GEOSEARCH may name the center before or behind it.
enum By {
    Nothing,
    Circle(f64),
    Box(f64, f64),
    Polygon(Vec<Place>),
}

/// A member that was found.
pub(super) struct Found {
    member: Vec<u8>,
    score: f64,
    place: Place,
    /// In meters.
    distance: f64,
}

impl<'a> Query<'a> {
    /// Reads the arguments. `set` is the value of the source key.
    pub(super) fn parse(
        args: &Args<'a>,
        form: Form,
        may_store: bool,
        set: Option<&SortedSet>,
    ) -> Result<Self, CommandError> {
        let mut query = Self {
            shape: None,
            unit: 1.0,
            with_place: false,
            with_distance: false,
            with_hash: false,
            count: None,
            any: false,
            order: None,
            destination: None,
            store_distance: false,
        };
        let (mut from, mut by) = (From::Nowhere, By::Nothing);
        let mut index = match form {
            Form::Radius => {
                from = From::Place(place(args, 2)?);
                by = By::Circle(query.radius(args, 4)?);
                6
            }
            Form::RadiusByMember => {
                from = at_member(set, args.get(2))?;
                // Nothing is looked at more closely where there is nothing to be found.
                if set.is_some() {
                    by = By::Circle(query.radius(args, 3)?);
                }
                5
            }
            Form::Search => 2,
            Form::SearchStore => {
                query.destination = Some(args.get(1));
                3
            }
        };
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        while index < args.len() {
            let left = args.len() - index - 1;
            if args.is(index, "WITHDIST") {
                query.with_distance = true;
            } else if args.is(index, "WITHHASH") {
                query.with_hash = true;
            } else if args.is(index, "WITHCOORD") {
                query.with_place = true;
            } else if args.is(index, "ANY") {
                query.any = true;
            } else if args.is(index, "ASC") {
                query.order = Some(Order::Ascending);
            } else if args.is(index, "DESC") {
                query.order = Some(Order::Descending);
            } else if left >= 1 && args.is(index, "COUNT") {
                let count = args.integer(index + 1)?;
                if count <= 0 {
                    return Err(CommandError::text("ERR COUNT must be > 0"));
                }
                query.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
                index += 1;
            } else if !is_search
                && may_store
                && left >= 1
                && (args.is(index, "STORE") || args.is(index, "STOREDIST"))
            {
                query.store_distance = args.is(index, "STOREDIST");
                query.destination = Some(args.get(index + 1));
                index += 1;
            } else if form == Form::SearchStore && args.is(index, "STOREDIST") {
                query.store_distance = true;
            } else if is_search {
                index += query.parse_shape(args, index, set, &mut from, &mut by)?;
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        query.check(args, form, &from, &by)?;
        query.shape = match (from, by) {
            (_, By::Polygon(vertices)) => Some(Shape::Polygon { vertices }),
            (From::Place(center), By::Circle(radius)) => Some(Shape::Circle { center, radius }),
            (From::Place(center), By::Box(width, height)) => Some(Shape::Box {
                center,
                width,
                height,
            }),
            _ => None,
        };
        Ok(query)
    }

    /// Reads FROMMEMBER, FROMLONLAT, BYRADIUS, BYBOX or BYPOLYGON. Returns how many more arguments it took.
    fn parse_shape(
        &mut self,
        args: &Args<'_>,
        index: usize,
        set: Option<&SortedSet>,
        from: &mut From,
        by: &mut By,
    ) -> Result<usize, CommandError> {
        let left = args.len() - index - 1;
        // A polygon is its own center.
        let no_center = matches!(from, From::Nowhere) && !matches!(by, By::Polygon(_));
        let no_shape = matches!(by, By::Nothing);
        if no_center && left >= 1 && args.is(index, "FROMMEMBER") {
            *from = at_member(set, args.get(index + 1))?;
            return Ok(1);
        }
        if no_center && left >= 2 && args.is(index, "FROMLONLAT") {
            *from = From::Place(place(args, index + 1)?);
            return Ok(2);
        }
        if no_shape && left >= 2 && args.is(index, "BYRADIUS") {
            *by = By::Circle(self.radius(args, index + 1)?);
            return Ok(2);
        }
        if no_shape && left >= 3 && args.is(index, "BYBOX") {
            let length =
                |index, error| parse_double(args.get(index)).ok_or(CommandError::text(error));
            let width = length(index + 1, "ERR need numeric width")?;
            let height = length(index + 2, "ERR need numeric height")?;
            if width < 0.0 || height < 0.0 {
                return Err(CommandError::text("ERR height or width cannot be negative"));
            }
            self.unit = unit(args, index + 3)?;
            *by = By::Box(width * self.unit, height * self.unit);
            return Ok(3);
        }
        if no_shape && matches!(from, From::Nowhere) && left >= 1 && args.is(index, "BYPOLYGON") {
            let count = args
                .integer(index + 1)
                .map_err(|_| CommandError::text("ERR invalid number of vertices"))?;
            let count = usize::try_from(count)
                .ok()
                .filter(|count| (3..=(left - 1) / 2).contains(count))
                .ok_or(CommandError::text(
                    "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices",
                ))?;
            let vertices = (0..count).map(|number| place(args, index + 2 + 2 * number));
            *by = By::Polygon(vertices.collect::<Result<_, _>>()?);
            return Ok(1 + 2 * count);
        }
        Err(CommandError::Syntax)
    }

    /// In meters; sets the unit.
    fn radius(&mut self, args: &Args<'_>, index: usize) -> Result<f64, CommandError> {
        let (radius, unit) = radius(args, index)?;
        self.unit = unit;
        Ok(radius * unit)
    }

    fn check(&self, args: &Args<'_>, form: Form, from: &From, by: &By) -> Result<(), CommandError> {
        let name = String::from_utf8_lossy(args.get(0));
        if self.destination.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            let subject = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(CommandError::format(format!(
                "ERR {subject} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        if is_search && matches!(from, From::Nowhere) && !matches!(by, By::Polygon(_)) {
            return Err(CommandError::format(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if is_search && matches!(by, By::Nothing) {
            return Err(CommandError::format(format!(
                "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {name}"
            )));
        }
        if self.any && self.count.is_none() {
            return Err(CommandError::text(
                "ERR the ANY argument requires COUNT argument",
            ));
        }
        Ok(())
    }

    /// The members inside, in the order in which they are wanted.
    pub(super) fn run(&self, set: &SortedSet) -> Vec<Found> {
        let Some(shape) = &self.shape else {
            return Vec::new();
        };
        let enough = self.count.filter(|_| self.any).unwrap_or(usize::MAX);
        let center = shape.center();
        let mut found = Vec::new();
        'cells: for cell in shape.cells() {
            let (from, to) = cell.scores();
            let to = ScoreBound {
                score: to,
                is_exclusive: true,
            };
            for (member, score) in set.range(set.score_ranks(ScoreBound::of(from), to)) {
                let place = Place::of_score(score);
                if let Some(distance) = shape.distance_if_inside(center, place) {
                    found.push(Found {
                        member: member.to_vec(),
                        score,
                        place,
                        distance,
                    });
                    if found.len() >= enough {
                        break 'cells;
                    }
                }
            }
        }
        // The nearest ones, unless any will do.
        let order = match (self.order, self.count) {
            (None, Some(_)) if !self.any => Some(Order::Ascending),
            (order, _) => order,
        };
        if let Some(order) = order {
            found.sort_by(|a, b| match order {
                Order::Ascending => a.distance.total_cmp(&b.distance),
                Order::Descending => b.distance.total_cmp(&a.distance),
            });
        }
        found.truncate(self.count.unwrap_or(usize::MAX));
        found
    }

    pub(super) fn reply(&self, reply: &mut Reply<'_>, found: &[Found]) {
        let more = [self.with_distance, self.with_hash, self.with_place];
        let more = more.into_iter().filter(|with| *with).count();
        reply.array(found.len());
        for item in found {
            if more > 0 {
                reply.array(1 + more);
            }
            reply.bulk(&item.member);
            if self.with_distance {
                reply_distance(reply, item.distance / self.unit);
            }
            if self.with_hash {
                reply.integer(integer_of(item.score));
            }
            if self.with_place {
                reply_place(reply, item.place);
            }
        }
    }

    /// Stores what was found at the destination. It is logged as members and scores: another machine's sines may differ in the
    /// last digit.
    pub(super) fn store(
        &self,
        context: &mut WriteContext<'_, '_>,
        destination: Key<'_>,
        found: Vec<Found>,
        event: &'static str,
        reply: &mut Reply<'_>,
    ) -> Effect {
        let score = |item: &Found| {
            if self.store_distance {
                item.distance / self.unit
            } else {
                item.score
            }
        };
        let items: Vec<Item> = found
            .into_iter()
            .map(|item| {
                let score = score(&item);
                (item.member, score)
            })
            .collect();
        let mut rewritten = None;
        if context.db_read().peek(destination).is_some() {
            rewritten = Some(context.rewrite(&[b"DEL", destination.bytes]));
        }
        for portion in items.chunks(REWRITE_PORTION) {
            let scores: Vec<Vec<u8>> = portion
                .iter()
                .map(|(_, score)| {
                    let mut text = Vec::new();
                    format_double(*score, &mut text);
                    text
                })
                .collect();
            let mut words: Vec<&[u8]> = vec![b"ZADD", destination.bytes];
            for (score, (member, _)) in scores.iter().zip(portion) {
                words.extend([&score[..], &member[..]]);
            }
            rewritten = Some(context.rewrite(&words));
        }
        let _: Effect = store(context, destination, items, event, reply);
        rewritten.map_or(Effect::None, Effect::Rewritten)
    }
}

/// The place of a member, if there is a set at all.
fn at_member(set: Option<&SortedSet>, member: &[u8]) -> Result<From, CommandError> {
    let Some(set) = set else {
        return Ok(From::Unknown);
    };
    let score = set.score(member).ok_or(CommandError::text(
        "ERR could not decode requested zset member",
    ))?;
    Ok(From::Place(Place::of_score(score)))
}
