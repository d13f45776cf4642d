//! What the server's `COMMAND DOCS` says about its commands, for `help`, for completion and for hints.

use std::collections::{BTreeMap, BTreeSet};

use djr_client::Value;

/// Colors, as terminals number them.
const BOLD: &str = "1";
const YELLOW: &str = "33";
const GRAY: &str = "90";

/// A command or a subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    summary: String,
    since: String,
    group: String,
    /// The arguments, each as a word or more: `key`, `[NX|XX]`, `[key ...]`.
    syntax: Vec<String>,
    /// The words that stand for themselves: `EX`, `NX`.
    tokens: BTreeSet<String>,
}

/// The commands of a server, by their names in capitals (`CLIENT LIST`).
#[derive(Debug, Default)]
pub(crate) struct Help {
    entries: BTreeMap<String, Entry>,
}

impl Help {
    /// Reads the reply to `COMMAND DOCS`; what is not understood is left out.
    pub(crate) fn from_docs(docs: &Value) -> Help {
        let mut help = Help::default();
        for (name, docs) in pairs(docs) {
            help.add(name, docs);
        }
        help
    }

    fn add(&mut self, name: &Value, docs: &Value) {
        // Subcommands are called `client|list`.
        let name = text(name).to_ascii_uppercase().replace('|', " ");
        let mut entry = Entry::default();
        for (field, value) in pairs(docs) {
            match text(field).as_str() {
                "summary" => entry.summary = text(value),
                "since" => entry.since = text(value),
                "group" => entry.group = text(value),
                "arguments" => {
                    for docs in items(value) {
                        Argument::read(docs).collect_tokens(&mut entry.tokens);
                    }
                    entry.syntax = items(value)
                        .iter()
                        .map(|docs| Argument::read(docs).syntax())
                        .collect();
                }
                "subcommands" => {
                    for (name, docs) in pairs(value) {
                        self.add(name, docs);
                    }
                }
                _ => {}
            }
        }
        self.entries.insert(name, entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What can stand where `start` does, in the case in which the user types.
    pub(crate) fn completions(&self, start: &str) -> Vec<String> {
        let (prefix, start) = match start.split_at_checked(5) {
            Some((word, topic)) if word.eq_ignore_ascii_case("help ") => (word, topic.trim_start()),
            _ => ("", start),
        };
        let wanted = start.to_ascii_uppercase();
        let is_lower = start.chars().any(|letter| letter.is_ascii_lowercase()) || start.is_empty();
        let groups: BTreeSet<String> = match prefix {
            "" => BTreeSet::new(),
            _ => self
                .entries
                .values()
                .map(|entry| format!("@{}", entry.group))
                .collect(),
        };
        let names = self
            .entries
            .keys()
            .filter(|name| name.starts_with(&wanted))
            .map(|name| {
                if is_lower {
                    name.to_ascii_lowercase()
                } else {
                    name.clone()
                }
            });
        let groups = groups.into_iter().filter(|group| group.starts_with(start));
        names
            .chain(groups)
            .map(|name| format!("{prefix}{name}"))
            .collect()
    }

    /// The options that can stand where the last word of `line` is being typed, in the case in which it is.
    pub(crate) fn options(&self, line: &str) -> Vec<String> {
        let Some((before, word)) = line.rsplit_once(' ') else {
            return Vec::new();
        };
        let words: Vec<String> = before
            .split_whitespace()
            .map(str::to_ascii_uppercase)
            .collect();
        let two = words
            .get(..2)
            .and_then(|words| self.entries.get(&words.join(" ")));
        let Some(entry) = two.or_else(|| self.entries.get(words.first()?)) else {
            return Vec::new();
        };
        let wanted = word.to_ascii_uppercase();
        let is_lower = !word.chars().any(|letter| letter.is_ascii_uppercase());
        entry
            .tokens
            .iter()
            .filter(|token| token.starts_with(&wanted))
            .map(|token| {
                if is_lower {
                    token.to_ascii_lowercase()
                } else {
                    token.clone()
                }
            })
            .collect()
    }

    /// What is still to come after the words of `line`: arguments, the rest of a name that can only be one, or subcommands.
    pub(crate) fn hint(&self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let two = words
            .get(..2)
            .map(|words| words.join(" ").to_ascii_uppercase());
        let one = words.first()?.to_ascii_uppercase();
        let gap = if line.ends_with(' ') { "" } else { " " };
        let known = match two.as_ref().and_then(|name| self.entries.get(name)) {
            Some(entry) => Some((entry, 2)),
            None => self.entries.get(&one).map(|entry| (entry, 1)),
        };
        if let Some((entry, name_len)) = known
            && !entry.syntax.is_empty()
        {
            // The word that is being typed counts as there.
            let rest = entry.syntax.get(words.len() - name_len..)?;
            return (!rest.is_empty()).then(|| format!("{gap}{}", rest.join(" ")));
        }
        let is_lower = line.chars().any(|letter| letter.is_ascii_lowercase());
        let cased = |text: &str| match is_lower {
            true => text.to_ascii_lowercase(),
            false => text.to_owned(),
        };
        let family = format!("{one} ");
        if words.len() == 1 && self.family(&family).next().is_some() {
            let names: Vec<&str> = self
                .family(&family)
                .map(|(name, _)| name.get(family.len()..).unwrap_or_default())
                .collect();
            return Some(format!("{gap}{}", cased(&names.join(" | "))));
        }
        // Half a name, if only one begins like this.
        if line.ends_with(' ') || words.len() > 2 {
            return None;
        }
        let typed = words.join(" ").to_ascii_uppercase();
        let mut fitting = self
            .family(&typed)
            .filter(|(name, _)| words.len() == 2 || !name.contains(' '));
        let (name, entry) = fitting.next()?;
        if fitting.next().is_some() || *name == typed {
            return None;
        }
        let rest = cased(name.get(typed.len()..)?);
        Some(
            format!("{rest} {}", entry.syntax.join(" "))
                .trim_end()
                .to_owned(),
        )
    }

    /// The commands whose names begin with `start`, which is in capitals.
    fn family<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        self.entries
            .range(start.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(start))
    }

    /// The answer to `help` and the words after it.
    pub(crate) fn answer(&self, words: &[String], has_colors: bool) -> String {
        let Some(first) = words.first() else {
            return general();
        };
        let mut answer = String::from("\r\n");
        if let Some(group) = first.strip_prefix('@') {
            for (name, entry) in &self.entries {
                if entry.group.eq_ignore_ascii_case(group) {
                    answer.push_str(&entry.describe(name, false, has_colors));
                }
            }
        } else {
            let wanted = words.join(" ").to_ascii_uppercase();
            let family = format!("{wanted} ");
            for (name, entry) in &self.entries {
                if *name == wanted || name.starts_with(&family) {
                    answer.push_str(&entry.describe(name, true, has_colors));
                }
            }
        }
        answer
    }
}

impl Entry {
    fn describe(&self, name: &str, with_group: bool, has_colors: bool) -> String {
        let colored = |color: &str, text: &str| match has_colors && !text.is_empty() {
            true => format!("\x1b[{color}m{text}\x1b[0m"),
            false => text.to_owned(),
        };
        let mut lines = format!(
            "  {} {}\r\n",
            colored(BOLD, name),
            colored(GRAY, &self.syntax.join(" "))
        );
        let mut add = |label, text: &str| {
            lines.push_str(&format!("  {} {text}\r\n", colored(YELLOW, label)));
        };
        add("summary:", &self.summary);
        add("since:", &self.since);
        if with_group {
            add("group:", &self.group);
        }
        lines.push_str("\r\n");
        lines
    }
}

fn general() -> String {
    format!(
        "djr-cli {}\n\
        To get help about the server's commands type:\n      \
        \"help @<group>\" to get a list of commands in <group>\n      \
        \"help <command>\" for help on <command>\n      \
        \"help <tab>\" to get a list of possible help topics\n      \
        \"quit\" to exit\n\n\
        To set preferences:\n      \
        \":set hints\" enable online hints\n      \
        \":set nohints\" disable online hints\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// An argument as `COMMAND DOCS` describes it.
#[derive(Debug, Default)]
struct Argument {
    name: String,
    kind: String,
    /// An empty one stands for an empty argument.
    token: Option<String>,
    is_optional: bool,
    is_multiple: bool,
    is_token_multiple: bool,
    arguments: Vec<Argument>,
}

impl Argument {
    fn read(docs: &Value) -> Argument {
        let mut argument = Argument::default();
        for (field, value) in pairs(docs) {
            match text(field).as_str() {
                "name" if argument.name.is_empty() => argument.name = text(value),
                "display_text" => argument.name = text(value),
                "type" => argument.kind = text(value),
                "token" => argument.token = Some(text(value)),
                "flags" => {
                    for flag in items(value) {
                        match text(flag).as_str() {
                            "optional" => argument.is_optional = true,
                            "multiple" => argument.is_multiple = true,
                            "multiple_token" => argument.is_token_multiple = true,
                            _ => {}
                        }
                    }
                }
                "arguments" => {
                    argument.arguments = items(value).iter().map(Argument::read).collect()
                }
                _ => {}
            }
        }
        argument
    }

    fn collect_tokens(&self, tokens: &mut BTreeSet<String>) {
        if let Some(token) = &self.token
            && token.starts_with(|first: char| first.is_ascii_alphabetic())
        {
            tokens.insert(token.to_ascii_uppercase());
        }
        for argument in &self.arguments {
            argument.collect_tokens(tokens);
        }
    }

    fn syntax(&self) -> String {
        let joined = |separator: &str| {
            let parts: Vec<String> = self.arguments.iter().map(Argument::syntax).collect();
            parts.join(separator)
        };
        let mut value = match self.kind.as_str() {
            "pure-token" => String::new(),
            "oneof" => joined("|"),
            "block" => joined(" "),
            _ => self.name.clone(),
        };
        let with_token = |value: &str| match (self.token.as_deref(), value) {
            (None, value) => value.to_owned(),
            (Some("" | "\"\""), "") => "\"\"".to_owned(),
            (Some(token), "") => token.to_owned(),
            (Some(token), value) => format!("{token} {value}"),
        };
        if self.is_multiple && !self.is_token_multiple {
            value = format!("{value} [{value} ...]");
        }
        let mut whole = with_token(&value);
        if self.is_token_multiple {
            whole = format!("{whole} [{whole} ...]");
        }
        if self.is_optional {
            format!("[{whole}]")
        } else {
            whole
        }
    }
}

/// The pairs of a map, which in RESP2 is an array.
fn pairs(value: &Value) -> Vec<(&Value, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key, value)).collect(),
        Value::Array(items) => items
            .chunks_exact(2)
            .filter_map(|pair| Some((pair.first()?, pair.get(1)?)))
            .collect(),
        _ => Vec::new(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_slice().unwrap_or_default()
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn word(text: &str) -> Value {
        Value::Bulk(text.to_owned().into())
    }

    fn list(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|text| word(text)).collect())
    }

