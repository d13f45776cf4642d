//! Compares declarations with the facts that real servers tell of their commands.
//!
//! `fixtures/commands.json` was read from the `COMMAND` and `COMMAND DOCS` replies of Valkey 9.1.2 and Redis 8.0.6.

use std::collections::BTreeSet;

use djr_engine::command::Command;
use djr_engine::registry::Registry;
use djr_engine::spec::{Arg, ArgKind, BeginSearch, FindKeys, KeySpec};
use serde_json::{Value, json};

/// Where our syntax is wider than what the servers that the facts come from document.
///
/// GEOSEARCH: since Valkey has polygons, it calls the center optional, but counts it in the arity all the same. CLUSTER: one answer
/// for all subcommands.
const WIDER_SYNTAX: &[&str] = &[
    "set",
    "debug",
    "bitop",
    "xadd",
    "xreadgroup",
    "xtrim",
    "geosearch",
    "geosearchstore",
    "cluster",
];

/// Every difference between the declarations and the facts, one line each.
pub fn differences(registry: &Registry) -> Vec<String> {
    let facts: Value = serde_json::from_str(include_str!("../fixtures/commands.json"))
        .expect("the fixture is JSON");
    let mut found = Vec::new();
    for command in registry.commands() {
        // Newer than the servers that were read.
        let Some(fact) = facts.get(command.spec.name) else {
            continue;
        };
        compare(command, fact, &mut found);
        for sub in &command.subcommands {
            match fact["subcommands"].get(sub.spec.name) {
                Some(fact) => compare(sub, fact, &mut found),
                None => found.push(format!("{}: no such subcommand", sub.full_name)),
            }
        }
    }
    found
}

/// The names in the facts that the registry does not have, subcommands as `container|sub`.
pub fn missing(registry: &Registry) -> Vec<String> {
    let facts: Value = serde_json::from_str(include_str!("../fixtures/commands.json"))
        .expect("the fixture is JSON");
    let mut names = Vec::new();
    for (name, fact) in facts.as_object().expect("a map") {
        names.push(name.clone());
        for sub in fact["subcommands"].as_object().into_iter().flatten() {
            names.push(format!("{name}|{}", sub.0));
        }
    }
    names.retain(|name| registry.by_full_name(name.as_bytes()).is_none());
    names
}

/// What of the real servers is not here, and why: names, or the beginnings of names.
///
/// The list says what is missing, not what is unwanted: whoever adds a command takes its line out.
pub const ABSENT: &[(&str, &str)] = &[
    (
        "module",
        "there are no modules: their code is written for Redis's insides",
    ),
    ("cluster", "there is no cluster mode yet"),
    ("clusterscan", "there is no cluster mode yet"),
    ("failover", "there are no replicas yet"),
    ("psync", "there are no replicas yet"),
    ("replicaof", "there are no replicas yet"),
    ("slaveof", "there are no replicas yet"),
];

/// The families whose commands are all here: those of data.
pub const WHOLE_GROUPS: &[&str] = &[
    "bitmap",
    "generic",
    "geo",
    "hash",
    "hyperloglog",
    "list",
    "pubsub",
    "scripting",
    "set",
    "sorted-set",
    "stream",
    "string",
    "transactions",
];

/// Where the facts, the registry and [`ABSENT`] disagree on what there is, one line each.
pub fn gaps(registry: &Registry) -> Vec<String> {
    let facts: Value = serde_json::from_str(include_str!("../fixtures/commands.json"))
        .expect("the fixture is JSON");
    let missing = missing(registry);
    let excuse = |name: &str| {
        let of = |excused: &str| name == excused || name.split('|').next() == Some(excused);
        ABSENT.iter().position(|(excused, _)| of(excused))
    };
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for name in &missing {
        let container = name.split('|').next().unwrap_or(name);
        let group = facts[container]["group"].as_str().unwrap_or_default();
        match excuse(name) {
            Some(index) => {
                used.insert(index);
                if WHOLE_GROUPS.contains(&group) {
                    found.push(format!("{name}: missing, and {group} commands must not be"));
                }
            }
            None => found.push(format!("{name}: missing, for no reason")),
        }
    }
    let idle = (0..ABSENT.len()).filter(|index| !used.contains(index));
    found.extend(idle.map(|index| {
        format!(
            "{}: is there by now: take it out of ABSENT",
            ABSENT[index].0
        )
    }));
    found
}

