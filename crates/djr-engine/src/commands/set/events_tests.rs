//! Keyspace events of the commands on sets, as Redis publishes them.

use crate::testkit::check_events;

#[test]
fn changes() {
    check_events(
        "SADD s a | SADD s a | SADD s b | SREM s x | SREM s a | SREM s b",
        "new s, sadd s, sadd s, srem s, srem s, del s",
    );
    check_events(
        "SADD s a | SPOP s 0 | SPOP s | SADD s a b | SPOP s 1 | SPOP s 1 | SPOP s",
        "new s, sadd s, spop s, del s, new s, sadd s, spop s, spop s, del s",
    );
    check_events(
        "SADD s a b | SMOVE s t a | SMOVE s s b | SMOVE s t x | SADD t b | SMOVE s t b",
        "new s, sadd s, srem s, new t, sadd t, sadd t, srem s, del s",
    );
}

#[test]
fn stored_results() {
    check_events(
        "SADD s a | SINTERSTORE d s | SUNIONSTORE d s s | SDIFFSTORE d s | SDIFFSTORE d s s | SDIFFSTORE d s s | SINTERSTORE s none",
        "new s, sadd s, new d, sinterstore d, sunionstore d, sdiffstore d, del d, keymiss none, del s",
    );
}
