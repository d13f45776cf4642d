//! The values of parameters: how each kind of them is read and printed.

use std::borrow::Cow;
use std::sync::Arc;

use djr_storage::value::parse_integer;

use super::special::Special;

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number; of a choice the place in its list, of a memory size the bytes (as `u64`).
    Number(i64),
    /// Bytes, in the form in which `CONFIG GET` shows them.
    Text(Arc<[u8]>),
}

impl Value {
    pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Self {
        Self::Text(bytes.as_ref().into())
    }

    /// The number; 0 for a text.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(_) => 0,
        }
    }

    /// The bytes; none for a number.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Number(_) => b"",
            Self::Text(bytes) => bytes,
        }
    }
}

/// Why a value was refused, as Redis puts it.
pub(crate) type Refusal = Cow<'static, str>;

/// What values a parameter takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// A whole number in these bounds.
    Integer { min: i64, max: i64 },
    /// A whole number written in octal, as file modes are.
    Octal { max: i64 },
    /// Bytes, with or without a unit: `1k` is 1000, `1kb` is 1024, and so on for `m` and `g`.
    Memory { min: u64, max: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any bytes.
    Text,
    /// Something with rules of its own.
    Special(&'static Special),
}

impl Kind {
    /// Reads a value from the words of a directive. `before` is what the directive adds to, if it comes again.
    pub(crate) fn parse(&self, words: &[&[u8]], before: &Value) -> Result<Value, Refusal> {
        if let Kind::Special(special) = self {
            return special.read(words, before);
        }
        let [word] = words else {
            return Err("wrong number of arguments".into());
        };
        match self {
            Kind::YesNo => match () {
                () if word.eq_ignore_ascii_case(b"yes") => Ok(Value::Number(1)),
                () if word.eq_ignore_ascii_case(b"no") => Ok(Value::Number(0)),
                () => Err("argument must be 'yes' or 'no'".into()),
            },
            Kind::Integer { min, max } => parse_integer(word)
                .ok_or(Refusal::Borrowed(
                    "argument couldn't be parsed into an integer",
                ))
                .and_then(|number| bounded(number, *min, *max)),
            Kind::Octal { max } => std::str::from_utf8(word)
                .ok()
                .and_then(|word| i64::from_str_radix(word, 8).ok())
                .ok_or(Refusal::Borrowed(
                    "argument couldn't be parsed as an octal number",
                ))
                .and_then(|number| match number {
                    number if (0..=*max).contains(&number) => Ok(Value::Number(number)),
                    _ => Err(format!("argument must be between 0 and {max:o} inclusive").into()),
                }),
            Kind::Memory { min, max } => match memory(word) {
                None => Err("argument must be a memory value".into()),
                Some(bytes) if (*min..=*max).contains(&bytes) => Ok(Value::Number(bytes as i64)),
                Some(_) => {
                    Err(format!("argument must be between {min} and {max} inclusive").into())
                }
            },
            Kind::Choice(choices) => choices
                .iter()
                .position(|choice| word.eq_ignore_ascii_case(choice.as_bytes()))
                .map(|index| Value::Number(index as i64))
                .ok_or_else(|| one_of(choices)),
            Kind::Text => Ok(Value::text(word)),
            // The caller has taken these out.
            Kind::Special(_) => unreachable!("read above"),
        }
    }

    /// The value as `CONFIG GET` shows it.
    pub(crate) fn print(&self, value: &Value) -> Vec<u8> {
        let number = value.number();
        match self {
            Kind::YesNo if number == 0 => b"no".to_vec(),
            Kind::YesNo => b"yes".to_vec(),
            Kind::Integer { .. } => number.to_string().into_bytes(),
            Kind::Octal { .. } => format!("{number:o}").into_bytes(),
            Kind::Memory { .. } => (number as u64).to_string().into_bytes(),
            Kind::Choice(choices) => {
                let index = usize::try_from(number).unwrap_or_default();
                choices.get(index).copied().unwrap_or_default().into()
            }
            Kind::Text => value.bytes().to_vec(),
            Kind::Special(special) => (special.print)(value),
        }
    }

    /// The directives that say this value in a file: for each its words after the name.
    pub(crate) fn lines(&self, value: &Value) -> Vec<Vec<Vec<u8>>> {
        match self {
            Kind::Special(special) => (special.lines)(value),
            Kind::Memory { .. } => vec![vec![shortest_memory(value.number() as u64)]],
            _ => vec![vec![self.print(value)]],
        }
    }

    /// What may be written, where the default does not show it.
    pub(crate) fn describe_unless_obvious(&self) -> Option<String> {
        match self {
            Kind::Choice(_) | Kind::Special(_) => Some(self.describe()),
            Kind::Integer { max, .. } if *max < i64::from(i32::MAX) => Some(self.describe()),
            _ => None,
        }
    }

    /// What may be written, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Kind::YesNo => "yes or no".into(),
            Kind::Integer { min, max: i64::MAX } => format!("a number, at least {min}"),
            Kind::Integer { min, max } => format!("a number from {min} to {max}"),
            Kind::Octal { .. } => "an octal file mode".into(),
            Kind::Memory { min: 0, .. } => "bytes, or with a unit: 1k = 1000, 1kb = 1024".into(),
            Kind::Memory { min, .. } => format!("bytes, or with a unit; at least {min}"),
            Kind::Choice(choices) => choices.join(", "),
            Kind::Text => "text".into(),
            Kind::Special(special) => special.syntax.into(),
        }
    }
}

