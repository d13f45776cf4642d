//! Which lines hold a password and so stay out of the history.

use djr_protocol::split_args;

/// Whether `line` sets or uses a password.
pub(crate) fn has_secret(line: &str) -> bool {
    let words: Vec<String> = match split_args(line.as_bytes()) {
        Ok(words) => words
            .iter()
            .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
            .collect(),
        // A quote is missing: what was meant is seen all the same.
        Err(_) => line
            .split_whitespace()
            .map(str::to_ascii_uppercase)
            .collect(),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = match words.as_slice() {
        // `3 AUTH …`
        [number, rest @ ..] if number.parse::<u64>().is_ok() => rest,
        words => words,
    };
    match words {
        ["AUTH", ..] | ["ACL", "SETUSER", ..] => true,
        ["HELLO" | "MIGRATE", rest @ ..] => {
            rest.iter().any(|word| matches!(*word, "AUTH" | "AUTH2"))
        }
        ["CONFIG", "SET", rest @ ..] => rest.iter().any(|word| {
            matches!(
                *word,
                "REQUIREPASS"
                    | "MASTERAUTH"
                    | "MASTERUSER"
                    | "PRIMARYAUTH"
                    | "PRIMARYUSER"
                    | "TLS-KEY-FILE-PASS"
                    | "TLS-CLIENT-KEY-FILE-PASS"
            )
        }),
        ["SENTINEL", "SET", rest @ ..] => rest
            .iter()
            .any(|word| matches!(*word, "AUTH-PASS" | "AUTH-USER")),
        ["SENTINEL", "CONFIG", "SET", rest @ ..] => rest
            .iter()
            .any(|word| matches!(*word, "SENTINEL-PASS" | "SENTINEL-USER")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("auth x", true)]
    #[case("  AUTH u x", true)]
    #[case("2 auth x", true)]
    #[case("\"auth\" x", true)]
    #[case("auth \"x", true)]
    #[case("hello 3 auth u x", true)]
    #[case("hello 3", false)]
    #[case("acl setuser u >x", true)]
    #[case("acl list", false)]
    #[case("config set maxmemory 1 requirepass x", true)]
    #[case("config set maxmemory 1", false)]
    #[case("config get requirepass", false)]
    #[case("migrate h 1 k 0 10 AUTH2 u x", true)]
    #[case("set auth x", false)]
    #[case("", false)]
    fn are_seen(#[case] line: &str, #[case] secret: bool) {
        assert_eq!(has_secret(line), secret);
    }
}
