//! STRLEN key

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "strlen",
    since: "2.2.0",
    group: Group::String,
    summary: "Returns the length in bytes of the string stored at a key; 0 if there is none.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(strlen),
    ..CommandSpec::DEFAULT
};

fn strlen(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let len = context
        .string(context.key(args, 1))?
        .map_or(0, StringRef::len);
    reply.integer(len as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_bytes() {
        check(
            "STRLEN k | SET k abc | STRLEN k | SET k -12 | STRLEN k | SET k \"\" | STRLEN k",
            "0 | OK | 3 | OK | 3 | OK | 0",
        );
    }
}
