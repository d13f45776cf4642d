//! Keys, whatever they hold, and dbs as a whole.

mod copy;
mod dbsize;
mod del;
mod dump;
mod exists;
mod expire;
mod flush;
mod keys;
mod r#move;
mod object;
mod persist;
mod randomkey;
mod rename;
mod restore;
mod scan;
mod sort;
mod swapdb;
mod ttl;
mod r#type;

pub(crate) use scan::scan_footprint;
pub(crate) use sort::footprint as sort_footprint;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &copy::SPEC,
    &dbsize::SPEC,
    &del::DEL,
    &del::UNLINK,
    &dump::SPEC,
    &exists::EXISTS,
    &exists::TOUCH,
    &expire::EXPIRE,
    &expire::EXPIREAT,
    &expire::PEXPIRE,
    &expire::PEXPIREAT,
    &flush::FLUSHALL,
    &flush::FLUSHDB,
    &keys::SPEC,
    &r#move::SPEC,
    &object::SPEC,
    &persist::SPEC,
    &randomkey::SPEC,
    &rename::RENAME,
    &rename::RENAMENX,
    &restore::RESTORE,
    &restore::RESTORE_ASKING,
    &scan::SPEC,
    &sort::SORT,
    &sort::SORT_RO,
    &swapdb::SPEC,
    &ttl::TTL,
    &ttl::PTTL,
    &ttl::EXPIRETIME,
    &ttl::PEXPIRETIME,
    &r#type::SPEC,
];
