//! GET key

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "get",
    group: Group::String,
    summary: "Returns the string stored at a key.",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(get),
    ..CommandSpec::DEFAULT
};

fn get(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    match context.string(context.key(args, 1))? {
        Some(string) => reply_string(reply, string),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn reads_what_was_set() {
        check(
            "GET k | SET k v | GET k | SET k 12 | GET k",
            "(nil) | OK | v | OK | 12",
        );
    }
}
