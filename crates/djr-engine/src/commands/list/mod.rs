//! Lists.

mod blmove;
mod blmpop;
mod blpop;
mod lindex;
mod linsert;
mod llen;
mod lmove;
mod lmpop;
mod lpos;
mod lrange;
mod lrem;
mod lset;
mod ltrim;
mod pop;
mod push;

use djr_storage::types::List;
use djr_storage::types::list::End;
use djr_storage::types::listpack::Element;

use super::prelude::*;
use crate::notify::Notify;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &blmove::BLMOVE,
    &blmove::BRPOPLPUSH,
    &blmpop::SPEC,
    &blpop::BLPOP,
    &blpop::BRPOP,
    &lindex::SPEC,
    &linsert::SPEC,
    &llen::SPEC,
    &lmove::LMOVE,
    &lmove::RPOPLPUSH,
    &lmpop::SPEC,
    &lpos::SPEC,
    &lrange::SPEC,
    &lrem::SPEC,
    &lset::SPEC,
    &ltrim::SPEC,
    &pop::LPOP,
    &pop::RPOP,
    &push::LPUSH,
    &push::LPUSHX,
    &push::RPUSH,
    &push::RPUSHX,
];

/// What is done to a list from which a command takes and returns elements.
const TAKE: Access = Access::RW.with(Access::ACCESS).with(Access::DELETE);
/// What is done to a list that elements are added to.
const ADD: Access = Access::RW.with(Access::INSERT);

/// `LEFT` or `RIGHT`, for a list that elements are taken from.
const WHERE: &[Arg] = &[Arg::token("left", "LEFT"), Arg::token("right", "RIGHT")];

/// Argument `index`, which must be `LEFT` or `RIGHT`.
fn end(args: &Args<'_>, index: usize) -> Result<End, CommandError> {
    if args.is(index, "left") {
        Ok(End::Front)
    } else if args.is(index, "right") {
        Ok(End::Back)
    } else {
        Err(CommandError::Syntax)
    }
}

/// The error for the one integer that has no opposite.
const NO_MIN: &str =
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";

/// The event of a push at this end.
fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back => "rpush",
    }
}

/// The event of a pop at this end.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

/// The command that pops at this end.
fn pop_command(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

/// The command that pushes at this end.
fn push_command(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPUSH",
        End::Back => b"RPUSH",
    }
}

/// Answers with an element.
#[inline]
fn reply_element(reply: &mut Reply<'_>, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Int(integer) => reply.bulk_integer(integer),
    }
}

/// Pops up to `count` elements at one end: `head` begins the answer, knowing how many there are, and they follow. Tells the
/// events; says how they are given back, should the client have waited and be gone. Returns how many there were; `None` and
/// no answer, if there is no such list.
fn pop(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    end: End,
    count: usize,
    reply: &mut Reply<'_>,
    head: impl FnOnce(&mut Reply<'_>, usize),
) -> Result<Option<usize>, CommandError> {
    let limits = context.engine.settings.list_limits();
    let mut taken = context.has_waited().then(Vec::new);
    let popped = context.update(key, |list: &mut List| {
        let count = count.min(list.len());
        head(reply, count);
        list.drain(end, count, limits, |element| {
            reply_element(reply, element);
            if let Some(taken) = &mut taken {
                taken.push(element.to_vec());
            }
        });
        count
    })?;
    if popped.is_some_and(|popped| popped > 0) {
        context.notify_update(Notify::LIST, pop_event(end), key);
        if let Some(taken) = taken {
            let mut undo = vec![push_command(end), key.bytes];
            undo.extend(taken.iter().rev().map(Vec::as_slice));
            context.undo(&undo);
        }
    }
    Ok(popped)
}

/// The elements from index `start` to `stop`, both included and negative from the end, of a list of `len`: the first of them and how
/// many there are. `None`: there is none.
fn range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).ok()?;
    let from_front = |index: i64| if index < 0 { len + index } else { index };
    let start = from_front(start).max(0);
    let stop = from_front(stop).min(len - 1);
    let count = stop.checked_sub(start)?.checked_add(1)?;
    (count > 0).then_some((start as usize, count as usize))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        for (start, stop, expected) in [
            (0, -1, Some((0, 5))),
            (-2, -1, Some((3, 2))),
            (-100, 100, Some((0, 5))),
            (3, 2, None),
            (5, 9, None),
            (0, -6, None),
            (i64::MIN, i64::MAX, Some((0, 5))),
            (i64::MAX, i64::MIN, None),
            (2, 2, Some((2, 1))),
        ] {
            assert_eq!(range(start, stop, 5), expected, "{start} {stop}");
        }
        assert_eq!(range(0, -1, 0), None);
    }
}
