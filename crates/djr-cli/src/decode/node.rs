//! What a decoder found, and how it is written: as Python would, or as JSON.

use std::cell::Cell;
use std::fmt::Write;

/// How deep values are written; below that stands `…`.
const DEPTH_MAX: usize = 64;

/// How long the text of a value may get: a few references can mean an endless one.
const TEXT_LEN_MAX: usize = 1024 * 1024;

/// How many values are written: shared ones count each time, or a small pickle could keep us busy for ever.
const STEPS_MAX: usize = 500_000;

/// How long the JSON of a value may get, about; the largest text that a value can hold is not cut.
const JSON_LEN_MAX: usize = 64 * 1024 * 1024;

/// What may still be written.
struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.steps == 0 || self.bytes == 0
    }

    fn spend(&mut self, text: String) -> String {
        self.bytes = self.bytes.saturating_sub(text.len());
        text
    }
}

/// A value. Others are named by their index in [`Nodes`]: values may be shared, and contain themselves.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // They are named as Python names them.
pub enum Node {
    None,
    Bool(bool),
    Int(i128),
    /// Digits of a number that is larger.
    BigInt(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    ByteArray(Vec<u8>),
    List(Vec<usize>),
    Tuple(Vec<usize>),
    Set(Vec<usize>),
    FrozenSet(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A class or a function that is named and not looked up.
    Global(String),
    /// What a call would make, which is not made.
    Object {
        callable: usize,
        arguments: usize,
        /// What would be appended to it.
        items: Vec<usize>,
        /// What would be put into it.
        pairs: Vec<(usize, usize)>,
        /// What it would be told to be.
        state: Option<usize>,
    },
}

/// Values, of which one is the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nodes {
    all: Vec<Node>,
    pub(crate) root: usize,
}

impl Nodes {
    /// Adds a value; returns its index.
    pub(crate) fn add(&mut self, node: Node) -> usize {
        self.all.push(node);
        self.all.len() - 1
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A value by its index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Node> {
        self.all.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.all.get_mut(index)
    }

    /// The whole, as Python writes it.
    #[must_use]
    pub fn to_python(&self) -> String {
        self.part(self.root)
    }

    /// The whole as JSON. What JSON does not have is a string of what Python writes.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut left = Budget {
            steps: 200_000,
            bytes: JSON_LEN_MAX,
        };
        self.json(self.root, 0, &mut left)
    }

    fn json(&self, index: usize, depth: usize, left: &mut Budget) -> serde_json::Value {
        use serde_json::Value;
        left.steps = left.steps.saturating_sub(1);
        if depth > DEPTH_MAX || left.is_spent() {
            return Value::String("…".to_owned());
        }
        match self.get(index) {
            Some(Node::None) | None => Value::Null,
            Some(Node::Bool(value)) => Value::Bool(*value),
            Some(Node::Int(number)) => match i64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => Value::String(number.to_string()),
            },
            Some(Node::Float(number)) if number.is_finite() => (*number).into(),
            Some(Node::Text(text)) => Value::String(left.spend(text.clone())),
            Some(
                Node::List(items) | Node::Tuple(items) | Node::Set(items) | Node::FrozenSet(items),
            ) => {
                let mut all = Vec::new();
                for item in items {
                    if left.is_spent() {
                        break;
                    }
                    all.push(self.json(*item, depth + 1, left));
                }
                Value::Array(all)
            }
            Some(Node::Dict(pairs)) => {
                let mut map = serde_json::Map::new();
                for (key, value) in pairs {
                    if left.is_spent() {
                        break;
                    }
                    let key = match self.get(*key) {
                        Some(Node::Text(text)) => text.clone(),
                        _ => self.part(*key),
                    };
                    let key = left.spend(key);
                    map.insert(key, self.json(*value, depth + 1, left));
                }
                Value::Object(map)
            }
            Some(_) => Value::String(left.spend(self.part(index))),
        }
    }

    fn part(&self, index: usize) -> String {
        let mut writer = Writer {
            nodes: self,
            out: String::new(),
            path: Vec::new(),
            left: &Cell::new(STEPS_MAX),
        };
        writer.python(index);
        writer.out
    }
}

