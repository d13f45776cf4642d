//! MGET key [key …]

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "mget",
    group: Group::String,
    summary: "Returns the strings stored at several keys, a null for each key that holds none.",
    complexity: "O(n) for n keys",
    syntax: &[Arg::key("key", Access::READ).multiple()],
    flags: Flags::READONLY.with(Flags::FAST),
    tips: &["request_policy:multi_shard"],
    run: Run::Read(mget),
    ..CommandSpec::DEFAULT
};

fn mget(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    reply.array(args.len() - 1);
    for index in 1..args.len() {
        let entry = context.get(context.key(args, index));
        match entry.and_then(|entry| entry.as_string()) {
            Some(string) => reply_string(reply, string),
            None => reply.null(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn answers_each_key() {
        check(
            "SET a x | SET b 12 | MGET a none b a | @resp 3 | MGET none",
            "OK | OK | [x (nil) 12 x] | ok | [(nil)]",
        );
    }
}
