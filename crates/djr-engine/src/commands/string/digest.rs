//! DIGEST key

use super::super::prelude::*;
use super::condition::digest;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "digest",
    since: "8.4.0",
    group: Group::String,
    summary: "Returns the digest of the string stored at a key, for comparison by SET and DELEX.",
    complexity: "O(n) for n bytes of the string",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        match context.string(context.key(args, 1))? {
            Some(string) => reply.bulk(&digest(string)),
            None => reply.null(),
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    /// The first value is an example of Redis's documents; the second one was found there to begin with zeros.
    #[test]
    fn equals_published_digests() {
        check(
            "DIGEST k | SET k \"Hello world\" | DIGEST k | \
             SET k v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd | DIGEST k",
            "(nil) | OK | b6acb9d84a38ff74 | OK | 00006c38adf31777",
        );
    }

    #[test]
    fn an_integer_is_its_text() {
        check(
            "SET k 12 | APPEND s 1 | APPEND s 2 | DIGEST k | DIGEST s",
            "OK | 1 | 2 | 7ecd2e572c949f74 | 7ecd2e572c949f74",
        );
    }
}
