//! What scripts answer.

use crate::testkit::{check, check_effects};

#[test]
fn runs() {
    check(
        r#"EVAL "return 1" 0 | EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 k v | GET k"#,
        "1 | OK | v",
    );
}

#[test]
fn one_unit() {
    check_effects(
        r#"EVAL "redis.call('SET', 'a', 1) redis.call('INCR', 'a') error('x')" 0"#,
        "MULTI | SET a 1 | INCR a | EXEC",
    );
}
