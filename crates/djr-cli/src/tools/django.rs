//! `django …`: cache entries and sessions. A key of Django's cache is `<prefix>:<version>:<key>`.

use std::collections::BTreeMap;

use djr_cli::decode::decode;
use djr_client::{Client, Pipeline};
use serde_json::{Value as Json, json};

use super::celery::escaped;
use super::table::{Table, span};
use super::{Found, View};
use crate::bulk::BulkError;
use crate::bulk::scan::keys;
use crate::format::human_bytes;

/// What Django's session engines put before a session's key.
const SESSIONS: [&str; 2] = [
    "django.contrib.sessions.cache",
    "django.contrib.sessions.cached_db",
];

/// Keys that are asked about with one write.
const BATCH_LEN: usize = 1000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Count, memory and expiry of cache entries, per prefix and version
    Keys {
        /// Only keys that match this pattern
        #[arg(long, default_value = "*")]
        pattern: String,
        #[command(flatten)]
        view: View,
    },
    /// Sessions that are kept in a cache
    Sessions {
        /// Sessions to show
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// KEY_PREFIX of the cache
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        view: View,
    },
}

impl Command {
    pub(super) fn view(&self) -> &View {
        match self {
            Command::Keys { view, .. } | Command::Sessions { view, .. } => view,
        }
    }
}

pub(super) async fn look(client: &mut Client, command: &Command) -> Result<Found, BulkError> {
    match command {
        Command::Keys { pattern, .. } => groups(client, pattern).await,
        Command::Sessions { limit, prefix, .. } => {
            sessions(client, *limit, prefix.as_deref()).await
        }
    }
}

/// Entries of one prefix and version.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    memory: u64,
    endless: u64,
    /// Seconds, of those that expire.
    ttls: Vec<f64>,
}

/// Prefix and version, if this is a key of a Django cache.
fn parts(key: &[u8]) -> Option<(String, u64)> {
    let text = String::from_utf8_lossy(key);
    // A prefix may have colons: the first number between two of them is the version.
    let mut start = 0;
    while let Some(at) = text.get(start..)?.find(':') {
        let colon = start + at;
        let rest = text.get(colon + 1..)?;
        if let Some((version, _)) = rest.split_once(':')
            && !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Some((text.get(..colon)?.to_owned(), version.parse().ok()?));
        }
        start = colon + 1;
    }
    None
}

async fn groups(client: &mut Client, pattern: &str) -> Result<Found, BulkError> {
    let all = keys(client, pattern.as_bytes(), usize::MAX).await?;
    let mut groups: BTreeMap<(String, u64), Group> = BTreeMap::new();
    let mut others = 0_u64;
    let found: Vec<_> = all
        .iter()
        .filter_map(|key| match parts(key) {
            Some(parts) => Some((key, parts)),
            None => {
                others += 1;
                None
            }
        })
        .collect();
    for batch in found.chunks(BATCH_LEN) {
        let mut pipeline = Pipeline::new();
        for (key, _) in batch {
            pipeline
                .add(&[&b"MEMORY"[..], b"USAGE", key])
                .add(&[b"PTTL", key.as_slice()]);
        }
        let replies = client.run(&pipeline).await?;
        for ((_, parts), pair) in batch.iter().zip(replies.chunks_exact(2)) {
            let number = |index: usize| {
                pair.get(index)
                    .and_then(|reply| reply.as_ref().ok()?.as_integer())
            };
            let group = groups.entry(parts.clone()).or_default();
            group.count += 1;
            group.memory += number(0)
                .and_then(|memory| u64::try_from(memory).ok())
                .unwrap_or(0);
            match number(1) {
                Some(ttl @ 0..) => group.ttls.push(ttl as f64 / 1000.0),
                Some(-1) => group.endless += 1,
                _ => {}
            }
        }
    }
    let mut table = Table::new(&[
        "PREFIX", "VERSION", "KEYS", "MEMORY", "NO TTL", "TTL MIN", "MEDIAN", "MAX",
    ]);
    let mut rows = Vec::new();
    for ((prefix, version), mut group) in groups {
        group.ttls.sort_by(f64::total_cmp);
        let middle = group.ttls.get(group.ttls.len() / 2).copied();
        let (least, most) = (group.ttls.first().copied(), group.ttls.last().copied());
        let shown = |ttl: Option<f64>| ttl.map_or("-".to_owned(), span);
        table.row(vec![
            if prefix.is_empty() {
                "(none)".to_owned()
            } else {
                prefix.clone()
            },
            version.to_string(),
            group.count.to_string(),
            human_bytes(group.memory),
            group.endless.to_string(),
            shown(least),
            shown(middle),
            shown(most),
        ]);
        rows.push(json!({
            "prefix": prefix, "version": version, "keys": group.count, "memory": group.memory,
            "without_ttl": group.endless, "ttl_min": least, "ttl_median": middle, "ttl_max": most,
        }));
    }
    Ok(Found {
        text: format!("{}\nother keys: {others}\n", table.text()),
        json: json!({"groups": rows, "other_keys": others}),
    })
}

