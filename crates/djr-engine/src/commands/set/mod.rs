//! Sets.

mod combine;
#[cfg(test)]
mod events_tests;
mod sadd;
mod sinter;
mod sismember;
mod smembers;
mod smove;
mod spop;
mod srandmember;
mod srem;
mod sscan;
mod sunion;

use prelude::*;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &sadd::SPEC,
    &sinter::SINTER,
    &sinter::SINTERCARD,
    &sinter::SINTERSTORE,
    &sismember::SISMEMBER,
    &sismember::SMISMEMBER,
    &smembers::SCARD,
    &smembers::SMEMBERS,
    &smove::SPEC,
    &spop::SPEC,
    &srandmember::SPEC,
    &srem::SPEC,
    &sscan::SPEC,
    &sunion::SDIFF,
    &sunion::SDIFFSTORE,
    &sunion::SUNION,
    &sunion::SUNIONSTORE,
];

/// Answers with a member.
#[inline]
fn reply_member(reply: &mut Reply<'_>, member: Element<'_>) {
    match member {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Int(integer) => reply.bulk_integer(integer),
    }
}

/// What every file here needs.
mod prelude {
    pub(super) use super::super::prelude::*;
    pub(super) use super::reply_member;
    pub(super) use crate::notify::Notify;
    pub(super) use djr_storage::types::Set;
    pub(super) use djr_storage::types::listpack::Element;
}
