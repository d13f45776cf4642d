//! Which backup a client is to get.

use crate::snapshots::BackupOf;

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
    pub(crate) fn set_wanted(&mut self, wanted: bool) {
        self.set(Self::WANTED, wanted);
    }

    pub(crate) fn is_wanted(self) -> bool {
        self.0 & Self::WANTED != 0
    }

    /// It has been asked for.
    pub(crate) fn set_coming(&mut self) {
        self.set(Self::COMING, true);
    }

    pub(crate) fn is_coming(self) -> bool {
        self.0 & Self::COMING != 0
    }

    pub(crate) fn set_of(&mut self, of: BackupOf) {
        self.set(Self::FUNCTIONS, of == BackupOf::Functions);
        self.set(Self::NOTHING, of == BackupOf::Nothing);
    }

    pub(crate) fn of(self) -> BackupOf {
        match self.0 & (Self::FUNCTIONS | Self::NOTHING) {
            0 => BackupOf::All,
            Self::FUNCTIONS => BackupOf::Functions,
            _ => BackupOf::Nothing,
        }
    }
}