async fn sessions(
    client: &mut Client,
    limit: usize,
    prefix: Option<&str>,
) -> Result<Found, BulkError> {
    let mut names = Vec::new();
    for engine in SESSIONS {
        let pattern = match prefix {
            Some(prefix) => format!("{}:*:{engine}*", escaped(prefix)),
            None => format!("*:*:{engine}*"),
        };
        for key in keys(client, pattern.as_bytes(), usize::MAX).await? {
            if session_id(&key, engine).is_some() {
                names.push((engine, key));
            }
        }
    }
    names.sort_by(|a, b| a.1.cmp(&b.1));
    let total = names.len();
    names.truncate(limit);
    let mut pipeline = Pipeline::new();
    for (_, key) in &names {
        pipeline
            .add(&[b"GET", key.as_slice()])
            .add(&[b"PTTL", key.as_slice()]);
    }
    let replies = if pipeline.is_empty() {
        Vec::new()
    } else {
        client.run(&pipeline).await?
    };
    let mut table = Table::new(&["SESSION", "USER", "TTL", "DATA"]);
    let mut rows = Vec::new();
    for ((engine, key), pair) in names.iter().zip(replies.chunks_exact(2)) {
        let [Ok(value), Ok(ttl)] = pair else { continue };
        let decoded = decode(value.as_bytes().unwrap_or_default());
        let data = decoded.to_json();
        let key = String::from_utf8_lossy(key).into_owned();
        let id = session_id(key.as_bytes(), engine).unwrap_or_default();
        let user = data.get("_auth_user_id").map(|user| match user {
            Json::String(user) => user.clone(),
            other => other.to_string(),
        });
        let ttl = ttl
            .as_integer()
            .filter(|ttl| *ttl >= 0)
            .map(|ttl| ttl as f64 / 1000.0);
        let shown: String = decoded
            .to_text()
            .replace('\n', " ")
            .chars()
            .take(80)
            .collect();
        table.row(vec![
            id.clone(),
            user.clone().unwrap_or_else(|| "-".to_owned()),
            ttl.map_or("none".to_owned(), span),
            shown,
        ]);
        rows.push(json!({"session": id, "key": key, "user": user, "ttl_seconds": ttl, "layers": decoded.layers, "data": data}));
    }
    let more = total.saturating_sub(rows.len());
    let mut text = table.text();
    if more > 0 {
        text.push_str(&format!("… and {more} more (--limit)\n"));
    }
    Ok(Found {
        text,
        json: json!({"total": total, "sessions": rows}),
    })
}

/// What is behind the name of the engine. The name of one is the beginning of the other's, so it must be what Django makes.
fn session_id(key: &[u8], engine: &str) -> Option<String> {
    let text = std::str::from_utf8(key).ok()?;
    let (_, id) = text.split_once(engine)?;
    let is_made = id
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_made && id.len() >= 8).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("site:1:page", Some(("site", 1)))]
    #[case(":1:page:2:x", Some(("", 1)))]
    #[case("a:b:12:c", Some(("a:b", 12)))]
    #[case("a:1", None)]
    #[case("celery", None)]
    #[case("a::b", None)]
    fn keys_have_parts(#[case] key: &str, #[case] expected: Option<(&str, u64)>) {
        assert_eq!(
            parts(key.as_bytes()),
            expected.map(|(prefix, version)| (prefix.to_owned(), version))
        );
    }
}
