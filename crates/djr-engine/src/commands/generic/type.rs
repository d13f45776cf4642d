//! TYPE key

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "type",
    group: Group::Generic,
    summary: "Returns what kind of value a key holds.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let entry = context.peek(context.key(args, 1));
        reply.simple(entry.map_or("none", |entry| entry.kind().name()));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn names_the_kind() {
        check("TYPE k | SET k 1 | TYPE k", "none | OK | string");
    }
}
