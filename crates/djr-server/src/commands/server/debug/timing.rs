//! DEBUG SLEEP seconds, SET-ACTIVE-EXPIRE 0|1, PAUSE-CRON 0|1

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use djr_engine::{Args, Executor, Reply};
use djr_storage::keyspace::Footprint;

use super::{Sub, is_zero};
use crate::commands::{Context, Result};

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "sleep",
        syntax: "<seconds>",
        summary: "Stop the server for <seconds>. Decimals allowed.",
        words: 3..=3,
        run: sleep,
    },
    Sub {
        name: "set-active-expire",
        syntax: "<0|1>",
        summary: "Setting it to 0 disables expiring keys (and hash fields) in background when they are not accessed.",
        words: 3..=3,
        run: set_active_expire,
    },
    Sub {
        name: "pause-cron",
        syntax: "<0|1>",
        summary: "Stop periodic work: active expiry, save points, looks at memory.",
        words: 3..=3,
        run: |context, _, args, reply| {
            let paused = !is_zero(args.get(2));
            context.core.shared.cron_paused.store(paused, Relaxed);
            reply.ok();
            Ok(())
        },
    },
];

/// DEBUG SLEEP takes no longer than this.
const SLEEP_SECONDS_MAX: f64 = 3600.0;

fn sleep(
    context: &mut Context<'_>,
    _: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let seconds = std::str::from_utf8(args.get(2))
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite())
        // As Redis reads it: what is no number is 0.
        .unwrap_or_default();
    // As in Redis nothing else runs meanwhile: the whole keyspace is taken.
    let keyspace = &context.core.shared.engine.keyspace;
    let _all = keyspace.open(Footprint::ALL, context.core.now);
    std::thread::sleep(Duration::from_secs_f64(
        seconds.clamp(0.0, SLEEP_SECONDS_MAX),
    ));
    reply.ok();
    Ok(())
}

fn set_active_expire(
    context: &mut Context<'_>,
    _: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let on = !is_zero(args.get(2));
    context.core.shared.active_expire.store(on, Relaxed);
    reply.ok();
    Ok(())
}
