//! DEBUG DIGEST, DEBUG DIGEST-VALUE key …

use djr_engine::digest::Digest;
use djr_engine::{Args, Executor, Reply};
use djr_storage::keyspace::Footprint;

use super::Sub;
use crate::commands::{Context, Result};

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "digest",
        syntax: "",
        summary: "Output a hex signature representing the current DB content.",
        words: 2..=2,
        run: digest,
    },
    Sub {
        name: "digest-value",
        syntax: "<key> [<key> ...]",
        summary: "Output a hex signature of the values of all the specified keys.",
        words: 2..=usize::MAX,
        run: digest_value,
    },
];

fn digest(
    context: &mut Context<'_>,
    _: &mut Executor,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let keyspace = &context.core.shared.engine.keyspace;
    let access = keyspace.open(Footprint::ALL, context.core.now);
    reply.simple(&Digest::of_keyspace(&access).to_string());
    Ok(())
}

fn digest_value(
    context: &mut Context<'_>,
    _: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let keyspace = &context.core.shared.engine.keyspace;
    reply.array(args.len().saturating_sub(2));
    for at in 2..args.len() {
        let key = keyspace.key(args.get(at));
        let access = keyspace.open(keyspace.footprint(key.hash), context.core.now);
        access.set_touch(false);
        let entry = access.db(context.session.db).peek(key);
        let digest = entry.map(|entry| Digest::of_value(&entry, context.core.now));
        reply.simple(&digest.unwrap_or_default().to_string());
    }
    Ok(())
}
