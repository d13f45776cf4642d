//! Strings.

mod append;
mod condition;
mod delex;
mod digest;
mod get;
mod getdel;
mod getex;
mod getrange;
mod getset;
mod incr;
mod incrbyfloat;
mod lcs;
mod mget;
mod mset;
mod msetex;
mod set;
mod setex;
mod setnx;
mod setrange;
mod strlen;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &append::SPEC,
    &delex::DELEX,
    &delex::DELIFEQ,
    &digest::SPEC,
    &get::SPEC,
    &getdel::SPEC,
    &getex::SPEC,
    &getrange::GETRANGE,
    &getrange::SUBSTR,
    &getset::SPEC,
    &incr::INCR,
    &incr::DECR,
    &incr::INCRBY,
    &incr::DECRBY,
    &incrbyfloat::SPEC,
    &lcs::SPEC,
    &mget::SPEC,
    &mset::MSET,
    &mset::MSETNX,
    &msetex::SPEC,
    &set::SPEC,
    &setex::SETEX,
    &setex::PSETEX,
    &setnx::SPEC,
    &setrange::SPEC,
    &strlen::SPEC,
];
