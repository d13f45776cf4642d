//! What has been appended and not been written yet, batch by batch.

use super::Offset;
use super::annotation::push_decimal;

/// Commands of whole batches: the next group.
pub(super) struct Pending {
    pub(super) buffer: Vec<u8>,
    pub(super) end: Offset,
    /// The db that a loader is in after the bytes so far; `None` if unknown.
    pub(super) db: Option<u32>,
}

impl Pending {
    /// Appends one batch; returns the offset after it.
    #[inline]
    pub(super) fn append(&mut self, db: u32, fill: impl FnOnce(&mut BatchWriter<'_>)) -> Offset {
        let start = self.buffer.len();
        let mut batch = BatchWriter {
            start,
            db_before: self.db,
            whole: false,
            pending: self,
        };
        // A group says its db at the front unless that is 0, so it can be replayed even if the group before is damaged.
        if batch.pending.db != Some(db) || (start == 0 && db != 0) {
            batch.pending.db = None;
            batch.select(db);
        }
        let filled_from = batch.pending.buffer.len();
        fill(&mut batch);
        batch.whole = batch.pending.buffer.len() > filled_from;
        drop(batch);
        self.end += (self.buffer.len() - start) as u64;
        self.end
    }
}

/// Appends the bytes of one batch. Commands are RESP arrays of bulk strings.
pub struct BatchWriter<'a> {
    pending: &'a mut Pending,
    start: usize,
    db_before: Option<u32>,
    whole: bool,
}

impl BatchWriter<'_> {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.buffer.extend_from_slice(bytes);
    }

    /// Makes the commands that follow apply to another db.
    pub fn select(&mut self, db: u32) {
        if self.pending.db != Some(db) {
            encode_select(&mut self.pending.buffer, db);
            self.pending.db = Some(db);
        }
    }
}

impl Drop for BatchWriter<'_> {
    /// A batch that is empty, or whose writer panicked, leaves nothing behind.
    fn drop(&mut self) {
        if !self.whole {
            let start = self.start;
            self.pending.buffer.truncate(start);
            self.pending.db = self.db_before;
        }
    }
}

/// Appends the command that changes the db for those that follow.
///
/// In lower case, unlike Redis: recovery tells by it what Redis appended to a file of ours from what a crash left of a
/// group. All other commands may be spelled in any way.
pub fn encode_select(out: &mut Vec<u8>, db: u32) {
    if db < 10 {
        out.extend_from_slice(b"*2\r\n$6\r\nselect\r\n$1\r\n");
        out.push(b'0' + db as u8);
    } else {
        let mut digits = Vec::with_capacity(10);
        push_decimal(&mut digits, u64::from(db));
        out.extend_from_slice(b"*2\r\n$6\r\nselect\r\n$");
        push_decimal(out, digits.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&digits);
    }
    out.extend_from_slice(b"\r\n");
}
