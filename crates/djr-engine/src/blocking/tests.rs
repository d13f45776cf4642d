//! The machinery, tried with commands of its own: a string is a list of one element.

use std::sync::Arc;

use djr_storage::keyspace::{Keyspace, KeyspaceOptions};

use super::BlockedOn;
use crate::commands::{generic, scripting, string};
use crate::registry::Registry;
use crate::spec::{Access, Arg, CommandSpec, Flags, Run};
use crate::testkit::Bench;
use crate::{Args, CommandError, Effect, Engine, Reply, WriteContext};

/// TAKE key [key ...] timeout: key and value of the first that exists, which goes.
static TAKE: CommandSpec = CommandSpec {
    name: "take",
    syntax: &[
        Arg::key("key", Access::RW).multiple(),
        Arg::double("timeout"),
    ],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    run: Run::Write(take),
    ..CommandSpec::DEFAULT
};

/// CARRY source destination timeout: takes the value of the source to the destination.
static CARRY: CommandSpec = CommandSpec {
    name: "carry",
    syntax: &[
        Arg::key("source", Access::RW),
        Arg::key("destination", Access::RW),
        Arg::double("timeout"),
    ],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    run: Run::Write(carry),
    ..CommandSpec::DEFAULT
};

type Context<'a, 'k> = WriteContext<'a, 'k>;

fn taken(context: &mut Context<'_, '_>, args: &Args<'_>, index: usize) -> Option<Vec<u8>> {
    let key = context.key(args, index);
    let entry = context.db().take(key)?;
    Some(entry.value.as_ref().as_string()?.to_vec())
}

fn take(
    context: &mut Context<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let last = args.len() - 1;
    let timeout = context.parse_timeout(args, last)?;
    for index in 1..last {
        if let Some(value) = taken(context, args, index) {
            reply.array(2);
            reply.bulk(args.get(index));
            reply.bulk(&value);
            context.undo(&[b"SET", args.get(index), &value]);
            return Ok(Effect::Rewritten(
                context.rewrite(&[b"DEL", args.get(index)]),
            ));
        }
    }
    if !context.may_block() {
        reply.null_array();
        return Ok(Effect::None);
    }
    context.block(
        (1..last).map(|index| args.get(index)),
        BlockedOn::String,
        timeout,
    )
}

fn carry(
    context: &mut Context<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let timeout = context.parse_timeout(args, 3)?;
    if let Some(value) = taken(context, args, 1) {
        reply.bulk(&value);
        let key = context.key(args, 2);
        context
            .db()
            .set_string(key, &value, djr_storage::keyspace::Expire::Clear);
        context.rewrite(&[b"DEL", args.get(1)]);
        return Ok(Effect::Rewritten(context.rewrite(&[
            b"SET",
            args.get(2),
            &value,
        ])));
    }
    if !context.may_block() {
        reply.null();
        return Ok(Effect::None);
    }
    context.block([args.get(1)], BlockedOn::String, timeout)
}

fn bench() -> Bench {
    static COMMANDS: &[&CommandSpec] = &[&TAKE, &CARRY];
    let families = [
        string::COMMANDS,
        generic::COMMANDS,
        scripting::COMMANDS,
        COMMANDS,
    ];
    Bench::of(Arc::new(Engine {
        keyspace: Keyspace::new(KeyspaceOptions::default()),
        registry: Registry::leak(&families),
        settings: Default::default(),
        scripts: Default::default(),
    }))
}

/// Commands and their replies, a pair a line: `command => reply`. Then the log, if it is given.
#[track_caller]
fn check(script: &str) -> Bench {
    let mut bench = bench();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (command, reply) = line.split_once(" => ").unwrap_or((line, "ok"));
        // A number in front is the client who speaks.
        let (client, command) = command.split_once(": ").unwrap_or(("0", command));
        bench.line(&format!("@client {client}"));
        assert_eq!(bench.line(command), reply, "{line}");
    }
    let waits = bench.engine.keyspace.waits();
    assert!(
        !waits.has_ready(),
        "everything that is ready has been served"
    );
    bench
}

#[track_caller]
fn check_log(script: &str, log: &str) {
    assert_eq!(check(script).log_text(), log);
}

#[test]
fn first_come_first_served() {
    check_log(
        "1: TAKE k 0 => (waits)
         2: TAKE k 0 => (waits)
         SET k a => OK
         1: @reply => [k a]
         2: @reply => (waits)
         SET k b => OK
         2: @reply => [k b]
         EXISTS k => 0",
        "SET k a | DEL k | SET k b | DEL k",
    );
}

#[test]
fn what_is_there_is_taken_at_once() {
    check(
        "SET k a => OK
           1: TAKE x k 0 => [k a]
           1: @reply => (does not wait)",
    );
}

#[test]
fn who_waits_for_several_keys_is_served_once_and_keeps_no_place() {
    let bench = check(
        "1: TAKE a b a 0 => (waits)
         2: TAKE b 0 => (waits)
         SET b 1 => OK
         1: @reply => [b 1]
         SET a 2 => OK
         GET a => 2
         SET b 3 => OK
         2: @reply => [b 3]",
    );
    assert_eq!(bench.engine.keyspace.waits().keys(), 0);
}

