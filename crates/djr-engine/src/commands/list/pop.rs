//! LPOP key [count], RPOP key [count]

use super::super::prelude::*;
use super::{End, TAKE};

pub(super) static LPOP: CommandSpec = CommandSpec {
    name: "lpop",
    summary: "Takes the first element of a list, or the first ones, and returns them.",
    run: Run::Write(lpop),
    ..POP
};

pub(super) static RPOP: CommandSpec = CommandSpec {
    name: "rpop",
    summary: "Takes the last element of a list, or the last ones, and returns them.",
    run: Run::Write(rpop),
    ..POP
};

const POP: CommandSpec = CommandSpec {
    group: Group::List,
    complexity: "O(n) for n elements",
    syntax: &[Arg::key("key", TAKE), Arg::integer("count").optional()],
    flags: Flags::WRITE.with(Flags::FAST),
    ..CommandSpec::DEFAULT
};

fn lpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    pop(context, args, reply, End::Front, "lpop")
}

fn rpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    pop(context, args, reply, End::Back, "rpop")
}

fn pop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
    name: &str,
) -> Result<Effect, CommandError> {
    let count = match args.len() {
        2 => None,
        3 => {
            let count = args.integer(2).ok();
            let count = count.and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(CommandError::NotPositive)?)
        }
        _ => return Err(CommandError::Arity(name.to_owned())),
    };
    let key = context.key(args, 1);
    let array = count.is_some();
    let popped = super::pop(
        context,
        key,
        end,
        count.unwrap_or(1),
        reply,
        |reply, count| {
            if array {
                reply.array(count);
            }
        },
    )?;
    Ok(match popped {
        None => {
            if array {
                reply.null_array();
            } else {
                reply.null();
            }
            Effect::None
        }
        Some(0) => Effect::None,
        Some(_) => Effect::Verbatim,
    })
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn from_both_ends() {
        check(
            "RPUSH l a b c d e | LPOP l | RPOP l | LPOP l 2 | EXISTS l | RPOP l 9 | EXISTS l | LPOP l",
            "5 | a | e | [b c] | 1 | [d] | 0 | (nil)",
        );
    }

    #[test]
    fn counts() {
        let range = "ERR value is out of range, must be positive";
        check(
            "RPUSH l a b | LPOP l 0 | LPOP l -1 | LPOP l x | LPOP l 1 2 | RPOP none 0 | LLEN l",
            &format!(
                "2 | [] | {range} | {range} | ERR wrong number of arguments for 'lpop' command | (nil) | 2"
            ),
        );
        check("SET s x | LPOP s -1", &format!("OK | {range}"));
    }

    #[test]
    fn log_what_they_took() {
        check_effects(
            "RPUSH l a b c | LPOP l 0 | LPOP none | RPOP l 2 | LPOP l",
            "RPUSH l a b c | RPOP l 2 | LPOP l",
        );
    }
}
