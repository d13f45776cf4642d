//! A disassembler for Python's pickle, protocols 0 to 5, that never executes anything: where a pickle would call a
//! function or build an object, the function is *named* and its arguments are kept beside it. Plain data come out as
//! themselves, and dates, decimals, UUIDs and the like as what Python's `repr` says of them.
//!
//! What comes from a server is not trusted: the number of steps, the depth, and the size of everything are limited, and
//! what is wrong is an error.
//!
//! Opcodes: `Lib/pickletools.py` of CPython documents each one.

use std::collections::HashMap;

use super::node::{Node, Nodes};

/// What a pickle holds: see [`Node`].
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Nodes, PickleError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        opcode_at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Nodes::default(),
        limits,
    };
    let root = machine.run()?;
    machine.nodes.root = root;
    Ok(machine.nodes)
}

/// Bounds on what a pickle may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Values that are made.
    pub nodes_max: usize,
    /// Opcodes that are read.
    pub steps_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nodes_max: 1_000_000,
            steps_max: 4_000_000,
        }
    }
}

/// Why bytes are no pickle, or none that is read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The bytes end too early.
    #[error("the pickle ends too early")]
    Short,
    /// No such opcode.
    #[error("unknown opcode 0x{0:02x} at byte {1}")]
    Opcode(u8, usize),
    /// An opcode without what it works on.
    #[error("opcode 0x{0:02x} at byte {1} finds the wrong things on the stack")]
    Stack(u8, usize),
    /// An argument that is none.
    #[error("the argument at byte {0} can't be read")]
    Argument(usize),
    /// A reference to something that is not there.
    #[error("a reference to nothing at byte {0}")]
    Memo(usize),
    /// More than the limits allow.
    #[error("more than {0} values or steps")]
    TooLarge(usize),
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    opcode_at: usize,
    /// Indexes of nodes.
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
    nodes: Nodes,
    limits: &'a Limits,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<usize, PickleError> {
        for _ in 0..self.limits.steps_max {
            self.opcode_at = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop(opcode);
            }
            self.step(opcode)?;
        }
        Err(PickleError::TooLarge(self.limits.steps_max))
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            // Protocol and frames say how the rest is cut; that it is whole is seen anyway.
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop(opcode)?;
                }
            }
            b'1' => drop(self.above_mark(opcode)?),
            b'2' => {
                let top = self.top(opcode)?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' => {
                let line = self.line()?;
                let node = match line.as_str() {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    text => self.integer(text)?,
                };
                self.push(node)?;
            }
            b'L' => {
                let line = self.line()?;
                let node = self.integer(line.strip_suffix('L').unwrap_or(&line))?;
                self.push(node)?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Node::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            0x8a => {
                let len = self.byte()?.into();
                self.long(len)?;
            }
            0x8b => {
                let len = self.len4()?;
                self.long(len)?;
            }
            b'F' => {
                let line = self.line()?;
                let number = line
                    .trim()
                    .parse()
                    .map_err(|_| PickleError::Argument(self.opcode_at))?;
                self.push(Node::Float(number))?;
            }
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(number))?;
            }
            b'S' => {
                let line = self.line()?;
                let node = quoted_bytes(&line).ok_or(PickleError::Argument(self.opcode_at))?;
                // Python 2's str: text if it can be.
                let node = match String::from_utf8(node) {
                    Ok(text) => Node::Text(text),
                    Err(error) => Node::Bytes(error.into_bytes()),
                };
                self.push(node)?;
            }
            b'V' => {
                let line = self.raw_line()?;
                self.push(Node::Text(unicode_escapes(&line)))?;
            }
            b'U' => {
                let len = self.byte()?.into();
                self.old_string(len)?;
            }
            b'T' => {
                let len = self.len4()?;
                self.old_string(len)?;
            }
            b'B' => {
                let len = self.len4()?;
                self.byte_string(len)?;
            }
            b'C' => {
                let len = self.byte()?.into();
                self.byte_string(len)?;
            }
            0x8e => {
                let len = self.len8()?;
                self.byte_string(len)?;
            }
            0x96 => {
                let len = self.len8()?;
                let bytes = self.take(len)?.to_vec();
                self.push(Node::ByteArray(bytes))?;
            }
            b'X' => {
                let len = self.len4()?;
                self.text(len)?;
            }
            0x8c => {
                let len = self.byte()?.into();
                self.text(len)?;
            }
            0x8d => {
                let len = self.len8()?;
                self.text(len)?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            0x8f => self.push(Node::Set(Vec::new()))?,
            b'l' => {
                let items = self.above_mark(opcode)?;
                self.push(Node::List(items))?;
            }
            b't' => {
                let items = self.above_mark(opcode)?;
                self.push(Node::Tuple(items))?;
            }
            0x91 => {
                let items = self.above_mark(opcode)?;
                self.push(Node::FrozenSet(items))?;
            }
            b'd' => {
                let items = self.above_mark(opcode)?;
                self.push(Node::Dict(pairs(&items)))?;
            }
            0x85..=0x87 => {
                let len = usize::from(opcode - 0x84);
                let from = self
                    .stack
                    .len()
                    .checked_sub(len)
                    .filter(|from| *from >= self.floor());
                let items = self
                    .stack
                    .split_off(from.ok_or(PickleError::Stack(opcode, self.opcode_at))?);
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop(opcode)?;
                self.extend(opcode, vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.above_mark(opcode)?;
                self.extend(opcode, items)?;
            }
            b's' => {
                let value = self.pop(opcode)?;
                let key = self.pop(opcode)?;
                self.update(opcode, vec![(key, value)])?;
            }
            b'u' => {
                let items = self.above_mark(opcode)?;
                self.update(opcode, pairs(&items))?;
            }
            b'p' => {
                let line = self.line()?;
                let index = line
                    .trim()
                    .parse()
                    .map_err(|_| PickleError::Argument(self.opcode_at))?;
                self.remember(opcode, index)?;
            }
            b'q' => {
                let index = self.byte()?.into();
                self.remember(opcode, index)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?).into();
                self.remember(opcode, index)?;
            }
            0x94 => self.remember(opcode, self.memo.len() as u64)?,
            b'g' => {
                let line = self.line()?;
                let index = line
                    .trim()
                    .parse()
                    .map_err(|_| PickleError::Argument(self.opcode_at))?;
                self.recall(index)?;
            }
            b'h' => {
                let index = self.byte()?.into();
                self.recall(index)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?).into();
                self.recall(index)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(format!("{module}.{name}")))?;
            }
            0x93 => {
                let name = self.pop(opcode)?;
                let module = self.pop(opcode)?;
                let text = |index: usize| match self.nodes.get(index) {
                    Some(Node::Text(text)) => Some(text.clone()),
                    _ => None,
                };
                let (Some(module), Some(name)) = (text(module), text(name)) else {
                    return Err(PickleError::Stack(opcode, self.opcode_at));
                };
                self.push(Node::Global(format!("{module}.{name}")))?;
            }
            0x82..=0x84 => {
                let code = match opcode {
                    0x82 => u32::from(self.byte()?),
                    0x83 => u16::from_le_bytes(self.array()?).into(),
                    _ => u32::from_le_bytes(self.array()?),
                };
                self.push(Node::Global(format!("extension {code}")))?;
            }
            // What would be called, and with what.
            b'R' | 0x81 => {
                let arguments = self.pop(opcode)?;
                let callable = self.pop(opcode)?;
                self.call(callable, arguments)?;
            }
            0x92 => {
                let keywords = self.pop(opcode)?;
                let arguments = self.pop(opcode)?;
                let callable = self.pop(opcode)?;
                let both = self.add(Node::Tuple(vec![arguments, keywords]))?;
                self.call(callable, both)?;
            }
            b'o' => {
                let mut items = self.above_mark(opcode)?;
                if items.is_empty() {
                    return Err(PickleError::Stack(opcode, self.opcode_at));
                }
                let callable = items.remove(0);
                let arguments = self.add(Node::Tuple(items))?;
                self.call(callable, arguments)?;
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let items = self.above_mark(opcode)?;
                let callable = self.add(Node::Global(format!("{module}.{name}")))?;
                let arguments = self.add(Node::Tuple(items))?;
                self.call(callable, arguments)?;
            }
            b'b' => {
                let state = self.pop(opcode)?;
                let object = self.top(opcode)?;
                match self.nodes.get_mut(object) {
                    Some(Node::Object { state: kept, .. }) => *kept = Some(state),
                    Some(_) => {}
                    None => return Err(PickleError::Stack(opcode, self.opcode_at)),
                }
            }
            b'P' => {
                let id = self.line()?;
                self.push(Node::Global(format!("persistent id {id}")))?;
            }
            b'Q' => {
                let id = self.pop(opcode)?;
                let callable = self.add(Node::Global("persistent id".to_owned()))?;
                self.call(callable, id)?;
            }
            // Buffers that are kept outside of the pickle.
            0x97 => self.push(Node::Global("buffer outside of the pickle".to_owned()))?,
            0x98 => {}
            _ => return Err(PickleError::Opcode(opcode, self.opcode_at)),
        }
        Ok(())
    }

    fn call(&mut self, callable: usize, arguments: usize) -> Result<(), PickleError> {
        self.push(Node::Object {
            callable,
            arguments,
            items: Vec::new(),
            pairs: Vec::new(),
            state: None,
        })
    }

    fn add(&mut self, node: Node) -> Result<usize, PickleError> {
        if self.nodes.len() >= self.limits.nodes_max {
            return Err(PickleError::TooLarge(self.limits.nodes_max));
        }
        Ok(self.nodes.add(node))
    }

    fn push(&mut self, node: Node) -> Result<(), PickleError> {
        let index = self.add(node)?;
        self.stack.push(index);
        Ok(())
    }

    /// Where the stack ends for what comes after the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self, opcode: u8) -> Result<usize, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(PickleError::Stack(opcode, self.opcode_at));
        }
        self.stack
            .pop()
            .ok_or(PickleError::Stack(opcode, self.opcode_at))
    }

    fn top(&self, opcode: u8) -> Result<usize, PickleError> {
        self.stack
            .last()
            .copied()
            .ok_or(PickleError::Stack(opcode, self.opcode_at))
    }

    /// What lies above the last mark, which goes.
    fn above_mark(&mut self, opcode: u8) -> Result<Vec<usize>, PickleError> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self
            .stack
            .split_off(mark.ok_or(PickleError::Stack(opcode, self.opcode_at))?))
    }

    fn extend(&mut self, opcode: u8, more: Vec<usize>) -> Result<(), PickleError> {
        let target = self.top(opcode)?;
        match self.nodes.get_mut(target) {
            Some(Node::List(items) | Node::Set(items) | Node::Object { items, .. }) => {
                items.extend(more)
            }
            _ => return Err(PickleError::Stack(opcode, self.opcode_at)),
        }
        Ok(())
    }

    fn update(&mut self, opcode: u8, more: Vec<(usize, usize)>) -> Result<(), PickleError> {
        let target = self.top(opcode)?;
        match self.nodes.get_mut(target) {
            Some(Node::Dict(pairs) | Node::Object { pairs, .. }) => pairs.extend(more),
            _ => return Err(PickleError::Stack(opcode, self.opcode_at)),
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8, index: u64) -> Result<(), PickleError> {
        let top = self.top(opcode)?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), PickleError> {
        let node = self
            .memo
            .get(&index)
            .copied()
            .ok_or(PickleError::Memo(self.opcode_at))?;
        self.stack.push(node);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Short)
    }

    fn take(&mut self, len: usize) -> Result<&[u8], PickleError> {
        let end = self.at.checked_add(len).ok_or(PickleError::Short)?;
        let part = self.bytes.get(self.at..end).ok_or(PickleError::Short)?;
        self.at = end;
        Ok(part)
    }

    fn len4(&mut self) -> Result<usize, PickleError> {
        let len = u32::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| PickleError::Short)
    }

    fn len8(&mut self) -> Result<usize, PickleError> {
        let len = u64::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| PickleError::Short)
    }

    fn raw_line(&mut self) -> Result<Vec<u8>, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(PickleError::Short)?;
        let line = rest.get(..len).unwrap_or_default().to_vec();
        self.at += len + 1;
        Ok(line)
    }

    fn line(&mut self) -> Result<String, PickleError> {
        String::from_utf8(self.raw_line()?).map_err(|_| PickleError::Argument(self.opcode_at))
    }

    fn integer(&self, text: &str) -> Result<Node, PickleError> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Ok(Node::Int(number));
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PickleError::Argument(self.opcode_at));
        }
        Ok(Node::BigInt(text.to_owned()))
    }

    /// A number of `len` bytes, the lowest first, in two's complement.
    fn long(&mut self, len: usize) -> Result<(), PickleError> {
        let bytes = self.take(len)?;
        let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let node = if len <= 16 {
            let mut wide = [if is_negative { 0xff } else { 0 }; 16];
            for (to, from) in wide.iter_mut().zip(bytes) {
                *to = *from;
            }
            Node::Int(i128::from_le_bytes(wide))
        } else {
            let digits: String = bytes
                .iter()
                .rev()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let kind = if is_negative { "two's complement " } else { "" };
            Node::BigInt(format!("{kind}0x{}", digits.trim_start_matches('0')))
        };
        self.push(node)
    }

    fn byte_string(&mut self, len: usize) -> Result<(), PickleError> {
        let bytes = self.take(len)?.to_vec();
        self.push(Node::Bytes(bytes))
    }

    fn old_string(&mut self, len: usize) -> Result<(), PickleError> {
        let bytes = self.take(len)?.to_vec();
        self.push(match String::from_utf8(bytes) {
            Ok(text) => Node::Text(text),
            Err(error) => Node::Bytes(error.into_bytes()),
        })
    }

    fn text(&mut self, len: usize) -> Result<(), PickleError> {
        // Lone surrogates are allowed there and nowhere else; they are shown as a replacement.
        let text = String::from_utf8_lossy(self.take(len)?).into_owned();
        self.push(Node::Text(text))
    }
}

