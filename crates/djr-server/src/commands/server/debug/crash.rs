//! DEBUG ASSERT, PANIC, SEGFAULT, OOM, LEAK string, RESTART [milliseconds], CRASH-AND-RECOVER [milliseconds]: for tests of what
//! happens when a server ends.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use djr_engine::{Args, CommandError};
use rustix::process::{Signal, getpid, kill_process};

use super::Sub;

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "assert",
        syntax: "",
        summary: "Crash by assertion failed.",
        words: 2..=2,
        run: |_, _, _, _| {
            tracing::error!("=== ASSERTION FAILED === (DEBUG ASSERT)");
            std::process::abort()
        },
    },
    Sub {
        name: "panic",
        syntax: "",
        summary: "Crash the server simulating a panic.",
        words: 2..=2,
        run: |_, _, _, _| {
            tracing::error!("Guru Meditation: called by DEBUG PANIC");
            // On request only: this is how the end of a worker that fails is tried.
            panic!("called by DEBUG PANIC")
        },
    },
    Sub {
        name: "segfault",
        syntax: "",
        summary: "Crash the server with sigsegv.",
        words: 2..=2,
        run: |_, _, _, _| {
            tracing::error!("crashed by signal: 11 (DEBUG SEGFAULT)");
            // There is no code here that could do it by itself. The first signal meets the standard library's handler, which looks
            // for overflown stacks and then takes itself away.
            for _ in 0..100 {
                if kill_process(getpid(), Signal::SEGV).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            std::process::abort()
        },
    },
    Sub {
        name: "oom",
        syntax: "",
        summary: "Crash the server simulating an out-of-memory error.",
        words: 2..=2,
        run: |_, _, _, _| {
            tracing::error!("Out Of Memory allocating as much as there is (DEBUG OOM)");
            std::process::abort()
        },
    },
    Sub {
        name: "leak",
        syntax: "<string>",
        summary: "Create a memory leak of the input string.",
        words: 3..=3,
        run: |_, _, args, reply| {
            std::mem::forget(args.get(2).to_vec());
            reply.ok();
            Ok(())
        },
    },
    Sub {
        name: "restart",
        syntax: "[<milliseconds>]",
        summary: "Graceful restart: save config and data, restart after a <milliseconds> delay (default 0).",
        words: 2..=3,
        run: |context, _, args, _| {
            let delay = delay(args)?;
            let shared = &context.core.shared;
            if shared.config.file().is_some() {
                let written = crate::config::rewrite(&shared.config, &shared.users_to_configure());
                written.map_err(|error| CommandError::format(error.to_string()))?;
            }
            tracing::warn!("DEBUG RESTART: shutting down to start again");
            shared.shutdown.request_restart(delay);
            shared.wake_workers();
            context.session.close = true;
            Ok(())
        },
    },
    Sub {
        name: "crash-and-recover",
        syntax: "[<milliseconds>]",
        summary: "Hard crash and restart after a <milliseconds> delay (default 0).",
        words: 2..=3,
        run: |_, _, args, _| {
            let delay = delay(args)?;
            tracing::warn!("DEBUG CRASH-AND-RECOVER: starting again");
            Err(CommandError::format(format!("ERR {}", start_again(delay))))
        },
    },
];

fn delay(args: &Args<'_>) -> Result<Duration, CommandError> {
    let milliseconds = match args.len() {
        3.. => args.integer(2)?,
        _ => 0,
    };
    Ok(Duration::from_millis(milliseconds.max(0).unsigned_abs()))
}

/// Replaces the process by a new one with the same command line. Returns only if that failed.
pub fn start_again(delay: Duration) -> std::io::Error {
    std::thread::sleep(delay);
    match std::env::current_exe() {
        Ok(program) => Command::new(program)
            .args(std::env::args_os().skip(1))
            .exec(),
        Err(error) => error,
    }
}
