//! Finds the keys in a request, by the key specifications of its command.

use crate::command::{Command, KeyShape};
use crate::spec::{Access, BeginSearch, FindKeys, KeySpec};
use crate::{Args, CommandError};

/// Calls `found` with the index of every key and what is done to it, in the order of the specifications.
///
/// Errors where the number of keys in the request does not fit the request.
pub fn each_key(
    command: &Command,
    args: &Args<'_>,
    mut found: impl FnMut(usize, Access),
) -> Result<(), CommandError> {
    match command.key_shape {
        KeyShape::None => {}
        KeyShape::One(at) => {
            if (at as usize) < args.len() {
                found(at as usize, command.keys[0].access);
            }
        }
        _ => {
            if let Some(find) = command.spec.find_keys {
                find(args, &mut found);
                return Ok(());
            }
            for spec in &command.keys {
                each_key_of(spec, args, &mut found)?;
            }
        }
    }
    Ok(())
}

/// The same with what is really done to each key, where that depends on the other arguments; with keys that no specification finds.
#[inline]
pub fn each_key_access(
    command: &Command,
    args: &Args<'_>,
    mut found: impl FnMut(usize, Access),
) -> Result<(), CommandError> {
    if let KeyShape::One(at) = command.key_shape
        && let Some(access) = command.keys.first().map(|key| key.access)
    {
        if (at as usize) < args.len() {
            found(at as usize, actual(command, args, access));
        }
        return Ok(());
    }
    each_key(command, args, |index, access| {
        // MIGRATE with KEYS has an empty place where its only key would be.
        if !args.get(index).is_empty() || command.spec.name != "migrate" {
            found(index, actual(command, args, access));
        }
    })?;
    if command.spec.name == "sort"
        && let Some(index) = sort_destination(args)
    {
        found(index, Access::OVERWRITE);
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
        _ => access,
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

/// Where SORT's destination is: that of the last STORE counts.
fn sort_destination(args: &Args<'_>) -> Option<usize> {
    let mut found = None;
    let mut index = 2;
    while index < args.len() {
        if args.is(index, "limit") {
            index += 2;
        } else if args.is(index, "get") || args.is(index, "by") {
            index += 1;
        } else if args.is(index, "store") && index + 1 < args.len() {
            found = Some(index + 1);
        }
        index += 1;
    }
    found
}

fn each_key_of(
    spec: &KeySpec,
    args: &Args<'_>,
    found: &mut impl FnMut(usize, Access),
) -> Result<(), CommandError> {
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
                return Ok(());
            }
            let last = if last >= 0 {
                first + last as usize
            } else if limit <= 1 {
                argc.saturating_sub(last.unsigned_abs() as usize)
            } else {
                first + (argc - first) / limit as usize - 1
            };
            let mut index = first;
            while index <= last && index < argc {
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
                return Ok(());
            }
            let first_key = first + first_key as usize;
            let step = step.max(1) as usize;
            // What is wrong with the number is the command's own to say.
            let Ok(count) = args
                .integer(number_at)
                .map(|count| usize::try_from(count).unwrap_or(0))
            else {
                return Ok(());
            };
            let room = argc.saturating_sub(first_key).div_ceil(step);
            for key in 0..count.min(room) {
                found(first_key + key * step, spec.access);
            }
        }
        FindKeys::Unknown => {}
    }
    Ok(())
}
