//! Commands whose replies are texts for people: shown as they are, in every format.

/// Whether the reply to `command` is such a text.
pub(crate) fn is_verbatim(command: &[Vec<u8>]) -> bool {
    let is = |index: usize, words: &[&str]| {
        command.get(index).is_some_and(|word| {
            words
                .iter()
                .any(|other| word.eq_ignore_ascii_case(other.as_bytes()))
        })
    };
    is(0, &["INFO", "LOLWUT"])
        || is(0, &["DEBUG"]) && is(1, &["HTSTATS", "HTSTATS-KEY", "CLIENT-EVICTION"])
        || is(0, &["MEMORY"]) && is(1, &["MALLOC-STATS", "DOCTOR"])
        || command.len() == 2 && is(0, &["CLUSTER"]) && is(1, &["NODES", "INFO"])
        || is(0, &["CLIENT"]) && is(1, &["LIST", "INFO"])
        || command.len() == 3 && is(0, &["LATENCY"]) && is(1, &["GRAPH"])
        || command.len() == 2 && is(0, &["LATENCY"]) && is(1, &["DOCTOR"])
        || is(0, &["PROXY"]) && is(1, &["INFO"])
}
