//! Publish and subscribe.

mod channels;
mod publish;
mod subscribe;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &subscribe::PSUBSCRIBE,
    &publish::PUBLISH,
    &channels::SPEC,
    &subscribe::PUNSUBSCRIBE,
    &publish::SPUBLISH,
    &subscribe::SSUBSCRIBE,
    &subscribe::SUBSCRIBE,
    &subscribe::SUNSUBSCRIBE,
    &subscribe::UNSUBSCRIBE,
];

pub(super) static RUNS: &[&[Entry]] = &[channels::RUNS, OWN_RUNS];

static OWN_RUNS: &[Entry] = &[
    (
        &subscribe::PSUBSCRIBE,
        ServerRun::Plain(subscribe::psubscribe),
    ),
    (&publish::PUBLISH, ServerRun::Plain(publish::publish)),
    (
        &subscribe::PUNSUBSCRIBE,
        ServerRun::Plain(subscribe::punsubscribe),
    ),
    (&publish::SPUBLISH, ServerRun::Plain(publish::spublish)),
    (
        &subscribe::SSUBSCRIBE,
        ServerRun::Plain(subscribe::ssubscribe),
    ),
    (
        &subscribe::SUBSCRIBE,
        ServerRun::Plain(subscribe::subscribe),
    ),
    (
        &subscribe::SUNSUBSCRIBE,
        ServerRun::Plain(subscribe::sunsubscribe),
    ),
    (
        &subscribe::UNSUBSCRIBE,
        ServerRun::Plain(subscribe::unsubscribe),
    ),
];
