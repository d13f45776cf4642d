//! DEBUG POPULATE count [prefix] [size]

use djr_engine::{Args, CommandError, Executor, OwnedRequest, Reply};
use djr_protocol::RespVersion;

use super::Sub;
use crate::commands::{Context, Result};
use crate::session::SessionShell;

pub(super) static SUBS: &[Sub] = &[Sub {
    name: "populate",
    syntax: "<count> [<prefix>] [<size>]",
    summary: "Create <count> string keys named key:<num>. If <prefix> is specified then it is used instead of the 'key' prefix. \
              Keys that exist are left as they are. Values are value:<num>; with <size>, they are cut or filled up with zeros to that size.",
    words: 3..=5,
    run: populate,
}];

/// No value may be longer.
const SIZE_MAX: i64 = 512 << 20;

fn populate(
    context: &mut Context<'_>,
    executor: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let out_of_range = || CommandError::text("ERR value is out of range, must be positive");
    let number = |at| args.integer(at).map_err(|_| out_of_range());
    let count = u64::try_from(number(2)?).map_err(|_| out_of_range())?;
    let prefix = match args.len() {
        3 => b"key",
        _ => args.get(3),
    };
    let size = match args.len() {
        5 => Some(number(4)?),
        _ => None,
    };
    let size = match size {
        Some(size @ 1..=SIZE_MAX) => Some(size as usize),
        // As if it were not said.
        Some(0) | None => None,
        Some(_) => return Err(out_of_range()),
    };
    let shared = context.core.shared.clone();
    let engine = &shared.engine;
    let mut out = Vec::new();
    for number in 0..count {
        let mut key = prefix.to_vec();
        key.extend_from_slice(format!(":{number}").as_bytes());
        let mut value = format!("value:{number}").into_bytes();
        if let Some(size) = size {
            value.resize(size, 0);
        }
        // As a client would: so it is in the log, and watchers see it.
        let request = OwnedRequest::from_args([&b"SET"[..], &key, &value, b"NX"]);
        let set = request.args();
        let Some(command) = engine.registry.declared().find(b"set") else {
            break;
        };
        out.clear();
        let mut unseen = Reply::new(&mut out, RespVersion::V2);
        let now = context.core.now;
        let mut shell = SessionShell {
            session: context.session,
            core: context.core,
        };
        engine.execute(executor, command, &set, now, &mut shell, &mut unseen)?;
    }
    reply.ok();
    Ok(())
}