fn pairs(items: &[usize]) -> Vec<(usize, usize)> {
    items
        .chunks_exact(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .collect()
}

/// The argument of opcode `S`: a literal of Python 2, `'a\x00'`.
fn quoted_bytes(line: &str) -> Option<Vec<u8>> {
    let line = line.trim();
    let quote = line
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"'))?;
    let inner = line.strip_prefix(quote)?.strip_suffix(quote)?;
    let (mut out, mut rest) = (Vec::new(), inner.as_bytes());
    loop {
        rest = match rest {
            [] => return Some(out),
            [b'\\', b'x', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                out.push((digit(high)? << 4 | digit(low)?) as u8);
                rest
            }
            [b'\\', letter, rest @ ..] => {
                out.push(match letter {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    other => *other,
                });
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        }
    }
}

/// The argument of opcode `V`: Latin-1 with escapes of four (`\u`) or eight (`\U`) digits.
fn unicode_escapes(line: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        let len = match rest {
            [] => return out,
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        let code = rest
            .get(2..2 + len)
            .filter(|_| len > 0)
            .and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if let Some(code) = code {
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = rest.get(2 + len..).unwrap_or_default();
        } else if let Some((byte, tail)) = rest.split_first() {
            out.push(char::from(*byte));
            rest = tail;
        }
    }
}
