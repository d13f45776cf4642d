//! DUMP key

use djr_storage::rdb;

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "dump",
    since: "2.6.0",
    group: Group::Generic,
    summary: "Returns the value stored at a key in the format of Redis's files, for RESTORE.",
    complexity: "O(1) to find the key, and O(n) for a value of n bytes",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(dump),
    ..CommandSpec::DEFAULT
};

fn dump(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    match context.get(context.key(args, 1)) {
        Some(entry) => reply.bulk(&rdb::dump(
            entry.value(),
            context.now,
            context.engine.settings.rdb_compression.get() != 0,
        )),
        None => reply.null(),
    }
    Ok(())
}
