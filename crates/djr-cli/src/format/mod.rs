//! Replies as text, byte for byte as `redis-cli` prints them. `tests/redis_cli.rs` compares the two.
//!
//! | module | for | a bulk string `a"b` |
//! |---|---|---|
//! | `tty` | people: types, numbering, indentation | `"a\"b"` |
//! | `raw` | pipes: the bytes | `a"b` |
//! | `csv` | `--csv` | `"a\"b"` |
//! | `json` | `--json`, `--quoted-json` | `"a\"b"` |

mod csv;
mod json;
mod quote;
mod raw;
mod tty;

use djr_client::Value;

/// Which of the formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Standard,
    /// The bytes alone.
    Raw,
    /// One line of comma-separated values.
    Csv,
    /// JSON with the bytes of strings as they are.
    Json,
    /// JSON in ASCII.
    QuotedJson,
}

/// A format and its separators.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) output: Output,
    /// Between the elements of a raw reply.
    pub(crate) element_delimiter: Vec<u8>,
    /// After each raw reply.
    pub(crate) reply_delimiter: Vec<u8>,
}

impl Style {
    /// Appends a reply to `out`. A verbatim one is text for people already: it gets nothing around it in any format.
    pub(crate) fn reply(&self, value: &Value, is_verbatim: bool, out: &mut Vec<u8>) {
        if is_verbatim {
            return raw::write(value, &self.element_delimiter, out);
        }
        match self.output {
            Output::Standard => tty::write(value, out),
            Output::Raw => {
                raw::write(value, &self.element_delimiter, out);
                out.extend_from_slice(&self.reply_delimiter);
            }
            Output::Csv => {
                csv::write(value, out);
                out.push(b'\n');
            }
            Output::Json | Output::QuotedJson => {
                json::write(value, self.output == Output::QuotedJson, out);
                out.push(b'\n');
            }
        }
    }
}

/// A string in double quotes, for lines that people read.
pub(crate) fn quoted_text(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    quote::quoted(bytes, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A number of bytes with a letter for its magnitude: `2.64M`.
pub(crate) fn human_bytes(len: u64) -> String {
    let mut number = len as f64 / 1024.0;
    if number < 1.0 {
        return format!("{len}B");
    }
    for letter in ["K", "M", "G"] {
        if number < 1024.0 || letter == "G" {
            return format!("{number:.2}{letter}");
        }
        number /= 1024.0;
    }
    String::new()
}

/// The text of a floating point number.
fn double(number: f64, out: &mut Vec<u8>) {
    djr_protocol::format_double(number, out);
}

/// The decimal text of an integer.
fn integer(number: i64, out: &mut Vec<u8>) {
    djr_protocol::format_integer(number, out);
}