    fn argument(fields: &[&str], flags: &[&str], arguments: Vec<Value>) -> Value {
        let mut items: Vec<Value> = fields.iter().map(|text| word(text)).collect();
        items.extend([word("flags"), list(flags)]);
        items.extend([word("arguments"), Value::Array(arguments)]);
        Value::Array(items)
    }

    fn help() -> Help {
        let nx = argument(
            &["name", "nx", "type", "pure-token", "token", "NX"],
            &[],
            vec![],
        );
        let xx = argument(
            &["name", "xx", "type", "pure-token", "token", "XX"],
            &[],
            vec![],
        );
        let ex = argument(
            &["name", "seconds", "type", "integer", "token", "EX"],
            &["optional"],
            vec![],
        );
        let set = Value::Map(vec![
            (word("summary"), word("Sets.")),
            (word("since"), word("1.0.0")),
            (word("group"), word("string")),
            (
                word("arguments"),
                Value::Array(vec![
                    argument(&["name", "key", "type", "key"], &["multiple"], vec![]),
                    argument(
                        &["name", "condition", "type", "oneof"],
                        &["optional"],
                        vec![nx, xx],
                    ),
                    ex,
                ]),
            ),
        ]);
        let list_docs = list(&["summary", "Lists.", "group", "connection"]);
        let client = Value::Array(vec![
            word("group"),
            word("connection"),
            word("subcommands"),
            Value::Array(vec![word("client|list"), list_docs]),
        ]);
        Help::from_docs(&Value::Array(vec![
            word("set"),
            set,
            word("client"),
            client,
        ]))
    }

