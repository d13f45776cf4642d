//! Commands that don't have exactly one reply.

/// Names such a command, if `args` are one: whoever waited for its one reply would wait for ever, or take the
/// next command's reply for it.
pub(crate) fn not_one_reply<A: AsRef<[u8]>>(args: &[A]) -> Option<&'static str> {
    const NAMES: [&str; 9] = [
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
        "SYNC",
        "PSYNC",
    ];
    let is = |index: usize, word: &str| {
        args.get(index)
            .is_some_and(|arg| arg.as_ref().eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(0, "CLIENT") && is(1, "REPLY") && !is(2, "ON") {
        return Some("CLIENT REPLY");
    }
    NAMES.into_iter().find(|name| is(0, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("subscribe a", Some("SUBSCRIBE"))]
    #[case("client reply off", Some("CLIENT REPLY"))]
    #[case("client reply on", None)]
    #[case("client list", None)]
    #[case("get subscribe", None)]
    #[case("", None)]
    fn are_told_apart(#[case] line: &str, #[case] name: Option<&str>) {
        let args: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(not_one_reply(&args), name);
    }
}
