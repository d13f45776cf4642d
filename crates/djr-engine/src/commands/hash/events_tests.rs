//! Keyspace events of the commands on hashes, as Redis 8.0 publishes them.

use crate::testkit::check_events;

#[test]
fn changes() {
    check_events(
        "HSET h a 1 | HSET h a 1 | HMSET h a 1 | HSETNX h a 1 | HSETNX h b 1",
        "new h, hset h, hset h, hset h, hset h",
    );
    check_events(
        "HSETNX h a 1 | HDEL h x | HDEL h a | HDEL h a",
        "new h, hset h, hdel h, del h",
    );
    check_events(
        "HINCRBY h a 1 | HINCRBY h a x | HINCRBYFLOAT h a 1 | HINCRBYFLOAT g a 1",
        "new h, hincrby h, hincrbyfloat h, new g, hincrbyfloat g",
    );
}

#[test]
fn misses() {
    for command in [
        "HGET h a",
        "HMGET h a",
        "HGETALL h",
        "HKEYS h",
        "HVALS h",
        "HLEN h",
        "HSTRLEN h a",
        "HEXISTS h a",
        "HRANDFIELD h",
        "HRANDFIELD h 1",
        "HSCAN h 0",
        "HTTL h FIELDS 1 a",
    ] {
        check_events(command, "keymiss h");
    }
    check_events(
        "HEXPIRE h 9 FIELDS 1 a | HPERSIST h FIELDS 1 a | HGETEX h FIELDS 1 a | HGETDEL h FIELDS 1 a",
        "",
    );
}

#[test]
fn deadlines() {
    check_events(
        "HSET h a 1 b 2 c 3 | HEXPIRE h 9 FIELDS 2 a x | HEXPIRE h 9 FIELDS 1 x | HEXPIRE h 9 NX FIELDS 1 a | HPERSIST h FIELDS 2 a b | \
         HPERSIST h FIELDS 1 a | HEXPIRE h 0 FIELDS 2 a b | HEXPIREAT h 1 FIELDS 1 c",
        "new h, hset h, hexpire h, hpersist h, hdel h, hdel h, del h",
    );
    check_events(
        "HSETEX h EX 100 FIELDS 1 a 1 | HSETEX h FIELDS 1 a 1 | HSETEX h KEEPTTL FIELDS 1 a 1 | HSETEX h FNX FIELDS 1 a 1 | \
         HSETEX h PXAT 1 FIELDS 1 a 1",
        "new h, hset h, hexpire h, hset h, hset h, hset h, hdel h, del h",
    );
    check_events(
        "HSETEX h PXAT 1 FIELDS 1 a 1",
        "new h, hset h, hdel h, del h",
    );
    check_events(
        "HSET h a 1 | HSETEX h PXAT 1 FIELDS 1 b 1",
        "new h, hset h, hset h, hdel h",
    );
    check_events(
        "HSET h a 1 b 2 c 3 | HGETEX h FIELDS 1 a | HGETEX h EX 9 FIELDS 2 a x | HGETEX h PERSIST FIELDS 2 a b | HGETEX h PERSIST FIELDS 1 a | \
         HGETEX h EXAT 1 FIELDS 2 a b | HGETDEL h FIELDS 2 c x | HGETDEL h FIELDS 1 c",
        "new h, hset h, hexpire h, hpersist h, hdel h, hdel h, del h",
    );
    check_events(
        "HSET h a 1 b 2 | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HINCRBY h a 1",
        "new h, hset h, hexpire h, hexpired h, hincrby h",
    );
}
