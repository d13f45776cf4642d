//! Commands about the connection.

mod auth;
mod client;
mod echo;
mod hello;
mod ping;
mod quit;
mod reset;
mod select;

pub(crate) use client::client_line;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &auth::SPEC,
    &client::SPEC,
    &echo::SPEC,
    &hello::SPEC,
    &ping::SPEC,
    &quit::SPEC,
    &reset::SPEC,
    &select::SPEC,
];

pub(super) static RUNS: &[&[Entry]] = &[client::RUNS, OWN_RUNS];

static OWN_RUNS: &[Entry] = &[
    (&auth::SPEC, ServerRun::Plain(auth::run)),
    (&echo::SPEC, ServerRun::Plain(echo::run)),
    (&hello::SPEC, ServerRun::Plain(hello::run)),
    (&ping::SPEC, ServerRun::Plain(ping::run)),
    (&quit::SPEC, ServerRun::Plain(quit::run)),
    (&reset::SPEC, ServerRun::Plain(reset::run)),
    (&select::SPEC, ServerRun::Plain(select::run)),
];
