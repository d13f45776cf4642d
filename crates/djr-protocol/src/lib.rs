//! RESP2 and RESP3 codec, sans-IO (temporary cut).
#![forbid(unsafe_code)]
#![allow(missing_docs)]

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RespVersion {
    V2,
    V3,
}

pub type ArgRange = std::ops::Range<u32>;

#[derive(Clone, Copy)]
pub struct Request<'a> {
    bytes: &'a [u8],
    args: &'a [(u32, u32)],
    raw: (u32, u32),
}
impl<'a> Request<'a> {
    pub fn new(bytes: &'a [u8], args: &'a [(u32, u32)]) -> Self {
        Self {
            bytes,
            args,
            raw: (0, bytes.len() as u32),
        }
    }
    pub fn len(&self) -> usize {
        self.args.len()
    }
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        let (a, b) = self.args.get(i)?;
        self.bytes.get(*a as usize..*b as usize)
    }
    pub fn raw(&self) -> &'a [u8] {
        &self.bytes[self.raw.0 as usize..self.raw.1 as usize]
    }
}

pub fn encode_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for a in args {
        out.extend_from_slice(format!("${}\r\n", a.len()).as_bytes());
        out.extend_from_slice(a);
        out.extend_from_slice(b"\r\n");
    }
}

pub struct ReplyEncoder<'a> {
    out: &'a mut Vec<u8>,
    version: RespVersion,
}
pub struct Mark(usize);
impl<'a> ReplyEncoder<'a> {
    pub fn new(out: &'a mut Vec<u8>, version: RespVersion) -> Self {
        Self { out, version }
    }
    pub fn version(&self) -> RespVersion {
        self.version
    }
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }
    pub fn rewind(&mut self, m: Mark) {
        self.out.truncate(m.0)
    }
    pub fn ok(&mut self) {
        self.simple("OK")
    }
    pub fn simple(&mut self, s: &str) {
        self.out.extend_from_slice(format!("+{s}\r\n").as_bytes())
    }
    pub fn error(&mut self, s: &str) {
        self.out.extend_from_slice(format!("-{s}\r\n").as_bytes())
    }
    pub fn integer(&mut self, i: i64) {
        self.out.extend_from_slice(format!(":{i}\r\n").as_bytes())
    }
    pub fn bulk(&mut self, b: &[u8]) {
        self.out
            .extend_from_slice(format!("${}\r\n", b.len()).as_bytes());
        self.out.extend_from_slice(b);
        self.out.extend_from_slice(b"\r\n")
    }
    pub fn bulk_integer(&mut self, i: i64) {
        let s = i.to_string();
        self.bulk(s.as_bytes())
    }
    pub fn null(&mut self) {
        self.out
            .extend_from_slice(if self.version == RespVersion::V3 {
                b"_\r\n"
            } else {
                b"$-1\r\n"
            })
    }
    pub fn null_array(&mut self) {
        self.out
            .extend_from_slice(if self.version == RespVersion::V3 {
                b"_\r\n"
            } else {
                b"*-1\r\n"
            })
    }
    pub fn array(&mut self, n: usize) {
        self.out.extend_from_slice(format!("*{n}\r\n").as_bytes())
    }
    pub fn map(&mut self, n: usize) {
        if self.version == RespVersion::V3 {
            self.out.extend_from_slice(format!("%{n}\r\n").as_bytes())
        } else {
            self.array(2 * n)
        }
    }
}
pub struct CommandEncoder<'a>(&'a mut Vec<u8>);
impl<'a> CommandEncoder<'a> {
    pub fn new(out: &'a mut Vec<u8>, n: usize) -> Self {
        out.extend_from_slice(format!("*{n}\r\n").as_bytes());
        Self(out)
    }
    pub fn arg(&mut self, a: &[u8]) -> (u32, u32) {
        self.0
            .extend_from_slice(format!("${}\r\n", a.len()).as_bytes());
        let s = self.0.len() as u32;
        self.0.extend_from_slice(a);
        let e = self.0.len() as u32;
        self.0.extend_from_slice(b"\r\n");
        (s, e)
    }
}
