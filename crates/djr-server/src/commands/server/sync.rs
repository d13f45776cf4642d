//! SYNC: a backup over the connection, for `redis-cli --rdb`. There are no replicas.

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::snapshots::BackupOf;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "sync",
    since: "1.0.0",
    group: Group::Server,
    summary: "Sends a snapshot to a client that has said REPLCONF rdb-only 1, and ends the connection. Replicas get none.",
    syntax: &[],
    flags: Flags::ADMIN
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_MULTI)
        .with(Flags::NO_SCRIPT),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result {
    let wanted = context.session.backup;
    if !wanted.is_wanted() {
        return Err(CommandError::text(
            "ERR There are no replicas: SYNC sends backups only, after REPLCONF rdb-only 1",
        ));
    }
    let begun = context.core.begin_backup(context.session, wanted.of());
    begun.map_err(|error| CommandError::format(format!("ERR Unable to make a backup: {error}")))
}

/// What SYNC is to send to a client: in a byte, for every connection has one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WantedBackup(u8);

impl WantedBackup {
    const WANTED: u8 = 1;
    const COMING: u8 = 2;
    const FUNCTIONS: u8 = 4;
    const NOTHING: u8 = 8;

    fn set(&mut self, bits: u8, on: bool) {
        self.0 = self.0 & !bits | if on { bits } else { 0 };
    }

    /// A snapshot, and nothing after it (`rdb-only`).
    pub(super) fn set_wanted(&mut self, wanted: bool) {
        self.set(Self::WANTED, wanted);
    }

    fn is_wanted(self) -> bool {
        self.0 & Self::WANTED != 0
    }

    /// It has been asked for.
    pub(crate) fn set_coming(&mut self) {
        self.set(Self::COMING, true);
    }

    pub(crate) fn is_coming(self) -> bool {
        self.0 & Self::COMING != 0
    }

    pub(super) fn set_of(&mut self, of: BackupOf) {
        self.set(Self::FUNCTIONS, of == BackupOf::Functions);
        self.set(Self::NOTHING, of == BackupOf::Nothing);
    }

    fn of(self) -> BackupOf {
        match self.0 & (Self::FUNCTIONS | Self::NOTHING) {
            0 => BackupOf::All,
            Self::FUNCTIONS => BackupOf::Functions,
            _ => BackupOf::Nothing,
        }
    }
}
