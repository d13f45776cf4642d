//! A decoder for MessagePack, by its specification. Bounded: by the bytes that are there, and by depth.

use super::node::{Node, Nodes};

/// How deep values may be nested.
const DEPTH_MAX: usize = 64;

/// What a whole MessagePack value holds; `None` if the bytes are none, or more than one.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Nodes> {
    let mut reader = Reader {
        rest: bytes,
        nodes: Nodes::default(),
    };
    let root = reader.value(0)?;
    reader.nodes.root = root;
    reader.rest.is_empty().then_some(reader.nodes)
}

struct Reader<'a> {
    rest: &'a [u8],
    nodes: Nodes,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<usize> {
        if depth > DEPTH_MAX {
            return None;
        }
        let [first] = self.array()?;
        let node = match first {
            0x00..=0x7f => Node::Int(first.into()),
            0x80..=0x8f => self.map(usize::from(first & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(first & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(first & 0x1f))?,
            0xc0 => Node::None,
            0xc2 => Node::Bool(false),
            0xc3 => Node::Bool(true),
            0xc4..=0xc6 => {
                let len = self.len(first - 0xc4)?;
                Node::Bytes(self.take(len)?.to_vec())
            }
            0xc7..=0xc9 => {
                let len = self.len(first - 0xc7)?;
                self.extension(len)?
            }
            0xca => Node::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Node::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Node::Int(u8::from_be_bytes(self.array()?).into()),
            0xcd => Node::Int(u16::from_be_bytes(self.array()?).into()),
            0xce => Node::Int(u32::from_be_bytes(self.array()?).into()),
            0xcf => Node::Int(u64::from_be_bytes(self.array()?).into()),
            0xd0 => Node::Int(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Node::Int(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Node::Int(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Node::Int(i64::from_be_bytes(self.array()?).into()),
            0xd4..=0xd8 => self.extension(1 << (first - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.len(first - 0xd9)?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.len(first - 0xdc + 1)?;
                self.list(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.len(first - 0xde + 1)?;
                self.map(len, depth)?
            }
            0xe0.. => Node::Int(i8::from_be_bytes([first]).into()),
            0xc1 => return None,
        };
        Some(self.nodes.add(node))
    }

    /// A length of 1, 2 or 4 bytes, for 0, 1, 2.
    fn len(&mut self, size: u8) -> Option<usize> {
        match size {
            0 => Some(u8::from_be_bytes(self.array()?).into()),
            1 => Some(u16::from_be_bytes(self.array()?).into()),
            _ => u32::from_be_bytes(self.array()?).try_into().ok(),
        }
    }

    fn list(&mut self, len: usize, depth: usize) -> Option<Node> {
        // No room is made for what is only promised.
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(self.value(depth + 1)?);
        }
        Some(Node::List(items))
    }

    fn map(&mut self, len: usize, depth: usize) -> Option<Node> {
        let mut pairs = Vec::new();
        for _ in 0..len {
            pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
        }
        Some(Node::Dict(pairs))
    }

    fn text(&mut self, len: usize) -> Option<Node> {
        let bytes = self.take(len)?.to_vec();
        Some(match String::from_utf8(bytes) {
            Ok(text) => Node::Text(text),
            Err(error) => Node::Bytes(error.into_bytes()),
        })
    }

    fn extension(&mut self, len: usize) -> Option<Node> {
        let [kind] = self.array()?;
        let bytes = self.take(len)?.to_vec();
        let kind = self.nodes.add(Node::Int(i8::from_be_bytes([kind]).into()));
        let data = self.nodes.add(Node::Bytes(bytes));
        let callable = self.nodes.add(Node::Global("ExtType".to_owned()));
        let arguments = self.nodes.add(Node::Tuple(vec![kind, data]));
        Some(Node::Object {
            callable,
            arguments,
            items: Vec::new(),
            pairs: Vec::new(),
            state: None,
        })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
