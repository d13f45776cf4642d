//! What Rust source must not hold, and what to write instead.

use super::source::Source;

/// One thing that is forbidden.
pub(super) struct Rule {
    /// Any of these, in code (not in comments or strings).
    words: &'static [&'static str],
    /// Paths that begin so.
    inside: &'static [&'static str],
    /// Except those.
    except: &'static [&'static str],
    /// Allowed with a comment that gives the reason.
    or_reason: bool,
    /// What to do.
    instead: &'static str,
}

const PROTOCOL: &str = "crates/djr-protocol/src/";
const STORAGE: &str = "crates/djr-storage/src/";
const ENGINE: &str = "crates/djr-engine/src/";
const SERVER: &str = "crates/djr-server/src/";
const CLIENT: &str = "crates/djr-client/src/";

pub(super) const RULES: &[Rule] = &[
    Rule {
        words: &[".unwrap()", ".expect(", "panic!(", "unreachable!("],
        inside: &[PROTOCOL, STORAGE, ENGINE, SERVER, CLIENT],
        except: &[],
        or_reason: true,
        instead: "return an error; where it can't happen, say why in a comment above",
    },
    Rule {
        words: &["Instant::now", "SystemTime::now", ".elapsed()"],
        inside: &[PROTOCOL, STORAGE, ENGINE],
        except: &[],
        or_reason: false,
        instead: "take `now` as an argument: these crates read no clock",
    },
    Rule {
        words: &["Instant::now", "SystemTime::now", ".elapsed()"],
        inside: &[SERVER],
        except: &["crates/djr-server/src/clock.rs"],
        or_reason: false,
        instead: "ask crate::clock, the one place that reads clocks",
    },
    Rule {
        words: &[
            "thread::spawn",
            "thread::Builder",
            "thread::scope",
            "thread::sleep",
        ],
        inside: &[PROTOCOL, STORAGE, ENGINE],
        except: &[],
        or_reason: false,
        instead: "offer a function and let the server call it from a thread of its own",
    },
    Rule {
        words: &["RandomState", "getrandom", "rand::"],
        inside: &[PROTOCOL, STORAGE, ENGINE],
        except: &[],
        or_reason: false,
        instead: "take a seed or an Rng as an argument: a failing run must be a seed",
    },
    Rule {
        words: &["std::fs", "fs::", "File::", "OpenOptions"],
        inside: &[STORAGE],
        except: &[
            "crates/djr-storage/src/disk/os.rs",
            "crates/djr-storage/src/disk/contents.rs",
        ],
        or_reason: false,
        instead: "go through `trait Disk`, so that the crash simulator sees it",
    },
    Rule {
        words: &["std::net", "std::fs", "std::env", "mio::", "tokio::"],
        inside: &[PROTOCOL, ENGINE],
        except: &[],
        or_reason: false,
        instead: "keep sockets, files and the environment in the server",
    },
    Rule {
        words: &["println!(", "print!("],
        inside: &[PROTOCOL, STORAGE, ENGINE, SERVER, CLIENT],
        except: &["crates/djr-server/src/main.rs"],
        or_reason: false,
        instead: "use tracing in the server; return it elsewhere",
    },
    Rule {
        words: &["allow(unsafe_code)", "expect(unsafe_code)"],
        inside: &["crates/", "xtask/", "tests/"],
        except: &[
            "crates/djr-storage/src/table/",
            "crates/djr-storage/src/arena/",
            "crates/djr-storage/src/keyspace/",
            "crates/djr-storage/src/types/dictionary/",
            // Calls the allocator.
            "crates/djr-storage/src/allocator.rs",
            // Maps files.
            "crates/djr-storage/src/disk/contents.rs",
            // Follows the handles that the dictionary gave out.
            "crates/djr-storage/src/types/sorted_set/indexed.rs",
            "crates/djr-storage/benches/",
        ],
        or_reason: false,
        instead: "unsafe code lives in the table, the entries and their memory (docs/ARCHITECTURE.md); move it there or do without",
    },
];

/// Files that are tests, or stand ready for them.
fn is_for_tests(path: &str) -> bool {
    path.ends_with("tests.rs") || path.ends_with("/testkit.rs")
}

/// The violations in a file: line number (from 1), what was found, what to do instead.
pub(super) fn check(path: &str, text: &str) -> Vec<(usize, String, &'static str)> {
    let rules: Vec<_> = RULES.iter().filter(|rule| rule.applies(path)).collect();
    if rules.is_empty() || is_for_tests(path) {
        return Vec::new();
    }
    let source = Source::new(text);
    let mut found = Vec::new();
    for (index, code) in source.code.iter().enumerate() {
        if source.is_test[index] {
            continue;
        }
        for rule in &rules {
            let word = rule.words.iter().find(|word| contains(code, word));
            if let Some(word) = word
                && !(rule.or_reason && source.has_reason(index))
            {
                found.push((index + 1, (*word).to_owned(), rule.instead));
            }
        }
    }
    found
}

/// Whether the word stands there by itself: `fs::` is not in `djr_fs::`.
fn contains(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !word.starts_with(is_name) || !code[..at].ends_with(is_name))
}

impl Rule {
    fn applies(&self, path: &str) -> bool {
        self.inside.iter().any(|dir| path.starts_with(dir))
            && !self.except.iter().any(|dir| path.starts_with(dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rule, with a line that breaks it and one that does not.
    #[test]
    fn each_rule_finds_what_it_forbids() {
        let rows = [
            (
                "crates/djr-engine/src/a.rs",
                "let a = b.unwrap();",
                "let a = b.unwrap_or(1);",
            ),
            (
                "crates/djr-storage/src/a.rs",
                "x.expect(\"y\")",
                "// It was checked.\nx.expect(\"y\")",
            ),
            (
                "crates/djr-engine/src/a.rs",
                "Instant::now()",
                "// Instant::now()",
            ),
            (
                "crates/djr-server/src/a.rs",
                "began.elapsed()",
                "clock::monotonic() - began",
            ),
            (
                "crates/djr-storage/src/a.rs",
                "std::thread::spawn(f)",
                "#[cfg(test)]\nmod tests {\nthread::spawn(f)\n}",
            ),
            (
                "crates/djr-engine/src/a.rs",
                "RandomState::new()",
                "Rng::new(seed)",
            ),
            (
                "crates/djr-storage/src/a.rs",
                "File::open(x)",
                "LogFile::open(x)",
            ),
            (
                "crates/djr-engine/src/a.rs",
                "use std::net::TcpStream;",
                "\"std::net\"",
            ),
            (
                "crates/djr-server/src/a.rs",
                "println!(\"x\")",
                "tracing::info!(\"x\")",
            ),
            (
                "crates/djr-cli/src/a.rs",
                "#[allow(unsafe_code)]",
                "#[allow(dead_code)]",
            ),
        ];
        for (path, bad, good) in rows {
            assert_eq!(check(path, bad).len(), 1, "{bad}");
            assert!(check(path, good).is_empty(), "{good}");
        }
    }
}
