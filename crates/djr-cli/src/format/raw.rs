//! The bytes of a reply and nothing else, for pipes.

use djr_client::Value;

pub(super) fn write(value: &Value, delimiter: &[u8], out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::NullArray => {}
        Value::Error(text) => {
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        Value::Simple(text) | Value::Bulk(text) | Value::DoubleText(text) => {
            out.extend_from_slice(text);
        }
        Value::BigNumber(text) | Value::Verbatim { text, .. } => out.extend_from_slice(text),
        Value::Boolean(true) => out.extend_from_slice(b"(true)"),
        Value::Boolean(false) => out.extend_from_slice(b"(false)"),
        Value::Integer(number) => super::integer(*number, out),
        Value::Double(number) => super::double(*number, out),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(delimiter);
                }
                write(item, delimiter, out);
            }
        }
        Value::Map(pairs) => {
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(delimiter);
                }
                write(key, delimiter, out);
                out.push(b' ');
                write(value, delimiter, out);
            }
        }
        Value::Attributed { value, .. } => write(value, delimiter, out),
        other => debug_assert!(false, "a type without a format: {other:?}"),
    }
}
