//! Entries and ids in replies.

use djr_storage::types::stream::{Element, Entry, ID_TEXT_SIZE_MAX, StreamId};

use crate::Reply;

#[inline]
pub(super) fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.format(&mut [0; ID_TEXT_SIZE_MAX]));
}

/// An entry: its id, and its fields and values.
#[inline]
pub(super) fn reply_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    reply_entry_parts(reply, entry);
}

/// The two parts of an entry, in an array that has begun.
#[inline]
pub(super) fn reply_entry_parts(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply_id(reply, entry.id());
    let words = entry.words();
    reply.array(words.len());
    for word in words {
        match word {
            Element::Bytes(bytes) => reply.bulk(bytes),
            Element::Int(integer) => reply.bulk_integer(integer),
        }
    }
}

/// The entries of an array whose length shows at its end. Returns how many there were.
pub(super) fn reply_entries<'a>(
    reply: &mut Reply<'_>,
    entries: impl Iterator<Item = Entry<'a>>,
) -> usize {
    let (mark, mut len) = (reply.array_later(), 0);
    for entry in entries {
        reply_entry(reply, entry);
        len += 1;
    }
    reply.finish(mark, len);
    len
}

/// The integer, or nothing where it is not known.
pub(super) fn reply_known(reply: &mut Reply<'_>, integer: Option<i64>) {
    match integer {
        Some(integer) => reply.integer(integer),
        None => reply.null(),
    }
}