struct Writer<'a> {
    nodes: &'a Nodes,
    out: String,
    /// The containers around what is being written.
    path: Vec<usize>,
    /// How many values may still be written, the same ones again included.
    left: &'a Cell<usize>,
}

impl Writer<'_> {
    fn python(&mut self, index: usize) {
        let Some(node) = self.nodes.get(index) else {
            return;
        };
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0
            || self.out.len() > TEXT_LEN_MAX
            || self.path.len() > DEPTH_MAX
            || self.path.contains(&index)
        {
            self.out.push_str(match node {
                Node::List(_) => "[...]",
                Node::Dict(_) => "{...}",
                _ => "...",
            });
            return;
        }
        match node {
            Node::None => self.out.push_str("None"),
            Node::Bool(true) => self.out.push_str("True"),
            Node::Bool(false) => self.out.push_str("False"),
            Node::Int(number) => self.display(number),
            Node::BigInt(text) | Node::Global(text) => self.out.push_str(text),
            Node::Float(number) => self.out.push_str(&float(*number)),
            Node::Text(value) => text(value, &mut self.out),
            Node::Bytes(value) => bytes(value, &mut self.out),
            Node::ByteArray(value) => {
                self.out.push_str("bytearray(");
                bytes(value, &mut self.out);
                self.out.push(')');
            }
            Node::List(items) => self.items(index, "[", items, "]"),
            Node::Tuple(items) if items.len() == 1 => self.items(index, "(", items, ",)"),
            Node::Tuple(items) => self.items(index, "(", items, ")"),
            Node::Set(items) if items.is_empty() => self.out.push_str("set()"),
            Node::Set(items) => self.items(index, "{", items, "}"),
            Node::FrozenSet(items) if items.is_empty() => self.out.push_str("frozenset()"),
            Node::FrozenSet(items) => self.items(index, "frozenset({", items, "})"),
            Node::Dict(pairs) => {
                self.path.push(index);
                self.out.push('{');
                self.pairs(pairs);
                self.out.push('}');
                self.path.pop();
            }
            Node::Object { .. } => {
                self.path.push(index);
                self.object(node);
                self.path.pop();
            }
        }
    }

    /// A value within this one, as a text of its own.
    fn part(&self, index: usize) -> String {
        let mut writer = Writer {
            nodes: self.nodes,
            out: String::new(),
            path: self.path.clone(),
            left: self.left,
        };
        writer.python(index);
        writer.out
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing into a string does not fail.
        let _ = write!(self.out, "{value}");
    }

    fn items(&mut self, index: usize, open: &str, items: &[usize], close: &str) {
        self.path.push(index);
        self.out.push_str(open);
        self.list(items);
        self.out.push_str(close);
        self.path.pop();
    }

    fn list(&mut self, items: &[usize]) {
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push_str(", ");
            }
            if self.left.get() == 0 || self.out.len() > TEXT_LEN_MAX {
                self.out.push('…');
                return;
            }
            self.python(*item);
        }
    }

    fn pairs(&mut self, pairs: &[(usize, usize)]) {
        for (place, (key, value)) in pairs.iter().enumerate() {
            if place > 0 {
                self.out.push_str(", ");
            }
            if self.left.get() == 0 || self.out.len() > TEXT_LEN_MAX {
                self.out.push('…');
                return;
            }
            self.python(*key);
            self.out.push_str(": ");
            self.python(*value);
        }
    }

    fn object(&mut self, node: &Node) {
        let Node::Object {
            callable,
            arguments,
            items,
            pairs,
            state,
        } = node
        else {
            return;
        };
        let known = match self.nodes.get(*callable) {
            Some(Node::Global(name)) => self.known(name, *arguments, *state),
            _ => None,
        };
        if let Some(text) = known {
            self.out.push_str(&text);
            return;
        }
        // `copyreg._reconstructor(class, object, None)` and `copyreg.__newobj__(class, …)` are how old protocols say it.
        let mut callable = *callable;
        let mut shown = match self.nodes.get(*arguments) {
            Some(Node::Tuple(items)) => items.clone(),
            _ => vec![*arguments],
        };
        if let Some(Node::Global(name)) = self.nodes.get(callable)
            && matches!(
                name.as_str(),
                "copy_reg._reconstructor"
                    | "copyreg._reconstructor"
                    | "copyreg.__newobj__"
                    | "copy_reg.__newobj__"
            )
            && !shown.is_empty()
        {
            callable = shown.remove(0);
            if name.ends_with("_reconstructor") {
                shown.clear();
            }
        }
        self.out.push('<');
        self.python(callable);
        self.out.push('(');
        self.list(&shown);
        self.out.push(')');
        if !items.is_empty() {
            self.out.push_str(" [");
            self.list(items);
            self.out.push(']');
        }
        if !pairs.is_empty() {
            self.out.push_str(" {");
            self.pairs(pairs);
            self.out.push('}');
        }
        if let Some(state) = state {
            self.out.push(' ');
            self.python(*state);
        }
        self.out.push('>');
    }

    /// What Python writes for the types that caches are full of.
    fn known(&self, name: &str, arguments: usize, state: Option<usize>) -> Option<String> {
        let Some(Node::Tuple(arguments)) = self.nodes.get(arguments) else {
            return None;
        };
        let argument = |index: usize| self.nodes.get(*arguments.get(index)?);
        let listed = || -> Option<String> {
            let parts: Vec<String> = arguments.iter().map(|index| self.part(*index)).collect();
            Some(parts.join(", "))
        };
        match name {
            "datetime.datetime" | "datetime.date" | "datetime.time" => {
                let packed = match argument(0)? {
                    Node::Bytes(bytes) => bytes.clone(),
                    // Latin-1, in protocols without bytes.
                    Node::Text(text) => text.chars().map(|letter| letter as u8).collect(),
                    // `_codecs.encode(text, 'latin1')`
                    Node::Object { arguments, .. } => match self.nodes.get(*arguments)? {
                        Node::Tuple(items) => match self.nodes.get(*items.first()?)? {
                            Node::Text(text) => text.chars().map(|letter| letter as u8).collect(),
                            _ => return None,
                        },
                        _ => return None,
                    },
                    _ => return None,
                };
                let numbers = date_numbers(&packed)?;
                let zone = arguments
                    .get(1)
                    .map(|index| format!(", tzinfo={}", self.part(*index)));
                Some(format!("{name}({numbers}{})", zone.unwrap_or_default()))
            }
            "datetime.timezone" => {
                let is_utc = arguments.len() == 1
                    && self.part(*arguments.first()?) == "datetime.timedelta(0)";
                Some(if is_utc {
                    "datetime.timezone.utc".to_owned()
                } else {
                    format!("datetime.timezone({})", listed()?)
                })
            }
            "datetime.timedelta" => {
                let names = ["days", "seconds", "microseconds"];
                let parts: Vec<String> = names
                    .iter()
                    .zip(arguments)
                    .filter(|(_, index)| self.nodes.get(**index) != Some(&Node::Int(0)))
                    .map(|(name, index)| format!("{name}={}", self.part(*index)))
                    .collect();
                let text = if parts.is_empty() {
                    "0".to_owned()
                } else {
                    parts.join(", ")
                };
                Some(format!("datetime.timedelta({text})"))
            }
            "decimal.Decimal" => Some(format!("Decimal({})", listed()?)),
            "builtins.complex" | "__builtin__.complex" => Some(format!("complex({})", listed()?)),
            "uuid.UUID"
            | "copyreg._reconstructor"
            | "copy_reg._reconstructor"
            | "copyreg.__newobj__" => {
                let is_uuid = name == "uuid.UUID"
                    || matches!(argument(0)?, Node::Global(class) if class == "uuid.UUID");
                if !is_uuid {
                    return None;
                }
                let Some(Node::Dict(pairs)) = self.nodes.get(state?) else {
                    return None;
                };
                let number = pairs.iter().find_map(|(key, value)| {
                    match (self.nodes.get(*key)?, self.nodes.get(*value)?) {
                        (Node::Text(key), Node::Int(number)) if key == "int" => {
                            Some(*number as u128)
                        }
                        _ => None,
                    }
                })?;
                let hex = format!("{number:032x}");
                Some(format!(
                    "UUID('{}-{}-{}-{}-{}')",
                    hex.get(..8)?,
                    hex.get(8..12)?,
                    hex.get(12..16)?,
                    hex.get(16..20)?,
                    hex.get(20..)?
                ))
            }
            "builtins.set" | "__builtin__.set" | "builtins.frozenset" | "__builtin__.frozenset" => {
                let Node::List(items) = argument(0)? else {
                    return None;
                };
                let parts: Vec<String> = items.iter().map(|index| self.part(*index)).collect();
                let inner = parts.join(", ");
                Some(match (name.ends_with("frozenset"), parts.is_empty()) {
                    (false, true) => "set()".to_owned(),
                    (true, true) => "frozenset()".to_owned(),
                    (false, false) => format!("{{{inner}}}"),
                    (true, false) => format!("frozenset({{{inner}}})"),
                })
            }
            "_codecs.encode" => {
                let Node::Text(text) = argument(0)? else {
                    return None;
                };
                let mut out = String::new();
                let latin1: Option<Vec<u8>> = text
                    .chars()
                    .map(|letter| u8::try_from(letter as u32).ok())
                    .collect();
                bytes(&latin1?, &mut out);
                Some(out)
            }
            "builtins.bytes" | "__builtin__.bytes" if arguments.is_empty() => {
                Some("b''".to_owned())
            }
            "builtins.bytearray" | "__builtin__.bytearray" => {
                Some(format!("bytearray({})", listed()?))
            }
            _ => None,
        }
    }
}

