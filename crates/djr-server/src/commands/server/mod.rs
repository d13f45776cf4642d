//! Commands about the server.

mod acl;
mod bgrewriteaof;
mod bgsave;
mod command;
mod commandlog;
mod config;
mod debug;
mod info;
mod lastsave;
mod latency;
mod lolwut;
mod memory;
mod module;
mod monitor;
mod replconf;
mod role;
mod save;
mod shutdown;
mod slowlog;
mod sync;
mod time;

pub use debug::start_again;
use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &acl::SPEC,
    &bgrewriteaof::SPEC,
    &bgsave::SPEC,
    &command::SPEC,
    &commandlog::SPEC,
    &config::SPEC,
    &debug::SPEC,
    &info::SPEC,
    &lastsave::SPEC,
    &latency::SPEC,
    &lolwut::SPEC,
    &memory::SPEC,
    &module::SPEC,
    &monitor::SPEC,
    &replconf::SPEC,
    &role::SPEC,
    &save::SPEC,
    &shutdown::SPEC,
    &slowlog::SPEC,
    &sync::SPEC,
    &time::SPEC,
];

pub(super) static RUNS: &[&[Entry]] = &[
    acl::RUNS,
    command::RUNS,
    commandlog::RUNS,
    config::RUNS,
    latency::RUNS,
    memory::RUNS,
    module::RUNS,
    slowlog::RUNS,
    &[
        (&bgrewriteaof::SPEC, ServerRun::Plain(bgrewriteaof::run)),
        (&bgsave::SPEC, ServerRun::Plain(bgsave::run)),
        (&debug::SPEC, ServerRun::TopLevel(debug::run)),
        (&info::SPEC, ServerRun::Plain(info::run)),
        (&lastsave::SPEC, ServerRun::Plain(lastsave::run)),
        (&lolwut::SPEC, ServerRun::Plain(lolwut::run)),
        (&monitor::SPEC, ServerRun::Plain(monitor::run)),
        (&replconf::SPEC, ServerRun::Plain(replconf::run)),
        (&role::SPEC, ServerRun::Plain(role::run)),
        (&save::SPEC, ServerRun::TopLevel(save::run)),
        (&shutdown::SPEC, ServerRun::Plain(shutdown::run)),
        (&sync::SPEC, ServerRun::Plain(sync::run)),
        (&time::SPEC, ServerRun::Plain(time::run)),
    ],
];
