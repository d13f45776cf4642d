//! Commands that don't have exactly one reply, and what `CLIENT REPLY` does to all others.

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
    // A replica's report; the master says nothing to it.
    if is(0, "REPLCONF") && is(1, "ACK") {
        return Some("REPLCONF ACK");
    }
    NAMES.into_iter().find(|name| is(0, name))
}

/// Whether the server answers at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Replies {
    #[default]
    On,
    /// All but the next command.
    Skip,
    Off,
}

impl Replies {
    /// How many replies a command that is sent now will have; `None` if any number. Remembers what it says of the next ones.
    pub(crate) fn count<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Option<usize> {
        let is = |index: usize, word: &str| {
            args.get(index)
                .is_some_and(|arg| arg.as_ref().eq_ignore_ascii_case(word.as_bytes()))
        };
        if is(0, "CLIENT") && is(1, "REPLY") && args.len() == 3 {
            match () {
                () if is(2, "ON") => {
                    *self = Replies::On;
                    return Some(1);
                }
                () if is(2, "OFF") => {
                    *self = Replies::Off;
                    return Some(0);
                }
                // Where there are none, there is none to leave out.
                () if is(2, "SKIP") => {
                    if *self == Replies::On {
                        *self = Replies::Skip;
                    }
                    return Some(0);
                }
                () => {}
            }
        }
        match *self {
            Replies::Off => Some(0),
            Replies::Skip => {
                *self = Replies::On;
                Some(0)
            }
            Replies::On => not_one_reply(args).is_none().then_some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn client_reply_is_kept_in_mind() {
        let mut replies = Replies::default();
        let mut count = |line: &str| {
            let args: Vec<&str> = line.split_whitespace().collect();
            replies.count(&args)
        };
        assert_eq!(count("get a"), Some(1));
        assert_eq!(count("subscribe a"), None);
        assert_eq!(count("client reply skip"), Some(0));
        assert_eq!(count("get a"), Some(0));
        assert_eq!(count("get a"), Some(1));
        assert_eq!(count("client reply off"), Some(0));
        assert_eq!(count("client reply skip"), Some(0));
        assert_eq!(count("get a"), Some(0));
        assert_eq!(count("get a"), Some(0));
        assert_eq!(count("CLIENT REPLY ON"), Some(1));
        assert_eq!(count("get a"), Some(1));
    }

    #[rstest]
    #[case("replconf ack 7", Some("REPLCONF ACK"))]
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
