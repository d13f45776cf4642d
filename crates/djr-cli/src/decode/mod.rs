//! What a value is, layer by layer: compressed, encoded, serialized. For people who look at what Django, Celery and others
//! store. Nothing is executed, and everything is bounded: values come from anywhere.

mod compressed;
pub mod msgpack;
pub mod node;
pub mod pickle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use compressed::unpack;
use node::Nodes;

/// How many layers are taken off.
const LAYERS_MAX: usize = 5;

/// A value and what was taken off to get to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// From the outside: `base64`, `zlib`, `pickle`, …
    pub layers: Vec<&'static str>,
    /// What was inside.
    pub content: Content,
}

/// The innermost value.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// JSON.
    Json(serde_json::Value),
    /// From MessagePack or pickle.
    Nodes(Nodes),
    /// Text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// Finds out what `bytes` are.
#[must_use]
pub fn decode(bytes: &[u8]) -> Decoded {
    let mut layers = Vec::new();
    let content = take_off(bytes, &mut layers);
    Decoded { layers, content }
}

impl Decoded {
    /// For people: JSON with indentation, Python's notation, text, or quoted bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        match &self.content {
            Content::Json(value) => serde_json::to_string_pretty(value).unwrap_or_default(),
            Content::Nodes(nodes) => nodes.to_python(),
            Content::Text(text) => text.clone(),
            Content::Bytes(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        }
    }

    /// For programs. What JSON does not have is text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.content {
            Content::Json(value) => value.clone(),
            Content::Nodes(nodes) => nodes.to_json(),
            Content::Text(text) => text.clone().into(),
            Content::Bytes(_) => self.to_text().into(),
        }
    }

    /// The layers in one line.
    #[must_use]
    pub fn layers(&self) -> String {
        self.layers.join(" > ")
    }
}

/// The body of a message of kombu's, which Celery's are: decoded from base64 and whatever is in there.
#[must_use]
pub fn message_body(message: &serde_json::Value) -> Option<Decoded> {
    let body = message.get("body")?.as_str()?;
    let encoding = message
        .get("properties")
        .and_then(|properties| properties.get("body_encoding"));
    if encoding.and_then(serde_json::Value::as_str) != Some("base64") {
        return Some(decode(body.as_bytes()));
    }
    let bytes = STANDARD.decode(body).ok()?;
    let mut decoded = decode(&bytes);
    decoded.layers.insert(0, "base64");
    // YAML has no signature: that it is some, only the message can tell.
    let kind = message
        .get("content-type")
        .and_then(serde_json::Value::as_str);
    if let Content::Text(_) = decoded.content
        && kind.is_some_and(|kind| kind.ends_with("yaml"))
    {
        decoded.layers.push("yaml");
    }
    Some(decoded)
}

fn take_off(bytes: &[u8], layers: &mut Vec<&'static str>) -> Content {
    if layers.len() < LAYERS_MAX
        && let Some((name, unpacked)) = unpack(bytes)
    {
        layers.push(name);
        return take_off(&unpacked, layers);
    }
    if is_pickle(bytes)
        && let Ok(nodes) = pickle::read(bytes, &pickle::Limits::default())
    {
        layers.push("pickle");
        return Content::Nodes(nodes);
    }
    let text = std::str::from_utf8(bytes).ok();
    if let Some(text) = text
        && text.trim_start().starts_with(['{', '[', '"'])
        && let Ok(value) = serde_json::from_str(text)
    {
        layers.push("json");
        return Content::Json(value);
    }
    if layers.len() < LAYERS_MAX
        && let Some(text) = text.filter(|text| text.len() >= 8 && text.len().is_multiple_of(4))
        && let Ok(inner) = STANDARD.decode(text)
    {
        // Many words are valid base64: only what makes sense inside counts.
        let mut inside = layers.clone();
        inside.push("base64");
        let content = take_off(&inner, &mut inside);
        if inside.len() > layers.len() + 1 {
            *layers = inside;
            return content;
        }
    }
    if matches!(bytes.first(), Some(0x81..=0x9f | 0xdc..=0xdf))
        && let Some(nodes) = msgpack::read(bytes)
    {
        layers.push("msgpack");
        return Content::Nodes(nodes);
    }
    match text {
        Some(text)
            if !text
                .chars()
                .any(|letter| letter.is_control() && !letter.is_whitespace()) =>
        {
            Content::Text(text.to_owned())
        }
        _ => Content::Bytes(bytes.to_vec()),
    }
}

/// From protocol 2 on, pickles say so; older ones are texts that end with a point and begin with one of a few opcodes.
fn is_pickle(bytes: &[u8]) -> bool {
    match bytes {
        [0x80, 2..=5, .., b'.'] => true,
        [
            b'(' | b'c' | b']' | b'}' | b'I' | b'L' | b'F' | b'V' | b'S' | b'K' | b'N',
            middle @ ..,
            b'.',
        ] => {
            middle.is_empty()
                || bytes.ends_with(b"\n.")
                || !bytes.is_ascii()
                || bytes.iter().any(|byte| *byte < b' ')
                || matches!(
                    bytes,
                    [.., b'a' | b'b' | b'e' | b's' | b'u' | b'R' | b't', b'.']
                )
        }
        _ => false,
    }
}