/// A number in these bounds.
pub(crate) fn bounded(number: i64, min: i64, max: i64) -> Result<Value, Refusal> {
    if (min..=max).contains(&number) {
        Ok(Value::Number(number))
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

pub(crate) fn one_of(choices: &[&str]) -> Refusal {
    format!(
        "argument(s) must be one of the following: {}",
        choices.join(", ")
    )
    .into()
}

const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

/// Reads bytes with a unit. As in Redis no digits at all mean 0, and what is too large becomes the largest number.
pub(crate) fn memory(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at(digits);
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name.as_bytes()))?;
    let number = digits.iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(number.saturating_mul(*factor))
}

/// Bytes with the largest unit that divides them.
fn shortest_memory(bytes: u64) -> Vec<u8> {
    let fitting = UNITS.iter().rev().find(|(name, factor)| {
        (name.len() == 2 || name.is_empty()) && bytes > 0 && bytes.is_multiple_of(*factor)
    });
    match fitting {
        Some((name, factor)) => format!("{}{name}", bytes / factor).into_bytes(),
        None => bytes.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", Some(0))]
    #[case("1k", Some(1000))]
    #[case("1kb", Some(1024))]
    #[case("1KB", Some(1024))]
    #[case("2m", Some(2_000_000))]
    #[case("2mb", Some(2 << 20))]
    #[case("1g", Some(1_000_000_000))]
    #[case("1Gb", Some(1 << 30))]
    #[case("7b", Some(7))]
    #[case("", Some(0))]
    #[case("-5", None)]
    #[case("1.5gb", None)]
    #[case("12qq", None)]
    #[case("50%", None)]
    #[case("100000000000000000000", Some(u64::MAX))]
    fn memory_is_read_as_redis_does(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(memory(text.as_bytes()), bytes);
    }

    #[rstest]
    #[case(0, "0")]
    #[case(1000, "1000")]
    #[case(1024, "1kb")]
    #[case(64 << 20, "64mb")]
    #[case(3 << 30, "3gb")]
    #[case(1025, "1025")]
    fn memory_is_written_short(#[case] bytes: u64, #[case] text: &str) {
        assert_eq!(shortest_memory(bytes), text.as_bytes());
        assert_eq!(memory(text.as_bytes()), Some(bytes));
    }

    #[rstest]
    #[case(Kind::Integer { min: 0, max: 65535 }, "70000", "argument must be between 0 and 65535 inclusive")]
    #[case(Kind::Integer { min: 0, max: 65535 }, "abc", "argument couldn't be parsed into an integer")]
    #[case(Kind::Integer { min: 0, max: 65535 }, " 5", "argument couldn't be parsed into an integer")]
    #[case(Kind::YesNo, "maybe", "argument must be 'yes' or 'no'")]
    #[case(Kind::Choice(&["a", "b"]), "c", "argument(s) must be one of the following: a, b")]
    #[case(Kind::Octal { max: 0o777 }, "888", "argument couldn't be parsed as an octal number")]
    #[case(Kind::Octal { max: 0o777 }, "1000", "argument must be between 0 and 777 inclusive")]
    #[case(Kind::Memory { min: 1, max: 9 }, "0", "argument must be between 1 and 9 inclusive")]
    fn refusals_are_those_of_redis(#[case] kind: Kind, #[case] word: &str, #[case] text: &str) {
        let refusal = kind.parse(&[word.as_bytes()], &Value::Number(0));
        assert_eq!(refusal, Err(text.into()));
        assert_eq!(
            kind.parse(&[b"1", b"2"], &Value::Number(0)),
            Err("wrong number of arguments".into())
        );
    }
}
