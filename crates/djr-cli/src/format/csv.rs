//! One line of comma-separated values; nested replies are flattened.

use djr_client::Value;

use super::quote::quoted;

pub(super) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::NullArray => out.extend_from_slice(b"NULL"),
        Value::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            quoted(text, out);
        }
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim { text, .. } => {
            quoted(text, out);
        }
        Value::BigNumber(text) | Value::DoubleText(text) => out.extend_from_slice(text),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => super::integer(*number, out),
        Value::Double(number) => super::double(*number, out),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => joined(items.iter(), out),
        Value::Map(pairs) => joined(pairs.iter().flat_map(|(key, value)| [key, value]), out),
        Value::Attributed { value, .. } => write(value, out),
        other => debug_assert!(false, "a type without a format: {other:?}"),
    }
}

fn joined<'a>(items: impl Iterator<Item = &'a Value>, out: &mut Vec<u8>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
}
