//! From the facts about a command to the source of its file: the declaration is complete, what it does is left to write.

use serde_json::Value;

/// Where a command lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// It concerns the keyspace.
    Engine,
    /// It concerns sessions or the server.
    Server,
}

/// The facts about one command, as `tests/fixtures/commands.json` holds them.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

impl Facts<'_> {
    pub(super) fn group(&self) -> &str {
        self.text("group")
    }

    pub(super) fn home(&self) -> Home {
        match self.group() {
            "connection" | "server" | "transactions" | "pubsub" | "cluster" => Home::Server,
            _ => Home::Engine,
        }
    }

    fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_default()
    }

    fn list(&self, field: &str) -> Vec<&str> {
        strings(&self.value[field])
    }

    fn writes(&self) -> bool {
        self.list("flags").contains(&"write")
    }
}

fn strings(value: &Value) -> Vec<&str> {
    values(value).filter_map(Value::as_str).collect()
}

fn values(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The name as a module or function: `client-reply` becomes `client_reply`, `type` `r#type`.
pub(super) fn identifier(name: &str) -> String {
    let name = name.replace('-', "_");
    match name.as_str() {
        "type" | "move" | "match" | "loop" => format!("r#{name}"),
        _ => name,
    }
}

/// The whole file.
pub(super) fn file(facts: Facts<'_>) -> String {
    let subcommands: Vec<_> = facts.value["subcommands"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| Facts { name, value })
        .collect();
    let mut out = format!("//! {}\n\n", synopsis(facts));
    out += match facts.home() {
        Home::Engine => "use super::super::prelude::*;\n",
        Home::Server => {
            "use djr_engine::spec::{Access, Arg, CommandSpec, Flags, Group, Run};\n\
             use djr_engine::{Args, Executor, Reply};\n\n\
             use crate::commands::{Context, Result};\n"
        }
    };
    out += "\npub(super) ";
    out += &declaration(facts, "SPEC", "", facts.home(), &subcommands);
    for sub in &subcommands {
        out += "\n";
        out += &declaration(*sub, &constant(sub.name), sub.name, facts.home(), &[]);
    }
    if subcommands.is_empty() {
        out += &function(facts, facts.name, facts.home());
    }
    for sub in &subcommands {
        out += &function(*sub, sub.name, facts.home());
    }
    if facts.home() == Home::Engine {
        out += &tests(facts);
    }
    out
}

fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// `LPOS key element [RANK rank] …`, as the head of the file.
fn synopsis(facts: Facts<'_>) -> String {
    let args = values(&facts.value["arguments"]).map(shown);
    std::iter::once(facts.name.to_uppercase())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

fn shown(arg: &Value) -> String {
    let name = arg["name"].as_str().unwrap_or_default();
    let inner = |separator: &str| {
        let list: Vec<_> = values(&arg["arguments"]).map(shown).collect();
        list.join(separator)
    };
    let value = match arg["type"].as_str() {
        Some("oneof") => inner("|"),
        Some("block") => inner(" "),
        Some("pure-token") => String::new(),
        _ => name.to_owned(),
    };
    let token = arg["token"].as_str().unwrap_or_default();
    let mut text = format!("{token} {value}").trim().to_owned();
    let flags = strings(&arg["flags"]);
    if flags.contains(&"multiple") {
        text += &format!(" [{value} ...]");
    }
    if flags.contains(&"optional") {
        text = format!("[{text}]");
    }
    text
}

fn declaration(
    facts: Facts<'_>,
    constant: &str,
    sub: &str,
    home: Home,
    subcommands: &[Facts<'_>],
) -> String {
    let mut out = format!("static {constant}: CommandSpec = CommandSpec {{\n");
    let mut field = |name: &str, value: String| out.push_str(&format!("    {name}: {value},\n"));
    field("name", format!("{:?}", facts.name));
    field("since", format!("{:?}", facts.text("since")));
    field("group", format!("Group::{}", pascal(facts.group())));
    field(
        "summary",
        format!("{:?}", "One sentence for COMMAND DOCS, in our words."),
    );
    field("complexity", format!("{:?}", "O(?)"));
    if let args @ 1.. = values(&facts.value["arguments"]).count() {
        let list = values(&facts.value["arguments"]).map(|arg| argument(arg, facts));
        let list: Vec<_> = list.collect();
        debug_assert_eq!(list.len(), args);
        field("syntax", format!("&[{}]", list.join(", ")));
    }
    if let Some(flags) = flags(facts) {
        field("flags", flags);
    }
    if let extra @ [_, ..] = categories(facts, !subcommands.is_empty()).as_slice() {
        field("acl", format!("&{extra:?}"));
    }
    if let tips @ [_, ..] = facts.list("tips").as_slice() {
        field("tips", format!("&{tips:?}"));
    }
    if !derivable(facts) {
        let specs: Vec<_> = values(&facts.value["key_specs"]).map(key_spec).collect();
        field(
            "keys",
            format!("crate::spec::Keys::Explicit(&[{}])", specs.join(", ")),
        );
    }
    if !subcommands.is_empty() {
        let names: Vec<_> = subcommands
            .iter()
            .map(|sub| format!("&{}", self::constant(sub.name)))
            .collect();
        field("subcommands", format!("&[{}]", names.join(", ")));
    }
    let function = identifier(if sub.is_empty() { facts.name } else { sub });
    field(
        "run",
        match (home, subcommands) {
            (_, [_, ..]) => "Run::Container".to_owned(),
            (Home::Server, _) => "Run::Shell".to_owned(),
            _ if facts.writes() => format!("Run::Write({function})"),
            _ => format!("Run::Read({function})"),
        },
    );
    out + "    ..CommandSpec::DEFAULT\n};\n"
}

/// `sorted-set` as `SortedSet`; two groups are written otherwise.
fn pascal(group: &str) -> String {
    match group {
        "pubsub" => return "PubSub".to_owned(),
        "hyperloglog" => return "HyperLogLog".to_owned(),
        _ => {}
    }
    let words = group.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}

fn argument(arg: &Value, facts: Facts<'_>) -> String {
    let name = format!("{:?}", arg["name"].as_str().unwrap_or_default());
    let token = arg["token"].as_str();
    let inner = || {
        let list: Vec<_> = values(&arg["arguments"])
            .map(|arg| argument(arg, facts))
            .collect();
        format!("&[{}]", list.join(", "))
    };
    let kind = arg["type"].as_str().unwrap_or_default();
    let mut text = match kind {
        "key" => {
            let index = arg["key_spec_index"].as_u64().unwrap_or(0) as usize;
            let flags = strings(&facts.value["key_specs"][index]["flags"]);
            format!("Arg::key({name}, {})", access(&flags))
        }
        "pure-token" => format!("Arg::token({name}, {:?})", token.unwrap_or_default()),
        "oneof" => format!("Arg::one_of({name}, {})", inner()),
        "block" => format!("Arg::block({name}, {})", inner()),
        other => format!("Arg::{}({name})", other.replace('-', "_")),
    };
    if let Some(token) = token.filter(|_| kind != "pure-token") {
        text += &format!(".after({token:?})");
    }
    let flags = strings(&arg["flags"]);
    if flags.contains(&"multiple_token") {
        text += ".multiple_with_token()";
    } else if flags.contains(&"multiple") {
        text += ".multiple()";
    }
    if flags.contains(&"optional") {
        text += ".optional()";
    }
    text
}

/// The flags of a key specification; the usual combinations have names of their own.
fn access(flags: &[&str]) -> String {
    match flags {
        ["RO", "access"] => return "Access::READ".to_owned(),
        ["RW", "access", "update"] => return "Access::READ_UPDATE".to_owned(),
        ["OW", "update"] => return "Access::OVERWRITE".to_owned(),
        _ => {}
    }
    chain(
        "Access",
        flags.iter().map(|flag| match *flag {
            "variable_flags" => "VARIABLE".to_owned(),
            flag => flag.to_uppercase(),
        }),
    )
}

fn flags(facts: Facts<'_>) -> Option<String> {
    let names: Vec<_> = facts
        .list("flags")
        .into_iter()
        // Follows from the key specifications.
        .filter(|flag| *flag != "movablekeys")
        .map(|flag| match flag {
            "denyoom" => "DENY_OOM".to_owned(),
            "noscript" => "NO_SCRIPT".to_owned(),
            "skip_commandlog" => "SKIP_SLOWLOG".to_owned(),
            flag => flag.to_uppercase(),
        })
        .collect();
    (!names.is_empty()).then(|| chain("Flags", names.into_iter()))
}

/// `Flags::WRITE.with(Flags::FAST)`
fn chain(kind: &str, names: impl Iterator<Item = String>) -> String {
    names
        .map(|name| format!("{kind}::{name}"))
        .reduce(|all, one| format!("{all}.with({one})"))
        .unwrap_or_else(|| format!("{kind}::NONE"))
}

/// The ACL categories that follow neither from the flags nor from the group.
fn categories<'a>(facts: Facts<'a>, is_container: bool) -> Vec<&'a str> {
    let group = match facts.value["group"].as_str() {
        _ if is_container => "",
        Some("generic") => "keyspace",
        Some("sorted-set") => "sortedset",
        Some("transactions") => "transaction",
        Some(group) => group,
        None => "",
    };
    let flags = facts.list("flags");
    let implied = |category: &str| match category {
        "write" => flags.contains(&"write"),
        "read" => flags.contains(&"readonly"),
        "admin" | "dangerous" => flags.contains(&"admin"),
        "pubsub" | "blocking" | "fast" => flags.contains(&category),
        "slow" => !flags.contains(&"fast"),
        _ => category == group,
    };
    let all = strings(&facts.value["acl"]);
    all.into_iter()
        .map(|category| category.trim_start_matches('@'))
        .filter(|category| !implied(category))
        .collect()
}

/// Whether the engine finds these key specifications in the syntax.
fn derivable(facts: Facts<'_>) -> bool {
    values(&facts.value["key_specs"]).all(|spec| {
        let is = |part: &str, kind: &str| spec[part]["type"] == kind;
        let incomplete = strings(&spec["flags"]).contains(&"incomplete");
        let limit = spec["find_keys"]["spec"]["limit"].as_i64().unwrap_or(0);
        is("begin_search", "index") && !is("find_keys", "unknown") && !incomplete && limit == 0
    })
}

fn key_spec(spec: &Value) -> String {
    let begin = &spec["begin_search"]["spec"];
    let begin = match spec["begin_search"]["type"].as_str() {
        Some("index") => format!("BeginSearch::Index({})", begin["index"]),
        Some("keyword") => format!(
            "BeginSearch::Keyword {{ keyword: {}, start_from: {} }}",
            begin["keyword"], begin["startfrom"]
        ),
        _ => "BeginSearch::Unknown".to_owned(),
    };
    let find = &spec["find_keys"]["spec"];
    let find = match spec["find_keys"]["type"].as_str() {
        Some("range") => format!(
            "FindKeys::Range {{ last: {}, step: {}, limit: {} }}",
            find["lastkey"], find["keystep"], find["limit"]
        ),
        Some("keynum") => format!(
            "FindKeys::KeyNum {{ index: {}, first: {}, step: {} }}",
            find["keynumidx"], find["firstkey"], find["keystep"]
        ),
        _ => "FindKeys::Unknown".to_owned(),
    };
    format!(
        "crate::spec::KeySpec {{ begin: crate::spec::{begin}, find: crate::spec::{find}, access: {} }}",
        access(&strings(&spec["flags"]))
    )
}

/// What it does: left to write. `todo!` is denied by clippy, so it can't be forgotten.
fn function(facts: Facts<'_>, name: &str, home: Home) -> String {
    let name = identifier(name);
    let body = "    todo!(\"all checks come before the first change\")\n}\n";
    let head = match home {
        Home::Server => format!(
            "\npub(super) fn {name}(context: &mut Context<'_>, executor: &mut Executor, args: &Args<'_>, reply: &mut \
             Reply<'_>) -> Result {{\n"
        ),
        Home::Engine if facts.writes() => format!(
            "\nfn {name}(context: &mut WriteContext<'_, '_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, \
             CommandError> {{\n"
        ),
        Home::Engine => format!(
            "\nfn {name}(context: &mut ReadContext<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), \
             CommandError> {{\n"
        ),
    };
    head + body
}

fn tests(facts: Facts<'_>) -> String {
    let name = facts.name.to_uppercase();
    let effects = if facts.writes() {
        format!(
            "\n    #[test]\n    fn logs_what_replays_to_the_same_state() {{\n        \
             check_effects(\"{name} …\", \"{name} …\");\n    }}\n"
        )
    } else {
        String::new()
    };
    let import = if facts.writes() {
        "{check, check_effects}"
    } else {
        "check"
    };
    format!(
        "\n#[cfg(test)]\nmod tests {{\n    use crate::testkit::{import};\n\n    #[test]\n    \
         fn answers_as_a_real_server() {{\n        check(\"{name} …\", \"…\");\n    }}\n{effects}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Value {
        let path = crate::paths::workspace().join("tests/fixtures/commands.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_declaration_says_what_the_facts_say() {
        let all = facts();
        let text = |name| {
            let value = &all[name];
            file(Facts { name, value })
        };
        let lpos = text("lpos");
        assert!(
            lpos.starts_with("//! LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]\n")
        );
        assert!(lpos.contains("Arg::integer(\"rank\").after(\"RANK\").optional()"));
        assert!(lpos.contains("flags: Flags::READONLY,"));
        assert!(lpos.contains("run: Run::Read(lpos),"));
        assert!(!lpos.contains("acl:"));
        assert!(text("sort").contains("acl: &[\"dangerous\", \"list\", \"set\", \"sortedset\"]"));
        assert!(
            text("xread").contains("BeginSearch::Keyword { keyword: \"STREAMS\", start_from: 1 }")
        );
        assert!(text("type").contains("fn r#type("));
        assert!(text("xgroup").contains("static CREATECONSUMER: CommandSpec"));
    }

    /// Every command of the facts has a skeleton whose brackets match.
    #[test]
    fn every_command_has_a_skeleton() {
        let all = facts();
        for (name, value) in all.as_object().unwrap() {
            let text = file(Facts { name, value });
            for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                let count = |c| text.matches(c).count();
                assert_eq!(count(open), count(close), "{name}: {open}");
            }
        }
    }
}
