//! `celery …`: queues, messages and results as kombu's Redis transport and Celery's Redis backend keep them.
//!
//! ```text
//! <queue>                      list of messages, JSON; priority 0
//! <queue><sep><priority>       list for each further priority; <sep> is \x06\x16 or what `sep` of the transport says
//! _kombu.binding.<exchange>    set of routing key, pattern, queue, joined by <sep>
//! unacked                      hash: delivery tag to [message, exchange, routing key]
//! unacked_index                zset: delivery tag by the time it was taken
//! celery-task-meta-<id>        result, JSON
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use djr_cli::decode::{Content, decode, message_body};
use djr_client::{Client, Pipeline, Value};
use serde_json::{Value as Json, json};

use super::table::{Table, span};
use super::{Found, View};
use crate::bulk::BulkError;
use crate::bulk::scan::keys;

/// What kombu puts between the name of a queue and a priority, unless it is told otherwise.
const SEPARATORS: [&[u8]; 2] = [b"\x06\x16", b":"];

/// Priorities are one digit.
const PRIORITIES: std::ops::RangeInclusive<u8> = 1..=9;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Length of each queue over all priorities, what is unacknowledged and scheduled, and who waits
    Queues {
        #[command(flatten)]
        transport: Transport,
        #[command(flatten)]
        view: View,
    },
    /// The next tasks of a queue
    Tasks {
        queue: String,
        /// Tasks to show
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        transport: Transport,
        #[command(flatten)]
        view: View,
    },
    /// Tasks that workers have taken and not finished, the scheduled ones included
    Unacked {
        #[command(flatten)]
        transport: Transport,
        #[command(flatten)]
        view: View,
    },
    /// Results that are kept
    Results {
        /// Results to show
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// The backend's global_keyprefix
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        view: View,
    },
}

/// What the project says in `broker_transport_options`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Transport {
    /// The transport's global_keyprefix
    #[arg(long, default_value = "")]
    prefix: String,
    /// The transport's sep, between a queue's name and a priority [default: kombu's, and a colon]
    #[arg(long)]
    sep: Option<String>,
}

impl Transport {
    fn separators(&self) -> Vec<&[u8]> {
        match &self.sep {
            Some(sep) => vec![sep.as_bytes()],
            None => SEPARATORS.to_vec(),
        }
    }

    /// The lists of a queue, the most urgent one first.
    fn lists(&self, queue: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let base = [self.prefix.as_bytes(), queue].concat();
        let mut all = vec![(0, base.clone())];
        for priority in PRIORITIES {
            for separator in self.separators() {
                let list = [&base, separator, priority.to_string().as_bytes()].concat();
                all.push((priority, list));
            }
        }
        all
    }

    /// The queue of a binding: what is behind the last separator.
    fn bound<'a>(&self, member: &'a [u8]) -> &'a [u8] {
        for separator in self.separators().into_iter().filter(|sep| !sep.is_empty()) {
            let at = member
                .windows(separator.len())
                .rposition(|window| window == separator);
            if let Some(at) = at {
                return member.get(at + separator.len()..).unwrap_or_default();
            }
        }
        member
    }
}

impl Command {
    pub(super) fn view(&self) -> &View {
        match self {
            Command::Queues { view, .. }
            | Command::Tasks { view, .. }
            | Command::Unacked { view, .. }
            | Command::Results { view, .. } => view,
        }
    }
}

pub(super) async fn look(client: &mut Client, command: &Command) -> Result<Found, BulkError> {
    match command {
        Command::Queues { transport, .. } => queues(client, transport).await,
        Command::Tasks {
            queue,
            limit,
            transport,
            ..
        } => tasks(client, queue, *limit, transport).await,
        Command::Unacked { transport, .. } => {
            Ok(unacked_table(&unacked(client, &transport.prefix).await?))
        }
        Command::Results { limit, prefix, .. } => results(client, *limit, prefix).await,
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// The names of all queues that are bound to something.
async fn queue_names(
    client: &mut Client,
    transport: &Transport,
) -> Result<BTreeSet<Vec<u8>>, BulkError> {
    let pattern = format!("{}_kombu.binding.*", escaped(&transport.prefix));
    let bindings = keys(client, pattern.as_bytes(), usize::MAX).await?;
    let mut pipeline = Pipeline::new();
    for key in &bindings {
        pipeline.add(&[b"SMEMBERS", key.as_slice()]);
    }
    let mut names = BTreeSet::new();
    if pipeline.is_empty() {
        return Ok(names);
    }
    for reply in client.run(&pipeline).await? {
        for member in reply?.as_slice().unwrap_or_default() {
            let member = member.as_bytes().unwrap_or_default();
            names.insert(transport.bound(member).to_vec());
        }
    }
    names.retain(|name| !name.is_empty());
    Ok(names)
}

/// A pattern that matches `text` and nothing else.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let is_special = matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^');
            is_special.then_some('\\').into_iter().chain([letter])
        })
        .collect()
}

