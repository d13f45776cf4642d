//! LINDEX key index

use super::super::prelude::*;
use super::{List, reply_element};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lindex",
    group: Group::List,
    summary: "Returns the element of a list at an index, counted from the end if negative.",
    complexity: "O(n) for n elements (in chunks of hundreds) from the nearer end",
    syntax: &[Arg::key("key", Access::READ), Arg::integer("index")],
    flags: Flags::READONLY,
    run: Run::Read(lindex),
    ..CommandSpec::DEFAULT
};

fn lindex(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let element = match context.object::<List>(context.key(args, 1))? {
        Some(list) => list.get(args.integer(2)?),
        None => None,
    };
    match element {
        Some(element) => reply_element(reply, element),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn from_either_end() {
        check(
            "RPUSH l a 12 c | LINDEX l 0 | LINDEX l 1 | LINDEX l -1 | LINDEX l 3 | LINDEX l -4 | LINDEX l x | LINDEX none x",
            "3 | a | 12 | c | (nil) | (nil) | ERR value is not an integer or out of range | (nil)",
        );
    }
}