fn compare(command: &Command, fact: &Value, found: &mut Vec<String>) {
    let (first, last, step) = command.key_range;
    let ours = json!({
        "arity": command.arity,
        "flags": set(command.flags.names()),
        "acl": set(command.categories.iter().map(|name| format!("@{name}"))),
        "group": command.spec.group.name(),
        "since": command.spec.since,
        "tips": set(command.spec.tips.iter()),
        "first_key": first,
        "last_key": last,
        "step": step,
        "key_specs": command.keys.iter().map(key_spec).collect::<Vec<_>>(),
        "arguments": arguments(command.spec.syntax),
    });
    for (field, ours) in ours.as_object().expect("a map") {
        if field == "arguments" && WIDER_SYNTAX.contains(&command.full_name.as_str()) {
            continue;
        }
        let theirs = match &fact[field] {
            Value::Null => json!([]),
            Value::Array(values) if matches!(field.as_str(), "flags" | "acl" | "tips") => {
                set(values.iter().filter_map(Value::as_str))
            }
            other => {
                let mut other = other.clone();
                forget_key_spec_index(&mut other);
                other
            }
        };
        if *ours != theirs {
            found.push(format!(
                "{}: {field} is {ours}, should be {theirs}",
                command.full_name
            ));
        }
    }
}

fn set(names: impl Iterator<Item = impl ToString>) -> Value {
    json!(names.map(|name| name.to_string()).collect::<BTreeSet<_>>())
}

fn key_spec(spec: &KeySpec) -> Value {
    let begin = match spec.begin {
        BeginSearch::Index(index) => json!({"type": "index", "spec": {"index": index}}),
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => {
            json!({"type": "keyword", "spec": {"keyword": keyword, "startfrom": start_from}})
        }
        BeginSearch::Unknown => json!({"type": "unknown", "spec": {}}),
    };
    let find = match spec.find {
        FindKeys::Range { last, step, limit } => {
            json!({"type": "range", "spec": {"lastkey": last, "keystep": step, "limit": limit}})
        }
        FindKeys::KeyNum { index, first, step } => {
            json!({"type": "keynum", "spec": {"keynumidx": index, "firstkey": first, "keystep": step}})
        }
        FindKeys::Unknown => json!({"type": "unknown", "spec": {}}),
    };
    let flags: Vec<_> = spec.access.names().collect();
    json!({"begin_search": begin, "find_keys": find, "flags": flags})
}

/// The arguments as `COMMAND DOCS` describes them, without the numbers of their key specifications.
fn arguments(args: &[Arg]) -> Value {
    let list: Vec<Value> = args
        .iter()
        .map(|arg| {
            let mut map = json!({"name": arg.name, "type": arg.kind.name()});
            if let Some(token) = arg.token {
                map["token"] = json!(token);
            }
            let flags = [
                (arg.optional, "optional"),
                (arg.multiple, "multiple"),
                (arg.multiple_token, "multiple_token"),
            ];
            let flags: Vec<_> = flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, name)| *name)
                .collect();
            if !flags.is_empty() {
                map["flags"] = json!(flags);
            }
            match arg.kind {
                ArgKind::OneOf(inner) | ArgKind::Block(inner) => {
                    map["arguments"] = arguments(inner)
                }
                _ => {}
            }
            map
        })
        .collect();
    json!(list)
}

fn forget_key_spec_index(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(forget_key_spec_index),
        Value::Object(map) => {
            map.remove("key_spec_index");
            map.values_mut().for_each(forget_key_spec_index);
        }
        _ => {}
    }
}
