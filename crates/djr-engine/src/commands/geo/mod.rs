//! Places on the earth: sorted sets whose scores are places.

mod area;
mod args;
mod geoadd;
mod geodist;
mod geopos;
mod georadius;
mod geosearch;
mod hash;
mod search;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &geoadd::SPEC,
    &geodist::SPEC,
    &geopos::GEOHASH,
    &geopos::GEOPOS,
    &georadius::GEORADIUS,
    &georadius::GEORADIUSBYMEMBER,
    &georadius::GEORADIUSBYMEMBER_RO,
    &georadius::GEORADIUS_RO,
    &geosearch::GEOSEARCH,
    &geosearch::GEOSEARCHSTORE,
];
