//! Hashes.
//!
//! Where Redis 8 and Valkey 9 differ, replies and error texts are those of Redis; what only Valkey has (`HSETEX` with `NX` and `XX`) works too.

#[cfg(test)]
mod events_tests;
mod fields;
mod hdel;
mod hexists;
mod hexpire;
mod hget;
mod hgetall;
mod hgetdel;
mod hgetex;
mod hincrby;
mod hincrbyfloat;
mod hlen;
mod hmget;
mod hpersist;
mod hrandfield;
mod hscan;
mod hset;
mod hsetex;
mod hsetnx;
mod hstrlen;
mod httl;

use prelude::*;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &hdel::SPEC,
    &hexists::SPEC,
    &hexpire::HEXPIRE,
    &hexpire::HEXPIREAT,
    &hexpire::HPEXPIRE,
    &hexpire::HPEXPIREAT,
    &hget::SPEC,
    &hgetall::HGETALL,
    &hgetall::HKEYS,
    &hgetall::HVALS,
    &hgetdel::SPEC,
    &hgetex::SPEC,
    &hincrby::SPEC,
    &hincrbyfloat::SPEC,
    &hlen::SPEC,
    &hmget::SPEC,
    &hpersist::SPEC,
    &hrandfield::SPEC,
    &hscan::SPEC,
    &hset::HMSET,
    &hset::HSET,
    &hsetex::SPEC,
    &hsetnx::SPEC,
    &hstrlen::SPEC,
    &httl::HEXPIRETIME,
    &httl::HPEXPIRETIME,
    &httl::HPTTL,
    &httl::HTTL,
];

/// Answers with a field or a value.
#[inline]
fn reply_element(reply: &mut Reply<'_>, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Int(integer) => reply.bulk_integer(integer),
    }
}

/// The same, or with nothing where there is no such field.
#[inline]
fn reply_optional(reply: &mut Reply<'_>, element: Option<Element<'_>>) {
    match element {
        Some(element) => reply_element(reply, element),
        None => reply.null(),
    }
}

/// What every file here needs.
mod prelude {
    pub(super) use super::super::prelude::*;
    pub(super) use super::{reply_element, reply_optional};
    pub(super) use crate::notify::Notify;
    pub(super) use djr_storage::types::Hash;
    pub(super) use djr_storage::types::hash::{FieldExpire, FieldValue};
    pub(super) use djr_storage::types::listpack::Element;
    pub(super) use djr_storage::value::parse_integer;
}