/// The numbers of a date, a time, or both, as `datetime` packs them.
fn date_numbers(packed: &[u8]) -> Option<String> {
    let micro = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte))
    };
    let mut numbers: Vec<u32> = Vec::new();
    let time = match packed.len() {
        4 | 10 => {
            let (date, time) = packed.split_at_checked(4)?;
            let [high, low, month, day] = date.try_into().ok()?;
            // The highest bit of the month is something else (fold).
            numbers.extend([
                u32::from(u16::from_be_bytes([high, low])),
                u32::from(month & 0x7f),
                u32::from(day),
            ]);
            time
        }
        6 => packed,
        _ => return None,
    };
    if let Some((hms, rest)) = time.split_at_checked(3) {
        numbers.extend(hms.iter().map(|byte| u32::from(byte & 0x7f)));
        numbers.push(micro(rest));
        // As repr leaves them away.
        if numbers.last() == Some(&0) {
            numbers.pop();
            if numbers.last() == Some(&0) {
                numbers.pop();
            }
        }
    }
    Some(
        numbers
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        // 1e300 in Rust, 1e+300 in Python; two digits at least.
        let text = format!("{number:e}");
        let Some((digits, exponent)) = text.split_once('e') else {
            return text;
        };
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let text = format!("{number}");
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

fn text(value: &str, out: &mut String) {
    let quote = if value.contains('\'') && !value.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_control() && (letter as u32) < 256 => {
                let _ = write!(out, "\\x{:02x}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
}

fn bytes(value: &[u8], out: &mut String) {
    let quote = if value.contains(&b'\'') && !value.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    out.push('b');
    out.push(quote);
    for byte in value {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if char::from(*byte) == quote => {
                out.push('\\');
                out.push(quote);
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
}