async fn queues(client: &mut Client, transport: &Transport) -> Result<Found, BulkError> {
    let mut names = queue_names(client, transport).await?;
    let taken = unacked(client, &transport.prefix).await?;
    names.extend(taken.iter().map(|task| task.queue.clone().into_bytes()));
    if names.is_empty() {
        names.insert(b"celery".to_vec());
    }
    let mut pipeline = Pipeline::new();
    let all: Vec<_> = names
        .iter()
        .map(|name| (name, transport.lists(name)))
        .collect();
    for (_, key) in all.iter().flat_map(|(_, lists)| lists) {
        pipeline.add(&[b"LLEN", key.as_slice()]);
    }
    let mut lengths = client.run(&pipeline).await?.into_iter();
    let mut table = Table::new(&[
        "QUEUE",
        "LENGTH",
        "BY PRIORITY",
        "UNACKED",
        "SCHEDULED",
        "NEXT ETA",
        "OLDEST TAKEN",
    ]);
    let mut rows = Vec::new();
    for (name, lists) in &all {
        let mut by_priority: BTreeMap<u8, i64> = BTreeMap::new();
        for (priority, _) in lists {
            let len = lengths
                .next()
                .and_then(Result::ok)
                .and_then(|len| len.as_integer())
                .unwrap_or(0);
            *by_priority.entry(*priority).or_default() += len;
        }
        by_priority.retain(|_, len| *len > 0);
        let total: i64 = by_priority.values().sum();
        let name = String::from_utf8_lossy(name).into_owned();
        let mine: Vec<&Task> = taken.iter().filter(|task| task.queue == name).collect();
        let scheduled = mine.iter().filter(|task| task.eta.is_some()).count();
        let eta = mine.iter().filter_map(|task| task.eta.clone()).min();
        let oldest = mine
            .iter()
            .filter_map(|task| task.taken)
            .reduce(f64::min)
            .map(|taken| now() - taken);
        let priorities: Vec<String> = by_priority
            .iter()
            .map(|(priority, len)| format!("{priority}:{len}"))
            .collect();
        table.row(vec![
            name.clone(),
            total.to_string(),
            if priorities.is_empty() {
                "-".to_owned()
            } else {
                priorities.join(" ")
            },
            mine.len().to_string(),
            scheduled.to_string(),
            eta.clone().unwrap_or_else(|| "-".to_owned()),
            oldest.map_or("-".to_owned(), span),
        ]);
        rows.push(json!({
            "queue": name,
            "length": total,
            "by_priority": by_priority.iter().map(|(priority, len)| (priority.to_string(), json!(len))).collect::<serde_json::Map<_, _>>(),
            "unacked": mine.len(),
            "scheduled": scheduled,
            "next_eta": eta,
            "oldest_taken_seconds": oldest,
        }));
    }
    // Workers wait in BRPOP on all of their queues at once.
    let waiting = match client.command(&["CLIENT", "LIST"]).await {
        Ok(list) => {
            let list = String::from_utf8_lossy(list.as_bytes().unwrap_or_default()).into_owned();
            Some(
                list.lines()
                    .filter(|line| line.contains(" cmd=brpop") && is_blocked(line))
                    .count(),
            )
        }
        // Not everybody may ask.
        Err(djr_client::ClientError::Reply(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let waiting_text = waiting.map_or("not known".to_owned(), |count| count.to_string());
    Ok(Found {
        text: format!("{}\nconsumers waiting: {waiting_text}\n", table.text()),
        json: json!({"queues": rows, "consumers_waiting": waiting}),
    })
}

/// Whether a line of `CLIENT LIST` is of one that waits: the command alone tells what it did last.
fn is_blocked(line: &str) -> bool {
    line.split(' ')
        .filter_map(|field| field.strip_prefix("flags="))
        .any(|flags| flags.contains('b'))
}

/// What a message says of its task.
struct Task {
    id: String,
    name: String,
    arguments: String,
    queue: String,
    priority: i64,
    eta: Option<String>,
    retries: i64,
    /// Unix time at which a worker took it.
    taken: Option<f64>,
    body: String,
}

impl Task {
    fn read(message: &Json) -> Task {
        let headers = message.get("headers").cloned().unwrap_or(Json::Null);
        let properties = message.get("properties").cloned().unwrap_or(Json::Null);
        let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
        let body = message_body(message);
        // Protocol 1 has everything in the body.
        let old = match body.as_ref().map(|body| &body.content) {
            Some(Content::Json(old @ Json::Object(_))) => old.clone(),
            _ => Json::Null,
        };
        let either = |name: &str| text(headers.get(name)).or_else(|| text(old.get(name)));
        let argument = |repr: &str, plain: &str| {
            text(headers.get(repr))
                .or_else(|| old.get(plain).map(Json::to_string))
                .unwrap_or_default()
        };
        Task {
            id: either("id").unwrap_or_default(),
            name: either("task").unwrap_or_else(|| "?".to_owned()),
            arguments: format!(
                "{} {}",
                argument("argsrepr", "args"),
                argument("kwargsrepr", "kwargs")
            ),
            queue: properties
                .get("delivery_info")
                .and_then(|info| text(info.get("routing_key")))
                .unwrap_or_default(),
            priority: properties
                .get("priority")
                .and_then(Json::as_i64)
                .unwrap_or(0),
            eta: either("eta"),
            retries: headers
                .get("retries")
                .or(old.get("retries"))
                .and_then(Json::as_i64)
                .unwrap_or(0),
            taken: None,
            body: body.map(|body| body.layers()).unwrap_or_default(),
        }
    }

    fn json(&self) -> Json {
        json!({
            "id": self.id, "task": self.name, "arguments": self.arguments, "queue": self.queue,
            "priority": self.priority, "eta": self.eta, "retries": self.retries, "body": self.body,
            "taken_seconds_ago": self.taken.map(|taken| now() - taken),
        })
    }
}

async fn tasks(
    client: &mut Client,
    queue: &str,
    limit: usize,
    transport: &Transport,
) -> Result<Found, BulkError> {
    let mut table = Table::new(&[
        "ID",
        "TASK",
        "ARGUMENTS",
        "PRIORITY",
        "ETA",
        "RETRIES",
        "BODY",
    ]);
    let mut rows = Vec::new();
    // A queue is pushed to on the left and read from on the right.
    let first = format!("-{}", limit.max(1));
    for (_, key) in transport.lists(queue.as_bytes()) {
        let left = limit.saturating_sub(rows.len());
        if left == 0 {
            break;
        }
        let reply = client
            .command(&[&b"LRANGE"[..], &key, first.as_bytes(), b"-1"])
            .await?;
        for message in reply.as_slice().unwrap_or_default().iter().rev().take(left) {
            let bytes = message.as_bytes().unwrap_or_default();
            let Ok(message) = serde_json::from_slice(bytes) else {
                table.row(vec!["?".into(), "not a message of kombu's".into()]);
                continue;
            };
            let task = Task::read(&message);
            table.row(vec![
                task.id.clone(),
                task.name.clone(),
                shortened(&task.arguments),
                task.priority.to_string(),
                task.eta.clone().unwrap_or_else(|| "-".to_owned()),
                task.retries.to_string(),
                task.body.clone(),
            ]);
            rows.push(task.json());
        }
    }
    Ok(Found {
        text: table.text(),
        json: Json::Array(rows),
    })
}

fn shortened(text: &str) -> String {
    const LEN_MAX: usize = 60;
    if text.chars().count() <= LEN_MAX {
        return text.to_owned();
    }
    text.chars().take(LEN_MAX - 1).chain(['…']).collect()
}

/// All messages that were taken and not acknowledged, the oldest first.
async fn unacked(client: &mut Client, prefix: &str) -> Result<Vec<Task>, BulkError> {
    let (hash, index) = (format!("{prefix}unacked"), format!("{prefix}unacked_index"));
    let times = client
        .command(&["ZRANGE", &index, "0", "-1", "WITHSCORES"])
        .await?;
    let mut taken: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
    let mut add = |pair: &[Value]| {
        if let [tag, time] = pair {
            let time = time
                .as_double()
                .or_else(|| std::str::from_utf8(time.as_bytes()?).ok()?.parse().ok());
            taken.insert(
                tag.as_bytes().unwrap_or_default().to_vec(),
                time.unwrap_or(0.0),
            );
        }
    };
    let items = times.as_slice().unwrap_or_default();
    match items.first() {
        Some(Value::Array(_)) => items.iter().filter_map(Value::as_slice).for_each(&mut add),
        _ => items.chunks_exact(2).for_each(&mut add),
    }
    let mut tasks = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let page = client
            .command(&[b"HSCAN", hash.as_bytes(), &cursor, b"COUNT", b"1000"])
            .await?;
        let [next, fields] = page.as_slice().unwrap_or_default() else {
            break;
        };
        for pair in fields.as_slice().unwrap_or_default().chunks_exact(2) {
            let [tag, value] = pair else { continue };
            let delivery: Json =
                serde_json::from_slice(value.as_bytes().unwrap_or_default()).unwrap_or(Json::Null);
            let mut task = Task::read(delivery.get(0).unwrap_or(&Json::Null));
            if let Some(routing_key) = delivery.get(2).and_then(Json::as_str) {
                task.queue = routing_key.to_owned();
            }
            task.taken = taken.get(tag.as_bytes().unwrap_or_default()).copied();
            tasks.push(task);
        }
        cursor = next.as_bytes().unwrap_or(b"0").to_vec();
        if cursor == b"0" {
            break;
        }
    }
    tasks.sort_by(|a, b| a.taken.unwrap_or(0.0).total_cmp(&b.taken.unwrap_or(0.0)));
    Ok(tasks)
}

fn unacked_table(tasks: &[Task]) -> Found {
    let mut table = Table::new(&["ID", "TASK", "QUEUE", "TAKEN", "ETA", "ARGUMENTS"]);
    for task in tasks {
        table.row(vec![
            task.id.clone(),
            task.name.clone(),
            task.queue.clone(),
            task.taken
                .map_or("-".to_owned(), |taken| span(now() - taken)),
            task.eta.clone().unwrap_or_else(|| "-".to_owned()),
            shortened(&task.arguments),
        ]);
    }
    Found {
        text: table.text(),
        json: tasks.iter().map(Task::json).collect(),
    }
}

async fn results(client: &mut Client, limit: usize, prefix: &str) -> Result<Found, BulkError> {
    let pattern = format!("{}celery-task-meta-*", escaped(prefix));
    let mut names = keys(client, pattern.as_bytes(), usize::MAX).await?;
    names.sort();
    let total = names.len();
    names.truncate(limit);
    let mut pipeline = Pipeline::new();
    for key in &names {
        pipeline
            .add(&[b"GET", key.as_slice()])
            .add(&[b"PTTL", key.as_slice()]);
    }
    let mut table = Table::new(&["ID", "STATUS", "RESULT", "DONE", "TTL"]);
    let mut rows = Vec::new();
    let replies = if pipeline.is_empty() {
        Vec::new()
    } else {
        client.run(&pipeline).await?
    };
    for (key, pair) in names.iter().zip(replies.chunks_exact(2)) {
        let [Ok(value), Ok(ttl)] = pair else { continue };
        let decoded = decode(value.as_bytes().unwrap_or_default());
        let meta = decoded.to_json();
        let text = |name: &str| {
            meta.get(name)
                .and_then(Json::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        let key = String::from_utf8_lossy(key).into_owned();
        let id = key
            .rsplit_once("celery-task-meta-")
            .map_or(key.as_str(), |(_, id)| id)
            .to_owned();
        let ttl = ttl
            .as_integer()
            .filter(|ttl| *ttl >= 0)
            .map(|ttl| ttl as f64 / 1000.0);
        let result = match meta.get("result") {
            Some(Json::Object(error)) if error.contains_key("exc_type") => format!(
                "{}: {}",
                error
                    .get("exc_type")
                    .and_then(Json::as_str)
                    .unwrap_or_default(),
                error.get("exc_message").unwrap_or(&Json::Null)
            ),
            Some(result) => result.to_string(),
            None => "-".to_owned(),
        };
        table.row(vec![
            id.clone(),
            text("status"),
            shortened(&result),
            text("date_done"),
            ttl.map_or("none".to_owned(), span),
        ]);
        rows.push(json!({"id": id, "ttl_seconds": ttl, "meta": meta}));
    }
    let more = total.saturating_sub(rows.len());
    let mut text = table.text();
    if more > 0 {
        text.push_str(&format!("… and {more} more (--limit)\n"));
    }
    Ok(Found {
        text,
        json: json!({"total": total, "results": rows}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_queues() {
        let mut transport = Transport {
            prefix: "shop_".to_owned(),
            sep: None,
        };
        assert_eq!(transport.bound(b"k\x06\x16\x06\x16queue:a"), b"queue:a");
        assert_eq!(transport.bound(b"celery::celery"), b"celery");
        assert_eq!(transport.bound(b"plain"), b"plain");
        assert_eq!(transport.lists(b"q")[0], (0, b"shop_q".to_vec()));
        assert_eq!(transport.lists(b"q")[2], (1, b"shop_q:1".to_vec()));
        transport.sep = Some("|".to_owned());
        assert_eq!(transport.bound(b"a:b||a:b"), b"a:b");
        assert_eq!(transport.lists(b"q")[9], (9, b"shop_q|9".to_vec()));
        assert_eq!(escaped("a*b"), "a\\*b");
    }

    #[test]
    fn messages_that_are_none_have_no_task() {
        let task = Task::read(&json!([1, 2]));
        assert_eq!(task.name, "?");
        let old = json!({"body": "eyJ0YXNrIjogImEuYiIsICJpZCI6ICIxIiwgImFyZ3MiOiBbMV0sICJrd2FyZ3MiOiB7fX0=", "properties": {"body_encoding": "base64"}});
        let task = Task::read(&old);
        assert_eq!(
            (
                task.name.as_str(),
                task.id.as_str(),
                task.arguments.as_str()
            ),
            ("a.b", "1", "[1] {}")
        );
    }
}
