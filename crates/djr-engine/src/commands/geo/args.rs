//! Places, lengths and units, as clients write them and as they are answered.

use djr_protocol::RespVersion;

use super::super::prelude::*;
use super::super::sorted_set::parse_double;
use super::hash::Place;

/// The choice of a unit.
pub(super) const UNITS: &[Arg] = &[
    Arg::token("m", "M"),
    Arg::token("km", "KM"),
    Arg::token("ft", "FT"),
    Arg::token("mi", "MI"),
];

/// Argument `index` and the next one as longitude and latitude.
pub(super) fn place(args: &Args<'_>, index: usize) -> Result<Place, CommandError> {
    let double = |index| parse_double(args.get(index)).ok_or(CommandError::NotAFloat);
    let place = Place {
        longitude: double(index)?,
        latitude: double(index + 1)?,
    };
    if !place.is_valid() {
        return Err(CommandError::format(format!(
            "ERR invalid longitude,latitude pair {:.6},{:.6}",
            place.longitude, place.latitude
        )));
    }
    Ok(place)
}

/// Argument `index` as a unit, in meters.
pub(super) fn unit(args: &Args<'_>, index: usize) -> Result<f64, CommandError> {
    Ok(if args.is(index, "M") {
        1.0
    } else if args.is(index, "KM") {
        1000.0
    } else if args.is(index, "FT") {
        0.3048
    } else if args.is(index, "MI") {
        1609.34
    } else {
        return Err(CommandError::text(
            "ERR unsupported unit provided. please use M, KM, FT, MI",
        ));
    })
}

/// Argument `index` as a radius and the next one as its unit.
pub(super) fn radius(args: &Args<'_>, index: usize) -> Result<(f64, f64), CommandError> {
    let radius =
        parse_double(args.get(index)).ok_or(CommandError::text("ERR need numeric radius"))?;
    if radius < 0.0 {
        return Err(CommandError::text("ERR radius cannot be negative"));
    }
    Ok((radius, unit(args, index + 1)?))
}

/// A distance with four digits behind the point.
pub(super) fn reply_distance(reply: &mut Reply<'_>, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even();
    // Around the earth it is 4 * 10^11 of the smallest of these units.
    let scaled = scaled as i64;
    let sign = if scaled < 0 { "-" } else { "" };
    let (whole, fraction) = (
        scaled.unsigned_abs() / 10_000,
        scaled.unsigned_abs() % 10_000,
    );
    reply.bulk_display(format_args!("{sign}{whole}.{fraction:04}"));
}

/// Longitude and latitude, with up to 17 digits behind the point, as Redis 7 and Valkey write them.
pub(super) fn reply_place(reply: &mut Reply<'_>, place: Place) {
    reply.array(2);
    for coordinate in [place.longitude, place.latitude] {
        let text = format!("{coordinate:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        if reply.version() == RespVersion::V3 {
            reply.raw(format!(",{text}\r\n").as_bytes());
        } else {
            reply.bulk(text.as_bytes());
        }
    }
}
