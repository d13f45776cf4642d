//! Clients that wait for entries.

use crate::testkit::{check, check_effects};

#[test]
fn readers_get_what_comes() {
    check(
        "XADD s 1-1 a b | @client 1 | XREAD BLOCK 0 STREAMS s t $ $ | @client 2 | XREAD BLOCK 0 COUNT 1 STREAMS t s 0 1-1 | @client 0 | \
         XADD s 1-2 c d | @client 1 | @reply | @client 2 | @reply | XREAD BLOCK 0 STREAMS s $ | @client 0 | XADD t 1-1 x y | @client 2 | @reply",
        "1-1 | ok | (waits) | ok | (waits) | ok | 1-2 | ok | [[s [[1-2 [c d]]]]] | ok | [[s [[1-2 [c d]]]]] | (waits) | ok | 1-1 | ok | (waits)",
    );
}

/// `$` is the last id at the time of the call, and `+` of an empty stream is whatever comes.
#[test]
fn special_ids_are_resolved_once() {
    check(
        "@client 1 | XREAD BLOCK 0 STREAMS s $ | @client 2 | XREAD BLOCK 0 STREAMS s + | @client 0 | MULTI | XADD s 1-1 a b | XADD s 1-2 c d | EXEC | \
         @client 1 | @reply | @client 2 | @reply",
        "ok | (waits) | ok | (waits) | ok | OK | QUEUED | QUEUED | [1-1 1-2] | ok | [[s [[1-1 [a b]] [1-2 [c d]]]]] | ok | [[s [[1-1 [a b]] [1-2 [c d]]]]]",
    );
    // What is gone by then does not count.
    check(
        "@client 1 | XREAD BLOCK 0 STREAMS s $ | @client 0 | MULTI | XADD s 1-1 a b | XDEL s 1-1 | EXEC | XADD s 1-2 c d MAXLEN | XADD s 1-2 c d | @client 1 | @reply",
        "ok | (waits) | ok | OK | QUEUED | QUEUED | [1-1 1] | ERR wrong number of arguments for 'xadd' command | 1-2 | ok | [[s [[1-2 [c d]]]]]",
    );
}

#[test]
fn consumers_share_what_comes() {
    check(
        "XGROUP CREATE s g $ MKSTREAM | @client 1 | XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s > | @client 2 | XREADGROUP GROUP g b BLOCK 0 STREAMS s > | \
         @client 0 | XADD s 1-1 a b | @client 1 | @reply | @client 2 | @reply | @client 0 | XADD s 1-2 c d | @client 2 | @reply | XPENDING s g - + 9 | XINFO CONSUMERS s g",
        "OK | ok | (waits) | ok | (waits) | ok | 1-1 | ok | [[s [[1-1 [a b]]]]] | ok | (waits) | ok | 1-2 | ok | [[s [[1-2 [c d]]]]] | \
         [[1-1 a 0 1] [1-2 b 0 1]] | [[name a pending 1 idle 0 inactive 0] [name b pending 1 idle 0 inactive 0]]",
    );
}

#[test]
fn a_group_that_goes_ends_the_wait() {
    let no_group = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    for (end, reply) in [
        ("XGROUP DESTROY s g", "1"),
        ("DEL s", "1"),
        ("RENAME s t", "OK"),
        ("FLUSHALL", "OK"),
    ] {
        check(
            &format!(
                "XGROUP CREATE s g $ MKSTREAM | @client 1 | XREADGROUP GROUP g a BLOCK 0 STREAMS s > | @client 0 | {end} | @client 1 | @reply"
            ),
            &format!("OK | ok | (waits) | ok | {reply} | ok | {no_group}"),
        );
    }
    check(
        "XGROUP CREATE s g $ MKSTREAM | @client 1 | XREADGROUP GROUP g a BLOCK 0 STREAMS s > | @client 0 | SET s x | @client 1 | @reply",
        "OK | ok | (waits) | ok | OK | ok | WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn nobody_waits_in_scripts_and_transactions() {
    check(
        "EVAL \"return redis.pcall('XREAD', 'BLOCK', '0', 'STREAMS', 's', '$')\" 1 s | EVAL \"return redis.call('XREAD', 'STREAMS', 's', '$')\" 1 s | \
         XGROUP CREATE s g $ MKSTREAM | MULTI | XREADGROUP GROUP g a BLOCK 0 STREAMS s > | XREAD BLOCK 0 STREAMS s $ | EXEC",
        "(nil) | (nil) | OK | OK | QUEUED | QUEUED | [(nil) (nil)]",
    );
}

#[test]
fn logs_what_was_delivered() {
    check_effects(
        "XGROUP CREATE s g $ MKSTREAM | @client 1 | XREADGROUP GROUP g a BLOCK 0 STREAMS s > | @client 2 | XREAD BLOCK 0 STREAMS s $ | @client 0 | @wait 5 | XADD s 1-1 a b",
        "XGROUP CREATE s g $ MKSTREAM | XGROUP CREATECONSUMER s g a | XADD s 1-1 a b | \
         MULTI | XCLAIM s g a 0 1-1 TIME 1700000000005 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-1 ENTRIESREAD 1 | EXEC",
    );
}
