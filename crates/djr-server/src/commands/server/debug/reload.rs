//! DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE], DEBUG LOADAOF

use djr_engine::{Args, CommandError, Executor, Reply};

use super::Sub;
use crate::commands::{Context, Result};
use crate::persistence::{ReloadOptions, reload_log, reload_snapshot};

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "reload",
        syntax: "[option ...]",
        summary: "Save the RDB on disk and reload it back to memory. MERGE: keys that are there twice are taken from the file. \
                  NOFLUSH: the data set is not emptied before. NOSAVE: the file is loaded that is there.",
        words: 2..=usize::MAX,
        run: reload,
    },
    Sub {
        name: "loadaof",
        syntax: "",
        summary: "Flush the AOF buffers on disk and reload the AOF in memory.",
        words: 2..=2,
        run: load_aof,
    },
];

fn reload(
    context: &mut Context<'_>,
    _: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let mut options = ReloadOptions {
        merge: false,
        flush: true,
        save: true,
    };
    for at in 2..args.len() {
        if args.is(at, "merge") {
            options.merge = true;
        } else if args.is(at, "noflush") {
            options.flush = false;
        } else if args.is(at, "nosave") {
            options.save = false;
        } else {
            return Err(CommandError::text(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    let shared = context.core.shared.clone();
    reload_snapshot(&shared, context.core.index, options)?;
    reply.ok();
    Ok(())
}

fn load_aof(
    context: &mut Context<'_>,
    _: &mut Executor,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let shared = context.core.shared.clone();
    reload_log(&shared, context.core.index)?;
    reply.ok();
    Ok(())
}
