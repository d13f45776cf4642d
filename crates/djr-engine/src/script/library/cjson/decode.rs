//! JSON to Lua values.

use mlua::{Lua, Value};

use super::super::super::host::error_at_call;
use super::Config;

/// The value of a JSON text.
pub(super) fn decode(lua: &Lua, text: &[u8], config: &Config) -> mlua::Result<Value> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(error_at_call(
            lua,
            "JSON parser does not support UTF-16 or UTF-32",
        ));
    }
    let mut decoder = Decoder {
        lua,
        config,
        text,
        at: 0,
    };
    let token = decoder.token();
    let value = decoder.value(token, 0)?;
    match decoder.token() {
        Token {
            kind: Kind::End, ..
        } => Ok(value),
        token => Err(decoder.unexpected("the end", &token)),
    }
}

/// A token and where it begins.
struct Token {
    kind: Kind,
    at: usize,
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Kind {
    /// What messages call it.
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Wrong(what) => what,
        }
    }
}

struct Decoder<'a> {
    lua: &'a Lua,
    config: &'a Config,
    text: &'a [u8],
    at: usize,
}

impl Decoder<'_> {
    fn unexpected(&self, wanted: &str, token: &Token) -> mlua::Error {
        let text = format!(
            "Expected {wanted} but found {} at character {}",
            token.kind.name(),
            token.at + 1
        );
        error_at_call(self.lua, text)
    }

    fn value(&mut self, token: Token, depth: i32) -> mlua::Result<Value> {
        Ok(match token.kind {
            Kind::String(text) => Value::String(self.lua.create_string(text)?),
            Kind::Number(number) => Value::Number(number),
            Kind::Boolean(value) => Value::Boolean(value),
            Kind::Null => Value::NULL,
            Kind::ObjectBegin => self.object(self.descend(depth)?)?,
            Kind::ArrayBegin => self.array(self.descend(depth)?)?,
            _ => return Err(self.unexpected("value", &token)),
        })
    }

    fn descend(&self, depth: i32) -> mlua::Result<i32> {
        let depth = depth + 1;
        if depth > self.config.decode_depth_max.min(super::DEPTH_LIMIT) {
            let text = format!(
                "Found too many nested data structures ({depth}) at character {}",
                self.at
            );
            return Err(error_at_call(self.lua, text));
        }
        Ok(depth)
    }

    fn object(&mut self, depth: i32) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if let Kind::ObjectEnd = token.kind {
            return Ok(Value::Table(table));
        }
        loop {
            let Kind::String(key) = token.kind else {
                return Err(self.unexpected("object key string", &token));
            };
            token = self.token();
            let Kind::Colon = token.kind else {
                return Err(self.unexpected("colon", &token));
            };
            token = self.token();
            let value = self.value(token, depth)?;
            table.raw_set(mlua::String::wrap(key), value)?;
            token = self.token();
            match token.kind {
                Kind::ObjectEnd => return Ok(Value::Table(table)),
                Kind::Comma => token = self.token(),
                _ => return Err(self.unexpected("comma or object end", &token)),
            }
        }
    }

    fn array(&mut self, depth: i32) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if let Kind::ArrayEnd = token.kind {
            return Ok(Value::Table(table));
        }
        for index in 1.. {
            let value = self.value(token, depth)?;
            table.raw_set(index, value)?;
            token = self.token();
            match token.kind {
                Kind::ArrayEnd => break,
                Kind::Comma => token = self.token(),
                _ => return Err(self.unexpected("comma or array end", &token)),
            }
        }
        Ok(Value::Table(table))
    }

    /// The byte there; a zero byte ends the text, as its end does.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self) -> Token {
        while let b' ' | b'\t' | b'\n' | b'\r' = self.peek(0) {
            self.at += 1;
        }
        let at = self.at;
        let mut one = |kind| {
            self.at += 1;
            kind
        };
        let kind = match self.text.get(at).copied().unwrap_or(0) {
            0 => Kind::End,
            b'{' => one(Kind::ObjectBegin),
            b'}' => one(Kind::ObjectEnd),
            b'[' => one(Kind::ArrayBegin),
            b']' => one(Kind::ArrayEnd),
            b':' => one(Kind::Colon),
            b',' => one(Kind::Comma),
            b'"' => match self.string() {
                Ok(text) => Kind::String(text),
                Err(what) => {
                    return Token {
                        kind: Kind::Wrong(what),
                        at: self.at,
                    };
                }
            },
            b'-' | b'0'..=b'9' => {
                if !self.config.decode_invalid_numbers && self.is_invalid_number() {
                    Kind::Wrong("invalid number")
                } else {
                    self.number()
                }
            }
            _ => self.word(),
        };
        Token { kind, at }
    }

    fn word(&mut self) -> Kind {
        for (word, kind) in [
            ("true", Kind::Boolean(true)),
            ("false", Kind::Boolean(false)),
            ("null", Kind::Null),
        ] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return kind;
            }
        }
        let may_be_number = matches!(self.peek(0), b'+' | b'i' | b'I' | b'n' | b'N');
        if may_be_number && self.config.decode_invalid_numbers && self.is_invalid_number() {
            return self.number();
        }
        Kind::Wrong("invalid token")
    }

    /// Whether it is a number that JSON does not know: signed with `+`, hexadecimal, infinite, with leading zeros.
    fn is_invalid_number(&self) -> bool {
        if self.peek(0) == b'+' {
            return true;
        }
        let sign = usize::from(self.peek(0) == b'-');
        if self.peek(sign) == b'0' {
            return matches!(self.peek(sign + 1), b'x' | b'X' | b'0'..=b'9');
        }
        self.has_word(sign, b"inf") || self.has_word(sign, b"nan")
    }

    fn has_word(&self, ahead: usize, word: &[u8]) -> bool {
        let start = (self.at + ahead).min(self.text.len());
        let end = (start + word.len()).min(self.text.len());
        self.text[start..end].eq_ignore_ascii_case(word)
    }

    /// The longest number here, as `strtod` reads it.
    fn number(&mut self) -> Kind {
        match super::super::super::number::parse(&self.text[self.at..]) {
            Some((number, len)) => {
                self.at += len;
                Kind::Number(number)
            }
            None => Kind::Wrong("invalid number"),
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0))
                .unwrap_or(rest.len());
            text.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => self.escape(&mut text)?,
                _ => return Err("unexpected end of string"),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), &'static str> {
        text.push(match self.peek(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 12,
            b'r' => b'\r',
            b'u' => {
                let (character, len) = self.unicode().ok_or("invalid unicode escape code")?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += len;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        });
        self.at += 2;
        Ok(())
    }

    /// The character of `\u` and four digits, or of two of them that make a pair, and how long they are.
    fn unicode(&self) -> Option<(char, usize)> {
        let unit = |ahead: usize| {
            let digits = self.text.get(self.at + ahead..self.at + ahead + 4)?;
            digits.iter().try_fold(0, |unit, digit| {
                Some(unit << 4 | (*digit as char).to_digit(16)?)
            })
        };
        let first = unit(2)?;
        if first & 0xF800 != 0xD800 {
            return Some((char::from_u32(first)?, 6));
        }
        if first & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
            return None;
        }
        let second = unit(8).filter(|second| second & 0xFC00 == 0xDC00)?;
        Some((
            char::from_u32(0x10000 + ((first & 0x3FF) << 10 | second & 0x3FF))?,
            12,
        ))
    }
}
