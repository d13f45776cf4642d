//! Keyspace events of the commands on strings and keys, as Redis 7.0, 8.0 and Valkey 9.1 publish them.

use crate::testkit::{Bench, check_events};

#[test]
fn strings() {
    check_events("SET a 1 | SET a 2", "new a, set a, set a");
    check_events("SET a 3 EX 100", "new a, set a, expire a");
    check_events("SET a 3 | SET a 4 KEEPTTL", "new a, set a, set a");
    check_events("SET a 1 GET", "keymiss a, new a, set a");
    check_events("SET a 1 | SET a 2 NX | SET b 2 XX", "new a, set a");
    check_events(
        "SET a 1 EXAT 1 | GET a",
        "new a, set a, expire a, expired a, keymiss a",
    );
    check_events("SETNX b 1 | SETNX b 2", "new b, set b");
    check_events(
        "SETEX c 100 1 | PSETEX c 100 1",
        "new c, set c, expire c, set c, expire c",
    );
    check_events("GETSET a 9 | GETSET a 9", "keymiss a, new a, set a, set a");
    check_events(
        "SET a 1 | GETEX a EX 100 | GETEX a PERSIST | GETEX a PERSIST | GETEX a EXAT 1",
        "new a, set a, expire a, persist a, del a",
    );
    check_events(
        "SET a 1 | GETDEL a | GETDEL a",
        "new a, set a, del a, keymiss a",
    );
    check_events("APPEND a x | APPEND a \"\"", "new a, append a, append a");
    check_events(
        "SETRANGE a 1 xx | SETRANGE a 1 \"\" | SETRANGE a 0 x",
        "new a, setrange a, setrange a",
    );
    check_events(
        "INCR n | DECRBY n 2 | INCRBYFLOAT n 1.5",
        "new n, incrby n, incrby n, incrbyfloat n",
    );
    check_events(
        "MSET x 1 y 2 | MSET x 1 y 2",
        "new x, set x, new y, set y, set x, set y",
    );
    check_events(
        "MSETNX x 1 y 2 | MSETNX x 1 z 2",
        "new x, set x, new y, set y",
    );
    check_events("SET a 1 | DELIFEQ a 2 | DELIFEQ a 1", "new a, set a, del a");
    check_events(
        "GET a | STRLEN a | MGET a b",
        "keymiss a, keymiss a, keymiss a, keymiss b",
    );
}

#[test]
fn keys() {
    check_events("SET a 1 | DEL a b | UNLINK a", "new a, set a, del a");
    check_events(
        "SET a 1 | EXPIRE a 100 | EXPIRE a 100 NX | PERSIST a | PERSIST a | EXPIRE a -1",
        "new a, set a, expire a, persist a, del a",
    );
    check_events(
        "SET a 1 | RENAME a b | RENAME b b | SET c 1 | RENAME b c | RENAMENX c d",
        "new a, set a, new b, rename_from a, rename_to b, new c, set c, \
         new c, rename_from b, rename_to c, new d, rename_from c, rename_to d",
    );
    check_events(
        "SET a 1 | COPY a b | COPY a b | COPY a b REPLACE | COPY a b DB 1 | COPY x y",
        "new a, set a, new b, copy_to b, new b, copy_to b, 1:new b, 1:copy_to b, keymiss x",
    );
    check_events(
        "SET a 1 | MOVE a 1 | MOVE a 1",
        "new a, set a, 1:new a, move_from a, 1:move_to a",
    );
    check_events(
        "EXISTS a | TTL a | TYPE a | TOUCH a | OBJECT ENCODING a",
        "keymiss a, keymiss a, keymiss a, keymiss a",
    );
    check_events("SET a 1 | SWAPDB 0 1 | FLUSHALL", "new a, set a");
}

#[test]
fn an_expired_key_goes_before_what_met_it() {
    check_events(
        "SET a 1 PX 1 | @wait 2 | SET a 2",
        "new a, set a, expire a, expired a, new a, set a",
    );
    check_events(
        "SET a 1 PX 1 | @wait 2 | COPY a b",
        "new a, set a, expire a, expired a, keymiss a",
    );
}

#[test]
fn a_transaction_tells_its_events_at_its_end_and_in_order() {
    check_events(
        "MULTI | SET a 1 | INCR a | DEL a | EXEC",
        "new a, set a, incrby a, del a",
    );
    check_events("MULTI | SET a 1 | INCR b", "");
    check_events(
        "EVAL \"redis.call('set', KEYS[1], 1) redis.call('del', KEYS[1])\" 1 a",
        "new a, set a, del a",
    );
}

#[test]
fn nothing_is_told_that_is_not_wanted() {
    let mut bench = Bench::new();
    for (wanted, events) in [
        ("", vec![]),
        ("g$", vec![]),
        ("Kg", vec!["0 g del a"]),
        ("E$", vec!["0 $ set a"]),
    ] {
        let wanted = crate::Notify::parse(wanted.as_bytes()).expect("known letters");
        bench
            .engine
            .settings
            .notify_keyspace_events
            .set(wanted.bits());
        bench.line("SET a 1");
        bench.line("DEL a");
        assert_eq!(std::mem::take(&mut bench.shell.events), events);
    }
}
