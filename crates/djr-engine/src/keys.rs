//! Finds the keys in a request, by the key specifications of its command.

use crate::Args;
use crate::command::{Command, KeyShape};
use crate::spec::{Access, BeginSearch, FindKeys, KeySpec};

/// The request is not one that its command accepts: a number of keys is none, or there are fewer than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKeysFound;

/// Calls `found` with the index of every key and what is done to it, in the order of the specifications.
///
/// Of a request that its command will refuse, with those keys that there are: what is wrong with it is the command's own to say.
pub fn each_key(command: &Command, args: &Args<'_>, mut found: impl FnMut(usize, Access)) {
    match command.key_shape {
        KeyShape::None => {}
        KeyShape::One(at) => {
            if (at as usize) < args.len() {
                found(at as usize, command.keys[0].access);
            }
        }
        _ => {
            if let Some(find) = command.spec.find_keys {
                return find(args, &mut found);
            }
            for spec in &command.keys {
                // Those that it has found are all there are.
                let _ = each_key_of(spec, args, &mut found);
            }
        }
    }
}

/// The same with what is really done to each key, where that depends on the other arguments: for who asks what a request may do.
///
/// # Errors
/// Where a specification does not fit the request. Real servers see no key in it then; `found` has been called with some.
#[inline]
pub fn each_key_access(
    command: &Command,
    args: &Args<'_>,
    mut found: impl FnMut(usize, Access),
) -> Result<(), NoKeysFound> {
    if let KeyShape::One(at) = command.key_shape
        && let Some(access) = command.keys.first().map(|key| key.access)
    {
        if (at as usize) < args.len() {
            found(at as usize, actual(command, args, access));
        }
        return Ok(());
    }
    let mut found = |index, access| found(index, actual(command, args, access));
    match command.spec.find_keys {
        Some(find) => find(args, &mut found),
        None => {
            for spec in &command.keys {
                each_key_of(spec, args, &mut found)?;
            }
        }
    }
    Ok(())
}

/// What a command does to a key where that depends on its arguments.
fn actual(command: &Command, args: &Args<'_>, access: Access) -> Access {
    if !access.has(Access::VARIABLE) {
        return access;
    }
    match command.spec.name {
        "set" if (3..args.len()).any(|index| args.is(index, "get")) => Access::READ_UPDATE,
        "set" => Access::OVERWRITE,
        "bitfield" if bitfield_only_reads(args) => Access::READ,
        "bitfield" => Access::READ_UPDATE,
        _ => access.without(Access::VARIABLE),
    }
}

/// Whether BITFIELD has no operation but GET.
fn bitfield_only_reads(args: &Args<'_>) -> bool {
    let mut index = 2;
    while index < args.len() {
        let more = args.len() - index - 1;
        if args.is(index, "get") && more >= 2 {
            index += 3;
        } else if args.is(index, "overflow") && more >= 1 {
            index += 2;
        } else {
            return false;
        }
    }
    true
}

/// Calls `found` with the keys of one specification, as many of them as there are.
fn each_key_of(
    spec: &KeySpec,
    args: &Args<'_>,
    found: &mut impl FnMut(usize, Access),
) -> Result<(), NoKeysFound> {
    let argc = args.len();
    if spec.access.has(Access::NOT_KEY) {
        return Ok(());
    }
    let first = match spec.begin {
        BeginSearch::Index(index) => index as usize,
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => {
            let position = if start_from >= 0 {
                (start_from as usize..argc).find(|index| args.is(*index, keyword))
            } else {
                let from = argc.saturating_sub(start_from.unsigned_abs() as usize);
                (1..=from).rev().find(|index| args.is(*index, keyword))
            };
            match position {
                Some(position) => position + 1,
                None => return Ok(()),
            }
        }
        BeginSearch::Unknown => return Ok(()),
    };
    match spec.find {
        FindKeys::Range { last, step, limit } => {
            if first >= argc {
                return Err(NoKeysFound);
            }
            let last = if last >= 0 {
                first + last as usize
            } else if limit <= 1 {
                argc.saturating_sub(last.unsigned_abs() as usize)
            } else {
                first + (argc - first) / limit as usize - 1
            };
            let mut index = first;
            while index <= last {
                if index >= argc {
                    return Err(NoKeysFound);
                }
                found(index, spec.access);
                index += step.max(1) as usize;
            }
        }
        FindKeys::KeyNum {
            index,
            first: first_key,
            step,
        } => {
            let number_at = first + index as usize;
            if number_at >= argc {
                return Err(NoKeysFound);
            }
            let first_key = first + first_key as usize;
            let step = step.max(1) as usize;
            let count = args.integer(number_at).ok().filter(|count| *count > 0);
            let count = usize::try_from(count.ok_or(NoKeysFound)?).unwrap_or(usize::MAX);
            let room = argc.saturating_sub(first_key).div_ceil(step);
            for key in 0..count.min(room) {
                found(first_key + key * step, spec.access);
            }
            if count > room {
                return Err(NoKeysFound);
            }
        }
        FindKeys::Unknown => {}
    }
    Ok(())
}
