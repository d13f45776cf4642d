//! The first line of a script: `#!lua flags=no-writes,allow-stale`.

use crate::CommandError;

/// What a script declares about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Calls no command that writes.
    pub no_writes: bool,
    /// May run above the memory limit, though it writes.
    pub allow_oom: bool,
    /// May run on a replica that has lost its primary.
    pub allow_stale: bool,
    /// Refuses to run in a cluster.
    pub no_cluster: bool,
    /// May touch keys of different hash slots.
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    /// Sets the flag of this name, if there is one.
    pub(super) fn set(&mut self, name: &[u8]) -> Option<()> {
        *match name {
            b"no-writes" => &mut self.no_writes,
            b"allow-oom" => &mut self.allow_oom,
            b"allow-stale" => &mut self.allow_stale,
            b"no-cluster" => &mut self.no_cluster,
            b"allow-cross-slot-keys" => &mut self.allow_cross_slot_keys,
            _ => return None,
        } = true;
        Some(())
    }
}

impl Flags {
    /// The names of the flags that are set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name)
    }
}

/// Reads the first line; `None` if the script does not begin with `#!`.
pub(super) fn parse(script: &[u8]) -> Result<Option<Flags>, CommandError> {
    if !script.starts_with(b"#!") {
        return Ok(None);
    }
    let end = script.iter().position(|byte| *byte == b'\n');
    let line = &script[..end.ok_or(CommandError::text("ERR Invalid script shebang"))?];
    let words = split(line).ok_or(CommandError::text("ERR Invalid engine in script shebang"))?;
    let named = |text: &str, name: &[u8]| {
        CommandError::format(format!("ERR {text}: {}", String::from_utf8_lossy(name)))
    };
    let (engine, options) = words
        .split_first()
        .ok_or(CommandError::text("ERR Invalid engine in script shebang"))?;
    if engine != b"#!lua" {
        return Err(named("Unexpected engine in script shebang", engine));
    }
    let mut flags = Flags::default();
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err(named("Unknown lua shebang option", option));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|byte| *byte == b',') {
            flags
                .set(name)
                .ok_or_else(|| named("Unexpected flag in script shebang", name))?;
        }
    }
    Ok(Some(flags))
}

/// The text as Lua gets it: the line stays, empty, so that line numbers stay right.
pub(super) fn body(script: &[u8]) -> &[u8] {
    let end = script.iter().position(|byte| *byte == b'\n');
    match end {
        Some(end) if script.starts_with(b"#!") => &script[end..],
        _ => script,
    }
}

/// Words between blanks; quotes hold a word together. `None` if a quote is not closed or not followed by a blank.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    while let Some(first) = bytes.find(|byte| !byte.is_ascii_whitespace()) {
        let mut word = Vec::new();
        let mut next = Some(first);
        while let Some(byte) = next {
            match byte {
                b'"' | b'\'' => {
                    loop {
                        match bytes.next()? {
                            b'\\' if bytes.peek().is_some() => word.extend(bytes.next()),
                            inner if inner == byte => break,
                            inner => word.push(inner),
                        }
                    }
                    if bytes.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                        return None;
                    }
                }
                byte => word.push(byte),
            }
            next = bytes.next_if(|byte| !byte.is_ascii_whitespace());
        }
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("return 1", "None")]
    #[case("#!lua\nreturn 1", "none")]
    #[case("#!lua flags=no-writes,allow-stale\nx", "no_writes allow_stale")]
    #[case(
        "#!lua  'flags=allow-oom' flags=no-cluster \r\nx",
        "allow_oom no_cluster"
    )]
    #[case("#!lua flags=\nx", "none")]
    #[case("#!lua", "ERR Invalid script shebang")]
    #[case("#!js\n", "ERR Unexpected engine in script shebang: #!js")]
    #[case("#! lua\n", "ERR Unexpected engine in script shebang: #!")]
    #[case("#!lua name=x\n", "ERR Unknown lua shebang option: name=x")]
    #[case("#!lua flags=no-writes,\n", "ERR Unexpected flag in script shebang: ")]
    #[case("#!lua \"flags=\n", "ERR Invalid engine in script shebang")]
    fn reads_the_first_line(#[case] script: &str, #[case] expected: &str) {
        let got = match parse(script.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(None) => "None".into(),
            Ok(Some(flags)) => {
                let text = format!("{flags:?}");
                let set: Vec<_> = text
                    .trim_start_matches("Flags { ")
                    .split(", ")
                    .filter_map(|field| field.trim_end_matches(" }").strip_suffix(": true"))
                    .collect();
                if set.is_empty() {
                    "none".into()
                } else {
                    set.join(" ")
                }
            }
        };
        assert_eq!(got, expected, "{script:?}");
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(body(b"#!lua\nreturn 1"), b"\nreturn 1");
        assert_eq!(body(b"return 1\n"), b"return 1\n");
    }
}
