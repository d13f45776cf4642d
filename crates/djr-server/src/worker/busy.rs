//! Serving the other clients of a worker whose script runs too long.
//!
//! The script keeps the worker and the keyspace. From time to time it lets us look at the sockets: what needs no keyspace
//! (`SCRIPT KILL`, `SHUTDOWN NOSAVE`, `HELLO`, …) is done, everything else is answered `BUSY`.

use std::io;
use std::time::Duration;

use djr_engine::{Executor, ScriptFate};

use super::{Connection, Core, LISTENERS, ReadOutcome};
use crate::session::execute_while_busy;
use crate::shared::Gate;

/// One read of a client that is told to wait.
const READ_SIZE: usize = 16 << 10;

impl Core {
    /// Looks at the sockets once. Called while a script of this worker runs, past `busy-reply-threshold`.
    pub(crate) fn serve_while_busy(&mut self) -> ScriptFate {
        if self.shared.shutdown.is_requested() {
            return ScriptFate::Kill;
        }
        self.busy_script = true;
        self.shared.gate.set(Gate::BUSY);
        self.gate |= Gate::BUSY;
        if let Err(error) = self.look_at_sockets() {
            tracing::error!("worker {}: {error}", self.index);
        }
        ScriptFate::Continue
    }

    /// The script has ended.
    pub(crate) fn end_of_busy(&mut self) {
        if std::mem::take(&mut self.busy_script) {
            self.shared.gate.clear(Gate::BUSY);
            self.gate &= !Gate::BUSY;
        }
    }

    fn look_at_sockets(&mut self) -> io::Result<()> {
        self.take_mail();
        self.receive_messages();
        self.accept_more();
        for id in self.give_back_gathered() {
            self.serve_one_while_busy(id);
        }
        let mut ready = Vec::new();
        self.driver.wait(Some(Duration::ZERO), &mut ready)?;
        for event in ready {
            if event.id >= LISTENERS {
                self.accept(event.id - LISTENERS);
                continue;
            }
            if event.writable {
                self.write_rest(event.id);
            }
            if event.readable {
                if event.ended
                    && let Some(Some(connection)) = self.connections.get_mut(event.id)
                {
                    connection.peer_ended = true;
                }
                self.serve_one_while_busy(event.id);
            }
        }
        Ok(())
    }

    fn serve_one_while_busy(&mut self, id: usize) {
        let Some(mut connection) = self.connections.get_mut(id).and_then(Option::take) else {
            // The client whose script it is: it is read when the script has ended.
            self.unread.push(id);
            return;
        };
        let mut at_end = false;
        if connection.session.wait.is_some() && connection.peer_ended {
            self.abandon(&mut connection);
            at_end = true;
        }
        while !at_end && !connection.closing && !connection.session.is_held() {
            let start = connection.input.len();
            connection.input.resize(start + READ_SIZE, 0);
            let outcome = Connection::read(
                &mut connection.stream,
                &mut connection.ahead,
                &mut connection.input[start..],
            );
            let (count, more) = match outcome {
                ReadOutcome::Bytes(count, more) => (count, more),
                ReadOutcome::Later => (0, false),
                ReadOutcome::Closed => {
                    at_end = true;
                    (0, false)
                }
            };
            connection.input.truncate(start + count);
            // Commands that need no keyspace need nothing that an executor keeps either.
            execute_while_busy(self, &mut Executor::new(0), &mut connection);
            if at_end || !(more || connection.peer_ended) {
                break;
            }
        }
        connection.closing |= at_end;
        let open = !at_end || connection.out_len() > 0;
        self.queue(id, &mut connection);
        self.put_back(id, connection, open);
        if open {
            self.queued.retain(|queued| *queued != id);
            self.finish_replies(id);
        }
    }
}
