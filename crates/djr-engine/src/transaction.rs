//! MULTI … EXEC: the queue and its execution as one unit.

use djr_storage::keyspace::{Footprint, UnixMillis};

use crate::command::Command;
use crate::engine::{Engine, Executor};
use crate::error::quoted;
use crate::registry::Resolved;
use crate::{Args, CommandError, Inside, OwnedRequest, Ran, Reply, Shell};

/// The commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Queue {
    commands: Vec<(&'static Command, OwnedRequest)>,
    bytes: usize,
}

impl Queue {
    /// Adds a command, copying its request.
    pub fn push(&mut self, command: &'static Command, args: &Args<'_>) {
        let request = OwnedRequest::new(args);
        self.bytes += request.bytes_len();
        self.commands.push((command, request));
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The bytes of the requests, for `CLIENT LIST`'s `multi-mem`.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The queued commands.
    pub fn commands(&self) -> impl Iterator<Item = (&'static Command, Args<'_>)> {
        self.commands
            .iter()
            .map(|(command, request)| (*command, request.args()))
    }
}

impl Engine {
    /// Executes a transaction: every shard of its commands (and of `watched`, so that the check sees no change
    /// under way) is open from the first command to the last; their effects are one batch of the log.
    ///
    /// `still_valid` is asked once the shards are open: `false` answers a null and runs nothing.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    pub fn execute_transaction(
        &self,
        executor: &mut Executor,
        queue: &Queue,
        watched: Footprint,
        still_valid: &mut dyn FnMut(&djr_storage::keyspace::Access<'_>) -> bool,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut footprint = watched;
        for (command, args) in queue.commands() {
            footprint = footprint.union(self.footprint(command, shell.db(), &args));
        }
        let access = self.open(footprint, now)?;
        let mut access = self.serve_first(executor, access, now, shell)?;
        if !still_valid(&access) {
            reply.null_array();
            return Ok(());
        }
        reply.array(queue.len());
        for (command, args) in queue.commands() {
            let inside = Inside::Transaction;
            let mut refused = false;
            let mut since = 0;
            let result = match shell.permit(command, &args) {
                Ok(()) => {
                    since = shell.begins(command, &args, inside);
                    self.run_inside(executor, &mut access, command, &args, now, shell, reply)
                }
                Err(error) => {
                    refused = true;
                    Err(error)
                }
            };
            shell.ran(&Ran {
                command,
                args: &args,
                inside,
                since,
                error: result.as_ref().err(),
                refused,
                error_told: std::mem::take(&mut executor.error_told),
            });
            if let Err(error) = result {
                reply.error(&error.to_string());
            }
        }
        self.log_expired(executor, &mut access, shell);
        self.tell_invalidations(&mut access, shell);
        executor.effects.append_to(shell.log());
        drop(access);
        if self.keyspace.waits().has_ready() {
            self.serve(executor, footprint, now, shell);
        }
        executor.events.deliver(|event| shell.notify(event));
        Ok(())
    }

    /// The error for a name that leads nowhere, as Redis words it.
    pub fn unknown_command(&self, args: &Args<'_>) -> CommandError {
        match self.registry.resolve(args) {
            Resolved::UnknownSubcommand => CommandError::format(format!(
                "ERR unknown subcommand '{}'. Try {} HELP.",
                quoted(args.get(1), 128),
                String::from_utf8_lossy(args.get(0)).to_ascii_uppercase()
            )),
            _ => {
                let mut shown = String::new();
                for arg in args.from(1) {
                    if shown.len() >= 128 {
                        break;
                    }
                    shown.push_str(&format!("'{}' ", quoted(arg, 128 - shown.len())));
                }
                CommandError::format(format!(
                    "ERR unknown command '{}', with args beginning with: {shown}",
                    quoted(args.get(0), 128)
                ))
            }
        }
    }
}