#[test]
fn a_transaction_is_over_before_anyone_is_served() {
    // Of both keys the command's own first one is taken, though the other was ready first.
    check(
        "1: TAKE a b 0 => (waits)
         2: TAKE b 0 => (waits)
         MULTI => OK
         SET b 1 => QUEUED
         SET a 2 => QUEUED
         GET b => QUEUED
         EXEC => [OK OK 1]
         1: @reply => [a 2]
         2: @reply => [b 1]",
    );
    // What comes and goes inside it is nothing to them.
    check(
        "1: TAKE a 0 => (waits)
         MULTI => OK
         SET a 2 => QUEUED
         DEL a => QUEUED
         EXEC => [OK 1]
         1: @reply => (waits)
         SET a 3 => OK
         1: @reply => [a 3]",
    );
}

#[test]
fn inside_a_transaction_or_script_nobody_waits() {
    check(
        "MULTI => OK
         TAKE a 0 => QUEUED
         CARRY a b 0 => QUEUED
         EXEC => [(nil) (nil)]
         @reply => (does not wait)",
    );
}

#[test]
fn a_script_serves_when_it_has_ended() {
    check(
        "1: TAKE a 0 => (waits)
         EVAL \"redis.call('set', 'a', 1) return redis.call('get', 'a')\" 0 => 1
         1: @reply => [a 1]
         EXISTS a => 0",
    );
}

#[test]
fn what_serving_changes_is_served_too() {
    check_log(
        "1: CARRY b c 0 => (waits)
         2: CARRY a b 0 => (waits)
         3: TAKE c 0 => (waits)
         SET a x => OK
         2: @reply => x
         1: @reply => x
         3: @reply => [c x]",
        "SET a x | MULTI | DEL a | SET b x | EXEC | MULTI | DEL b | SET c x | EXEC | DEL c",
    );
}

#[test]
fn every_way_of_making_a_key_serves() {
    for way in [
        "RENAME from k",
        "RENAMENX from k",
        "COPY from k",
        "APPEND k v",
        "GETSET k v",
        "EVAL \"redis.call('rename', 'from', 'k')\" 0",
    ] {
        let mut bench = bench();
        bench.line("SET from v");
        bench.line("@client 1");
        bench.line("TAKE k 0");
        bench.line("@client 0");
        bench.line(way);
        bench.line("@client 1");
        assert_eq!(bench.line("@reply"), "[k v]", "{way}");
    }
    check(
        "1: TAKE k 0 => (waits)
         SELECT 1 => OK
         SET k v => OK
         1: @reply => (waits)
         MOVE k 0 => 1
         1: @reply => [k v]
         1: TAKE x 0 => (waits)
         SELECT 0 => OK
         SET x 5 => OK
         1: @reply => (waits)
         SWAPDB 0 1 => OK
         1: @reply => [x 5]",
    );
}

#[test]
fn waits_are_of_a_db() {
    check(
        "1: TAKE k 0 => (waits)
         SELECT 1 => OK
         2: TAKE k 0 => (waits)
         SET k v => OK
         2: @reply => [k v]
         1: @reply => (waits)",
    );
}

#[test]
fn the_reply_is_in_the_version_of_who_waits() {
    check(
        "@resp 3
         1: CARRY a b 0 => (waits)
         @resp 2
         SET a v => OK
         1: @reply => v",
    );
}

#[test]
fn who_has_gone_is_passed_over() {
    let bench = check(
        "1: TAKE k 0 => (waits)
         2: TAKE k 0 => (waits)
         1: @gone
         SET k a => OK
         2: @reply => [k a]",
    );
    assert_eq!(bench.engine.keyspace.waits().keys(), 0);
}

#[test]
fn what_could_not_be_delivered_goes_back_and_to_the_next() {
    check_log(
        "1: TAKE k 0 => (waits)
         SET k a => OK
         1: @gone
         GET k => a",
        "SET k a | DEL k | SET k a",
    );
    check(
        "SELECT 3 => OK
         1: TAKE k 0 => (waits)
         2: TAKE k 0 => (waits)
         SET k a => OK
         SELECT 0 => OK
         1: @gone
         2: @reply => [k a]",
    );
}

#[test]
fn timeouts() {
    for (text, reply) in [
        ("x", "ERR timeout is not a float or out of range"),
        ("", "ERR timeout is not a float or out of range"),
        ("nan", "ERR timeout is not a float or out of range"),
        ("-1", "ERR timeout is negative"),
        ("-inf", "ERR timeout is negative"),
        ("-0.0011", "ERR timeout is negative"),
        ("-0.001", "(waits)"),
        ("-0.0001", "(waits)"),
        ("inf", "ERR timeout is out of range"),
        ("9223372036854775.807", "ERR timeout is out of range"),
        ("1e300", "ERR timeout is out of range"),
        ("0x10", "(waits)"),
        ("0.0001", "(waits)"),
        ("9221000000000000", "(waits)"),
    ] {
        assert_eq!(bench().line(&format!("TAKE k \"{text}\"")), reply, "{text}");
    }
    let millis =
        |text: &str| super::parse_seconds(text.as_bytes(), 0).map(|t| t.map(|t| t.as_millis()));
    assert_eq!(millis("0.0001"), Ok(Some(1)));
    assert_eq!(millis("1.5"), Ok(Some(1500)));
    assert_eq!(millis("0.1"), Ok(Some(100)));
    assert_eq!(millis("0"), Ok(None));
}
