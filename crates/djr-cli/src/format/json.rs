//! JSON, as far as `redis-cli` makes it: strings keep their bytes, valid UTF-8 or not, errors are `error:"…"`, and
//! `--quoted-json` escapes the escapes of Redis's own quoting (a double quote inside of a string excepted).

use djr_client::Value;

use super::quote::{hex, quoted};

pub(super) fn write(value: &Value, is_ascii: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::NullArray => out.extend_from_slice(b"null"),
        Value::Error(text) => {
            out.extend_from_slice(b"error:");
            string(text, is_ascii, out);
        }
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim { text, .. } => {
            string(text, is_ascii, out);
        }
        Value::BigNumber(text) | Value::DoubleText(text) => out.extend_from_slice(text),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => super::integer(*number, out),
        Value::Double(number) => super::double(*number, out),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, is_ascii, out);
            }
            out.push(b']');
        }
        Value::Map(pairs) => {
            out.push(b'{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_key(key, is_ascii, out);
                out.push(b':');
                write(value, is_ascii, out);
            }
            out.push(b'}');
        }
        Value::Attributed { value, .. } => write(value, is_ascii, out),
        other => debug_assert!(false, "a type without a format: {other:?}"),
    }
}

/// Keys are strings in JSON: another value gets quotes around its JSON, whose own are not escaped, as in redis-cli.
fn write_key(key: &Value, is_ascii: bool, out: &mut Vec<u8>) {
    match key {
        Value::Error(_) | Value::Simple(_) | Value::Bulk(_) | Value::Verbatim { .. } => {
            write(key, is_ascii, out);
        }
        Value::Attributed { value, .. } => write_key(value, is_ascii, out),
        other => {
            out.push(b'"');
            write(other, is_ascii, out);
            out.push(b'"');
        }
    }
}

fn string(bytes: &[u8], is_ascii: bool, out: &mut Vec<u8>) {
    if is_ascii {
        let mut text = Vec::new();
        quoted(bytes, &mut text);
        for byte in text {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        return;
    }
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                hex(byte, out);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
