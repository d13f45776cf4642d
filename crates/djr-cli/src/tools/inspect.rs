//! `inspect KEY`

use djr_cli::decode::{Content, decode, message_body};
use djr_client::{Client, Pipeline, Value};
use serde_json::json;

use super::Found;
use super::table::span;
use crate::bulk::BulkError;
use crate::format::{human_bytes, quoted_text};

/// The longest string that is fetched to be decoded.
const VALUE_LEN_MAX: i64 = 64 * 1024 * 1024;

pub(super) async fn look(
    client: &mut Client,
    key: &[u8],
    limit: usize,
) -> Result<Found, BulkError> {
    let mut pipeline = Pipeline::new();
    pipeline
        .add(&[&b"TYPE"[..], key])
        .add(&[&b"OBJECT"[..], b"ENCODING", key])
        .add(&[&b"PTTL"[..], key])
        .add(&[&b"MEMORY"[..], b"USAGE", key]);
    let replies = client.run(&pipeline).await?;
    let reply = |index: usize| replies.get(index).and_then(|reply| reply.as_ref().ok());
    let text = |index: usize| {
        let bytes = reply(index).and_then(Value::as_bytes).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    if let Some(Err(error)) = replies.first() {
        return Err(error.clone().into());
    }
    let kind = text(0);
    if kind == "none" {
        return Err(BulkError::Said(format!(
            "There is no key {}",
            quoted_text(key)
        )));
    }
    let encoding = text(1);
    let ttl = reply(2).and_then(Value::as_integer).filter(|ttl| *ttl >= 0);
    let memory = reply(3)
        .and_then(Value::as_integer)
        .and_then(|len| u64::try_from(len).ok());
    let (len, unit, elements) = elements(client, key, &kind, limit).await?;

    let mut lines = format!(
        "key       {}\ntype      {kind}\nencoding  {encoding}\n",
        quoted_text(key)
    );
    let ttl_text = ttl.map_or("none".to_owned(), |ttl| span(ttl as f64 / 1000.0));
    lines.push_str(&format!("ttl       {ttl_text}\n"));
    if let Some(memory) = memory {
        lines.push_str(&format!("memory    {}\n", human_bytes(memory)));
    }
    lines.push_str(&format!("length    {len} {unit}\n"));
    let mut json_elements = Vec::new();
    for (name, value) in &elements {
        let decoded = decode(value);
        let layers = decoded.layers();
        let body = match &decoded.content {
            Content::Json(message) => message_body(message),
            _ => None,
        };
        let heading = match (name, layers.is_empty()) {
            (Some(name), true) => format!("\n{name}\n"),
            (Some(name), false) => format!("\n{name}  ({layers})\n"),
            (None, true) => "\n".to_owned(),
            (None, false) => format!("\n({layers})\n"),
        };
        lines.push_str(&heading);
        lines.push_str(&decoded.to_text());
        lines.push('\n');
        if let Some(body) = &body {
            lines.push_str(&format!("body ({}):\n{}\n", body.layers(), body.to_text()));
        }
        json_elements.push(json!({
            "name": name,
            "layers": decoded.layers,
            "value": decoded.to_json(),
            "body": body.as_ref().map(|body| json!({"layers": body.layers, "value": body.to_json()})),
        }));
    }
    let left = u64::try_from(len)
        .unwrap_or(0)
        .saturating_sub(elements.len() as u64);
    if kind != "string" && left > 0 {
        lines.push_str(&format!("\n… and {left} more (--limit)\n"));
    }
    Ok(Found {
        text: lines,
        json: json!({
            "key": String::from_utf8_lossy(key),
            "type": kind,
            "encoding": encoding,
            "ttl_ms": ttl,
            "memory": memory,
            "length": len,
            "elements": json_elements,
        }),
    })
}

type Elements = Vec<(Option<String>, Vec<u8>)>;

/// How many elements there are, what they are called, and the first ones, each with its name if it has one.
async fn elements(
    client: &mut Client,
    key: &[u8],
    kind: &str,
    limit: usize,
) -> Result<(i64, &'static str, Elements), BulkError> {
    let many = limit.max(1).to_string();
    let last = limit.saturating_sub(1).to_string();
    let (size, unit, fetch): (&str, _, Vec<&[u8]>) = match kind {
        "string" => ("STRLEN", "bytes", vec![b"GET", key]),
        "list" => ("LLEN", "items", vec![b"LRANGE", key, b"0", last.as_bytes()]),
        "set" => (
            "SCARD",
            "members",
            vec![b"SSCAN", key, b"0", b"COUNT", many.as_bytes()],
        ),
        "hash" => (
            "HLEN",
            "fields",
            vec![b"HSCAN", key, b"0", b"COUNT", many.as_bytes()],
        ),
        "zset" => (
            "ZCARD",
            "members",
            vec![b"ZRANGE", key, b"0", last.as_bytes(), b"WITHSCORES"],
        ),
        "stream" => (
            "XLEN",
            "entries",
            vec![b"XRANGE", key, b"-", b"+", b"COUNT", many.as_bytes()],
        ),
        _ => return Ok((0, "elements of a type that is not known", Vec::new())),
    };
    let len = client
        .command(&[size.as_bytes(), key])
        .await?
        .as_integer()
        .unwrap_or(0);
    if kind == "string" && len > VALUE_LEN_MAX {
        return Err(BulkError::Said(format!(
            "The value has {}: too long to be decoded",
            human_bytes(u64::try_from(len).unwrap_or(0))
        )));
    }
    let reply = client.command(&fetch).await?;
    let mut found = Elements::new();
    let bytes = |value: &Value| value.as_bytes().unwrap_or_default().to_vec();
    match kind {
        "string" => found.push((None, bytes(&reply))),
        "list" => {
            for (index, item) in reply.as_slice().unwrap_or_default().iter().enumerate() {
                found.push((Some(format!("{index}")), bytes(item)));
            }
        }
        "set" => {
            let page = reply
                .as_slice()
                .and_then(|page| page.get(1)?.as_slice())
                .unwrap_or_default();
            found.extend(page.iter().map(|item| (None, bytes(item))));
        }
        "hash" => {
            let page = reply
                .as_slice()
                .and_then(|page| page.get(1)?.as_slice())
                .unwrap_or_default();
            for pair in page.chunks_exact(2) {
                if let [field, value] = pair {
                    found.push((Some(quoted_text(&bytes(field))), bytes(value)));
                }
            }
        }
        "zset" => {
            for pair in flat(&reply).chunks_exact(2) {
                if let [member, score] = pair {
                    found.push((
                        Some(format!("score {}", String::from_utf8_lossy(score))),
                        member.clone(),
                    ));
                }
            }
        }
        _ => {
            for entry in reply.as_slice().unwrap_or_default() {
                let parts = entry.as_slice().unwrap_or_default();
                let id = parts.first().map(&bytes).unwrap_or_default();
                for pair in parts.get(1).map(flat).unwrap_or_default().chunks_exact(2) {
                    if let [field, value] = pair {
                        let name =
                            format!("{} {}", String::from_utf8_lossy(&id), quoted_text(field));
                        found.push((Some(name), value.clone()));
                    }
                }
            }
        }
    }
    found.truncate(limit.max(1));
    Ok((len, unit, found))
}

/// The strings of a reply, however they are nested: scores come in pairs in RESP3, and as numbers.
fn flat(value: &Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Double(number) => vec![number.to_string().into_bytes()],
        other => vec![other.as_bytes().unwrap_or_default().to_vec()],
    }
}
