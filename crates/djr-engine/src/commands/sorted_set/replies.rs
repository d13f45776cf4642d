//! How members and scores are answered.

use djr_protocol::RespVersion;
use djr_storage::types::listpack::Element;

use super::super::prelude::*;

pub(super) fn reply_member(reply: &mut Reply<'_>, member: Element<'_>) {
    match member {
        Element::Int(integer) => reply.bulk_integer(integer),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Members, or members and scores: pairs in RESP3, one after the other in RESP2.
pub(super) fn reply_members<'a>(
    reply: &mut Reply<'_>,
    with_scores: bool,
    items: impl ExactSizeIterator<Item = (Element<'a>, f64)>,
) {
    let pairs = with_scores && reply.version() == RespVersion::V3;
    let flat = with_scores && !pairs;
    reply.array(items.len() * if flat { 2 } else { 1 });
    items.for_each(|item| reply_item(reply, with_scores, item));
}

/// One member of an array that [`reply_members`] would begin.
pub(super) fn reply_item(
    reply: &mut Reply<'_>,
    with_score: bool,
    (member, score): (Element<'_>, f64),
) {
    if with_score && reply.version() == RespVersion::V3 {
        reply.array(2);
    }
    reply_member(reply, member);
    if with_score {
        reply.double(score);
    }
}

/// Members and scores, always as pairs.
pub(super) fn reply_pairs<'a>(
    reply: &mut Reply<'_>,
    items: impl ExactSizeIterator<Item = (Element<'a>, f64)>,
) {
    reply.array(items.len());
    for (member, score) in items {
        reply.array(2);
        reply_member(reply, member);
        reply.double(score);
    }
}
