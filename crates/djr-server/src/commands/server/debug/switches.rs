//! DEBUG subcommands that switch something. What has no counterpart here is accepted, so that tests written for Redis run.

use djr_engine::CommandError;

use super::{Sub, is_zero};
use crate::config::{memory, rewrite_all};

/// Accepted, and nothing changes.
const fn without_effect(name: &'static str, syntax: &'static str, summary: &'static str) -> Sub {
    Sub {
        name,
        syntax,
        summary,
        words: 3..=3,
        run: |_, _, _, reply| {
            reply.ok();
            Ok(())
        },
    }
}

pub(super) static SUBS: &[Sub] = &[
    without_effect(
        "dict-resizing",
        "<0|1>",
        "Enable or disable the resizing of tables. No effect: it goes on in small steps, always.",
    ),
    without_effect(
        "hashtable-can-abort-shrink",
        "<0|1>",
        "Enable or disable the end of shrinking. No effect.",
    ),
    without_effect(
        "client-enforce-reply-list",
        "<0|1>",
        "Avoid static reply buffers. No effect: there are none.",
    ),
    without_effect(
        "aof-flush-sleep",
        "<microsec>",
        "Sleep before the log is written. No effect.",
    ),
    Sub {
        name: "quicklist-packed-threshold",
        syntax: "<size>",
        summary: "Sets the size from which elements of lists are kept apart. No effect: the limits of lists say it.",
        words: 3..=3,
        run: |_, _, args, reply| match memory(args.get(2)) {
            Some(bytes) if bytes < 4 << 30 && bytes != 1 => {
                reply.ok();
                Ok(())
            }
            _ => Err(CommandError::text(
                "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
            )),
        },
    },
    Sub {
        name: "replybuffer",
        syntax: "PEAK-RESET-TIME <NEVER|RESET|time> | RESIZING <0|1>",
        summary: "When reply buffers are made smaller. No effect: they are shared by all clients of a thread.",
        words: 4..=4,
        run: |_, _, args, reply| {
            let is_word = args.is(3, "never") || args.is(3, "reset");
            if args.is(2, "peak-reset-time") && !is_word {
                args.integer(3)?;
            } else if !args.is(2, "peak-reset-time") && !args.is(2, "resizing") {
                return Err(super::unknown(args));
            }
            reply.ok();
            Ok(())
        },
    },
    Sub {
        name: "set-disable-deny-scripts",
        syntax: "<0|1>",
        summary: "Let scripts call commands that they may not call.",
        words: 3..=3,
        run: |context, _, args, reply| {
            let setting = &context.core.shared.engine.settings.scripts_may_call_all;
            setting.set(u64::from(!is_zero(args.get(2))));
            reply.ok();
            Ok(())
        },
    },
    Sub {
        name: "set-skip-checksum-validation",
        syntax: "<0|1>",
        summary: "Enables or disables the check of the checksum of RESTORE's payload.",
        words: 3..=3,
        run: |context, _, args, reply| {
            let setting = &context.core.shared.engine.settings.skips_checksums;
            setting.set(u64::from(!is_zero(args.get(2))));
            reply.ok();
            Ok(())
        },
    },
    Sub {
        name: "config-rewrite-force-all",
        syntax: "",
        summary: "Like CONFIG REWRITE, but writes all parameters, including those that have their default.",
        words: 2..=2,
        run: |context, _, _, reply| {
            let shared = &context.core.shared;
            rewrite_all(&shared.config, &shared.users_to_configure())
                .map_err(|error| CommandError::format(error.to_string()))?;
            reply.ok();
            Ok(())
        },
    },
    Sub {
        name: "change-repl-id",
        syntax: "",
        summary: "Change the replication ID of the server.",
        words: 2..=2,
        run: |context, _, _, reply| {
            context.core.shared.change_replication_id();
            reply.ok();
            Ok(())
        },
    },
];
