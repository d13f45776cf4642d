//! Streams.

mod effects;
mod group;
mod ids;
mod read_options;
mod reply;
mod trim_options;
#[cfg(test)]
mod waiting_tests;
mod xack;
mod xadd;
mod xautoclaim;
mod xclaim;
mod xdel;
mod xdelex;
mod xgroup;
mod xinfo;
mod xlen;
mod xpending;
mod xrange;
mod xread;
mod xreadgroup;
mod xsetid;
mod xtrim;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &xack::SPEC,
    &xdelex::XACKDEL,
    &xadd::SPEC,
    &xautoclaim::SPEC,
    &xclaim::SPEC,
    &xdel::SPEC,
    &xdelex::XDELEX,
    &xgroup::SPEC,
    &xinfo::SPEC,
    &xlen::SPEC,
    &xpending::SPEC,
    &xrange::XRANGE,
    &xrange::XREVRANGE,
    &xread::SPEC,
    &xreadgroup::SPEC,
    &xsetid::SPEC,
    &xtrim::SPEC,
];
