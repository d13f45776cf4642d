//! For people: types are named, elements numbered, nested replies indented.
//!
//! ```text
//! 1) "a"
//! 2) 1# "k" => (integer) 1      an array in which a map is,
//!    2# "l" =>
//!       1) (nil)                and an array in that
//! ```

use djr_client::Value;

use super::quote::quoted;

pub(super) fn write(value: &Value, out: &mut Vec<u8>) {
    write_indented(value, 0, out);
}

/// `indent`: blanks in front of each line but the first.
fn write_indented(value: &Value, indent: usize, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::NullArray => out.extend_from_slice(b"(nil)"),
        Value::Error(text) => {
            out.extend_from_slice(b"(error) ");
            out.extend_from_slice(text);
        }
        Value::Simple(text) | Value::Verbatim { text, .. } => out.extend_from_slice(text),
        Value::Bulk(bytes) => quoted(bytes, out),
        Value::Integer(number) => {
            out.extend_from_slice(b"(integer) ");
            super::integer(*number, out);
        }
        Value::Double(number) => {
            out.extend_from_slice(b"(double) ");
            super::double(*number, out);
        }
        Value::DoubleText(text) => {
            out.extend_from_slice(b"(double) ");
            out.extend_from_slice(text);
        }
        Value::BigNumber(digits) => {
            out.extend_from_slice(b"(big number) ");
            out.extend_from_slice(digits);
        }
        Value::Boolean(true) => out.extend_from_slice(b"(true)"),
        Value::Boolean(false) => out.extend_from_slice(b"(false)"),
        Value::Array(items) if items.is_empty() => out.extend_from_slice(b"(empty array)"),
        Value::Map(pairs) if pairs.is_empty() => out.extend_from_slice(b"(empty hash)"),
        Value::Set(items) if items.is_empty() => out.extend_from_slice(b"(empty set)"),
        Value::Push(items) if items.is_empty() => out.extend_from_slice(b"(empty push)"),
        // Each element ends its own line.
        Value::Array(items) | Value::Push(items) => return write_items(items, b')', indent, out),
        Value::Set(items) => return write_items(items, b'~', indent, out),
        Value::Map(pairs) => {
            let width = decimal_len(pairs.len());
            for (index, (key, value)) in pairs.iter().enumerate() {
                write_number(index, width, b'#', indent, out);
                let inner = indent + width + 2;
                write_indented(key, inner, out);
                // The key's line goes on.
                out.pop();
                out.extend_from_slice(b" => ");
                if is_tall(value) {
                    out.push(b'\n');
                    out.resize(out.len() + inner, b' ');
                }
                write_indented(value, inner, out);
            }
            return;
        }
        Value::Attributed { value, .. } => return write_indented(value, indent, out),
        other => debug_assert!(false, "a type without a format: {other:?}"),
    }
    out.push(b'\n');
}

/// Whether a value has more than one element, however deep, and so doesn't begin on the line of its key. (Keys don't
/// count, as in redis-cli.)
fn is_tall(value: &Value) -> bool {
    match value {
        Value::Array(items) | Value::Set(items) | Value::Push(items) => match items.as_slice() {
            [] => false,
            [item] => is_tall(item),
            _ => true,
        },
        Value::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, value)] => is_tall(value),
            _ => true,
        },
        Value::Attributed { value, .. } => is_tall(value),
        _ => false,
    }
}

fn write_items(items: &[Value], mark: u8, indent: usize, out: &mut Vec<u8>) {
    let width = decimal_len(items.len());
    for (index, item) in items.iter().enumerate() {
        write_number(index, width, mark, indent, out);
        write_indented(item, indent + width + 2, out);
    }
}

/// The number of an element, counted from 1, in front of which its line is indented.
fn write_number(index: usize, width: usize, mark: u8, indent: usize, out: &mut Vec<u8>) {
    let number = index + 1;
    let indent = if index == 0 { 0 } else { indent };
    let blanks = indent + width - decimal_len(number);
    out.resize(out.len() + blanks, b' ');
    super::integer(number.try_into().unwrap_or(i64::MAX), out);
    out.extend_from_slice(&[mark, b' ']);
}

fn decimal_len(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