    #[rstest]
    #[case("set", Some(" key [key ...] [NX|XX] [EX seconds]"))]
    #[case("SET ", Some("key [key ...] [NX|XX] [EX seconds]"))]
    #[case("set k", Some(" [NX|XX] [EX seconds]"))]
    #[case("set k NX EX more", None)]
    #[case("client list", None)]
    #[case("client", Some(" list"))]
    #[case("CLIENT ", Some("LIST"))]
    #[case("client l", Some("ist"))]
    #[case("client x", None)]
    #[case("client list x", None)]
    #[case("SE", Some("T key [key ...] [NX|XX] [EX seconds]"))]
    #[case("cl", Some("ient"))]
    #[case("se ", None)]
    #[case("nope", None)]
    #[case("", None)]
    fn hints(#[case] line: &str, #[case] hint: Option<&str>) {
        assert_eq!(help().hint(line).as_deref(), hint);
    }

    #[rstest]
    #[case("s", &["set"])]
    #[case("CLI", &["CLIENT", "CLIENT LIST"])]
    #[case("client l", &["client list"])]
    #[case("help S", &["help SET"])]
    #[case("help @s", &["help @string"])]
    #[case("x", &[])]
    #[case("hélp", &[])]
    fn completes(#[case] start: &str, #[case] names: &[&str]) {
        assert_eq!(help().completions(start), names);
    }

    #[rstest]
    #[case("set k n", &["nx"])]
    #[case("SET k ", &["ex", "nx", "xx"])]
    #[case("set k E", &["EX"])]
    #[case("nope k E", &[])]
    #[case("set", &[])]
    fn completes_options(#[case] line: &str, #[case] options: &[&str]) {
        assert_eq!(help().options(line), options);
    }

    #[test]
    fn answers() {
        let help = help();
        let answer = help.answer(&["set".to_owned()], false);
        assert_eq!(
            answer,
            "\r\n  SET key [key ...] [NX|XX] [EX seconds]\r\n  summary: Sets.\r\n  since: 1.0.0\r\n  group: string\r\n\r\n"
        );
        assert!(
            help.answer(&["@connection".to_owned()], false)
                .contains("CLIENT LIST")
        );
        assert_eq!(help.answer(&["nope".to_owned()], true), "\r\n");
    }

    #[test]
    fn nonsense_is_no_help() {
        assert!(Help::from_docs(&Value::Null).is_empty());
        assert!(Help::from_docs(&Value::Integer(1)).is_empty());
    }
}
