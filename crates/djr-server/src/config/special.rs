//! Parameters whose values have rules of their own.

use std::os::unix::ffi::OsStrExt;

use djr_engine::Notify;
use djr_storage::value::parse_integer;

use super::value::{Refusal, Value, bounded, memory, one_of};
use crate::memory::classes;

/// How the values of one such parameter are read and printed.
pub(crate) struct Special {
    /// What may be written, for people.
    pub(crate) syntax: &'static str,
    /// Takes several words; given as one, it is taken apart at its spaces.
    pub(crate) many: bool,
    /// Each further directive adds to those before it.
    pub(crate) adds_up: Adds,
    /// Reads the words after the name. The value before is the one that this directive adds to.
    pub(crate) parse: fn(&[&[u8]], &Value) -> Result<Value, Refusal>,
    /// As `CONFIG GET` shows it.
    pub(crate) print: fn(&Value) -> Vec<u8>,
    /// The directives that say this value.
    pub(crate) lines: fn(&Value) -> Vec<Vec<Vec<u8>>>,
}

/// What a directive that comes more than once does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adds {
    /// The last one counts.
    No,
    /// The first one of a source starts anew, each further one adds to it.
    InFiles,
    /// Each one changes a part.
    Always,
}

impl Special {
    pub(crate) fn read(&self, words: &[&[u8]], before: &Value) -> Result<Value, Refusal> {
        match words {
            [b""] if self.many => (self.parse)(&[], before),
            // Two spaces have an empty word between them, as in Redis.
            [single] if self.many => {
                let parts: Vec<_> = single.split(|byte| *byte == b' ').collect();
                (self.parse)(&parts, before)
            }
            [] | [_, _, ..] if !self.many => Err("wrong number of arguments".into()),
            [] => Err("wrong number of arguments".into()),
            _ => (self.parse)(words, before),
        }
    }
}

fn as_it_is(value: &Value) -> Vec<u8> {
    value.bytes().to_vec()
}

fn one_line(value: &Value) -> Vec<Vec<Vec<u8>>> {
    let words: Vec<_> = words_of(value.bytes()).map(<[u8]>::to_vec).collect();
    vec![if words.is_empty() {
        vec![Vec::new()]
    } else {
        words
    }]
}

fn one_word(value: &Value) -> Vec<Vec<Vec<u8>>> {
    vec![vec![value.bytes().to_vec()]]
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
}

fn joined<T: AsRef<[u8]>>(words: &[T]) -> Value {
    let parts: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    Value::text(parts.join(&b' '))
}

const WORDS: Special = Special {
    syntax: "words",
    many: true,
    adds_up: Adds::No,
    parse: |words, _| Ok(joined(words)),
    print: as_it_is,
    lines: one_line,
};

const NUMBER: Special = Special {
    syntax: "a number",
    many: false,
    adds_up: Adds::No,
    parse: |_, before| Ok(before.clone()),
    print: |value| value.number().to_string().into_bytes(),
    lines: |value| vec![vec![value.number().to_string().into_bytes()]],
};

/// Addresses; a leading `-` means that one may be missing.
pub(crate) static ADDRESSES: Special = Special {
    syntax: "addresses; `*` for all, a `-` in front for one that may be missing",
    ..WORDS
};

/// Any words.
pub(crate) static ANY_WORDS: Special = WORDS;

/// The number of worker threads.
pub(crate) static THREADS: Special = Special {
    syntax: "a number from 1 to 256, or auto: one per core",
    parse: |words, _| {
        if words[0].eq_ignore_ascii_case(b"auto") {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            return Ok(Value::Number(cores.min(256) as i64));
        }
        number(words[0]).and_then(|count| bounded(count, 1, 256))
    },
    ..NUMBER
};

/// `hz`: Redis takes any number and keeps to 1 … 500.
pub(crate) static HZ: Special = Special {
    syntax: "a number from 1 to 500",
    parse: |words, _| {
        let hz = number(words[0])?;
        bounded(hz, 0, i64::from(i32::MAX)).map(|_| Value::Number(hz.clamp(1, 500)))
    },
    ..NUMBER
};

/// A directory that exists, kept with its full path.
pub(crate) static DIRECTORY: Special = Special {
    syntax: "a directory that exists",
    parse: |words, _| {
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(words[0]));
        let path = std::fs::canonicalize(path).map_err(|error| Refusal::from(plain(&error)))?;
        if !path.is_dir() {
            return Err("Not a directory".into());
        }
        Ok(Value::text(path.as_os_str().as_bytes()))
    },
    many: false,
    lines: one_word,
    ..WORDS
};

/// The system's words for an error, without Rust's number behind them.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

macro_rules! file_name {
    ($name:literal, $what:literal) => {
        Special {
            syntax: "a name without a path",
            many: false,
            parse: |words, _| match words[0] {
                b"" => Err(concat!($name, " can't be empty").into()),
                word if word.contains(&b'/') => {
                    Err(concat!($name, " can't be a path, just a ", $what).into())
                }
                word => Ok(Value::text(word)),
            },
            lines: one_word,
            ..WORDS
        }
    };
}

pub(crate) static APPEND_DIR_NAME: Special = file_name!("appenddirname", "dirname");
pub(crate) static APPEND_FILE_NAME: Special = file_name!("appendfilename", "filename");
pub(crate) static DB_FILE_NAME: Special = file_name!("dbfilename", "filename");

/// Points in time at which to save: pairs of seconds and changes.
pub(crate) static SAVE: Special = Special {
    syntax: "pairs of seconds and changes, or \"\" for none",
    adds_up: Adds::InFiles,
    parse: |words, before| {
        let points = words.chunks(2).map(|pair| match pair {
            [seconds, changes] => {
                let seconds = parse_integer(seconds).filter(|seconds| *seconds >= 1)?;
                let changes = parse_integer(changes).filter(|changes| *changes >= 0)?;
                (i32::try_from(seconds).is_ok() && i32::try_from(changes).is_ok())
                    .then(|| format!("{seconds} {changes}"))
            }
            _ => None,
        });
        let points: Option<Vec<_>> = points.collect();
        let points = points
            .ok_or(Refusal::Borrowed("Invalid save parameters"))?
            .join(" ");
        Ok(match before.bytes() {
            _ if words.is_empty() => Value::text(""),
            b"" => Value::text(points),
            earlier => joined(&[earlier, points.as_bytes()]),
        })
    },
    lines: |value| {
        let words: Vec<_> = words_of(value.bytes()).map(<[u8]>::to_vec).collect();
        match words.is_empty() {
            true => vec![vec![Vec::new()]],
            false => words.chunks(2).map(<[Vec<u8>]>::to_vec).collect(),
        }
    },
    ..WORDS
};

/// The classes of clients that have limits of their own for their replies, with the names that `CONFIG GET` shows.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// Limits of the replies that wait for a client, for each class: hard limit, soft limit, seconds.
pub(crate) static OUTPUT_LIMITS: Special = Special {
    syntax: "normal|replica|pubsub, hard limit, soft limit, seconds above the soft limit; 0 for none",
    adds_up: Adds::Always,
    parse: |words, before| {
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = output_limits(before);
        for words in words.chunks_exact(4) {
            let name: &[u8] = if words[0].eq_ignore_ascii_case(b"replica") {
                b"slave"
            } else {
                words[0]
            };
            let class = CLASSES
                .iter()
                .position(|class| name.eq_ignore_ascii_case(class.as_bytes()));
            let class = class.ok_or(Refusal::Borrowed(
                "Invalid client class specified in buffer limit configuration.",
            ))?;
            let seconds = parse_integer(words[3]).and_then(|seconds| u32::try_from(seconds).ok());
            let (Some(hard), Some(soft), Some(seconds)) =
                (memory(words[1]), memory(words[2]), seconds)
            else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .into(),
                );
            };
            limits[class] = [hard, soft, u64::from(seconds)];
        }
        let texts = CLASSES
            .iter()
            .zip(limits)
            .map(|(class, [hard, soft, seconds])| format!("{class} {hard} {soft} {seconds}"));
        Ok(joined(&texts.collect::<Vec<_>>()))
    },
    lines: |value| {
        let words: Vec<_> = words_of(value.bytes()).map(<[u8]>::to_vec).collect();
        let mut lines: Vec<_> = words.chunks(4).map(<[Vec<u8>]>::to_vec).collect();
        lines
            .iter_mut()
            .filter(|line| line[0] == b"slave")
            .for_each(|line| line[0] = b"replica".to_vec());
        lines
    },
    ..WORDS
};

/// Hard limit, soft limit and seconds of the classes normal, replica, pubsub.
pub(crate) fn output_limits(value: &Value) -> [[u64; 3]; 3] {
    let mut limits = [[0; 3]; 3];
    let numbers = words_of(value.bytes()).collect::<Vec<_>>();
    for (limits, words) in limits.iter_mut().zip(numbers.chunks_exact(4)) {
        for (limit, word) in limits.iter_mut().zip(&words[1..]) {
            *limit = memory(word).unwrap_or_default();
        }
    }
    limits
}

/// Classes of keyspace events, as a set of bits.
pub(crate) static EVENT_CLASSES: Special = Special {
    syntax: "letters of Ag$lshzxeKEtmdn",
    parse: |words, _| match Notify::parse(words[0]) {
        Some(notify) => Ok(Value::Number(notify.bits() as i64)),
        None => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
    },
    print: |value| {
        let notify = Notify::from_bits(value.number() as u64);
        notify.to_string().into_bytes()
    },
    lines: |value| vec![vec![(EVENT_CLASSES.print)(value)]],
    ..NUMBER
};

/// Percentages of latencies that INFO shows.
pub(crate) static PERCENTILES: Special = Special {
    syntax: "numbers from 0 to 100, or \"\" for none",
    parse: |words, _| {
        for word in words {
            let number = std::str::from_utf8(word)
                .ok()
                .and_then(|word| word.parse::<f64>().ok());
            match number {
                None => return Err("Invalid latency-tracking-info-percentiles parameters".into()),
                Some(number) if (0.0..=100.0).contains(&number) => {}
                Some(_) => {
                    return Err(
                        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into()
                    );
                }
            }
        }
        Ok(joined(words))
    },
    ..WORDS
};

/// Three numbers for the kernel's choice of a victim when memory runs out.
pub(crate) static OOM_SCORES: Special = Special {
    syntax: "three numbers from -2000 to 2000",
    parse: |words, _| {
        if words.len() != 3 {
            return Err("wrong number of arguments".into());
        }
        let valid =
            |word: &&[u8]| parse_integer(word).is_some_and(|score| (-2000..=2000).contains(&score));
        if !words.iter().all(valid) {
            return Err(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into(),
            );
        }
        Ok(joined(words))
    },
    ..WORDS
};

const SHUTDOWN_WORDS: &[&str] = &["default", "save", "nosave", "now", "force"];

/// How a signal ends the server.
pub(crate) static SHUTDOWN_OPTIONS: Special = Special {
    syntax: "default, or words of save, nosave, now, force",
    parse: |words, _| {
        let known = |word: &&[u8]| {
            SHUTDOWN_WORDS
                .iter()
                .position(|known| word.eq_ignore_ascii_case(known.as_bytes()))
        };
        let Some(found) = words.iter().map(known).collect::<Option<Vec<_>>>() else {
            return Err(one_of(SHUTDOWN_WORDS));
        };
        if found.is_empty() {
            return Err(one_of(SHUTDOWN_WORDS));
        }
        if found.contains(&1) && found.contains(&2) {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        let words: Vec<_> = found.iter().map(|index| SHUTDOWN_WORDS[*index]).collect();
        Ok(joined(&words))
    },
    ..WORDS
};

/// Memory classes: see [`classes`](crate::memory::classes).
pub(crate) static MEMORY_CLASSES: Special = Special {
    syntax: "name [db n[,n]] [prefix text] [maxmemory bytes] [policy one-of-maxmemory-policy]; name none",
    adds_up: Adds::Always,
    parse: |words, before| {
        let mut classes = classes::parse(before.bytes());
        classes::change(&mut classes, words)?;
        Ok(Value::text(classes::print(&classes)))
    },
    lines: |value| {
        let classes = classes::parse(value.bytes());
        let lines: Vec<_> = classes.iter().map(classes::words_of).collect();
        match lines.is_empty() {
            true => vec![vec![Vec::new()]],
            false => lines,
        }
    },
    ..WORDS
};

/// Bytes, or percents of `maxmemory`.
pub(crate) static MEMORY_OR_PERCENT: Special = Special {
    syntax: "bytes, or with a unit, or a percentage of maxmemory",
    many: false,
    parse: |words, _| match words[0].strip_suffix(b"%") {
        Some(percent) => match parse_integer(percent) {
            Some(0) => Ok(Value::text("0")),
            Some(1..=100) => Ok(Value::text(words[0])),
            Some(101..) => Err("percentage argument must be less or equal to 100".into()),
            _ => Err("argument must be a memory or percent value".into()),
        },
        None => match memory(words[0]) {
            Some(bytes) => Ok(Value::text(bytes.to_string())),
            None => Err("argument must be a memory or percent value".into()),
        },
    },
    lines: one_word,
    ..WORDS
};

/// `no one`, or host and port.
pub(crate) static PRIMARY: Special = Special {
    syntax: "host and port, or no one",
    parse: |words, _| match words {
        [] => Ok(Value::text("")),
        [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => {
            Ok(Value::text(""))
        }
        [_, port] if parse_integer(port).is_some_and(|port| (0..=65535).contains(&port)) => {
            Ok(joined(words))
        }
        [_, _] => Err("Invalid master port".into()),
        _ => Err("wrong number of arguments".into()),
    },
    ..WORDS
};

fn number(word: &[u8]) -> Result<i64, Refusal> {
    parse_integer(word).ok_or("argument couldn't be parsed into an integer".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(special: &Special, line: &str, before: &str) -> Result<String, String> {
        let words: Vec<_> = match line {
            "" => vec![&b""[..]],
            line => line.split(' ').map(str::as_bytes).collect(),
        };
        let value = special
            .read(&words, &Value::text(before))
            .map_err(|refusal| refusal.into_owned())?;
        Ok(String::from_utf8((special.print)(&value)).unwrap())
    }

    #[rstest]
    #[case(&SAVE, "3600 1 60 100", "", "3600 1 60 100")]
    #[case(&SAVE, "60 5", "3600 1", "3600 1 60 5")]
    #[case(&SAVE, "", "3600 1", "")]
    #[case(&EVENT_CLASSES, "KEA", "", "AKE")]
    #[case(&EVENT_CLASSES, "KE$gx", "", "g$xKE")]
    #[case(&EVENT_CLASSES, "", "", "")]
    #[case(&EVENT_CLASSES, "KEAmn", "", "AKEm")]
    #[case(&EVENT_CLASSES, "KEnmg", "", "gnKEm")]
    #[case(&HZ, "1000", "", "500")]
    #[case(&MEMORY_OR_PERCENT, "5%", "", "5%")]
    #[case(&MEMORY_OR_PERCENT, "0%", "", "0")]
    #[case(&MEMORY_OR_PERCENT, "1kb", "", "1024")]
    #[case(&SHUTDOWN_OPTIONS, "SAVE force", "", "save force")]
    #[case(&PERCENTILES, "50 99.95 100", "", "50 99.95 100")]
    #[case(
        &OUTPUT_LIMITS,
        "replica 1k 1 1",
        "normal 0 0 0 slave 2 2 2 pubsub 33554432 8388608 60",
        "normal 0 0 0 slave 1000 1 1 pubsub 33554432 8388608 60"
    )]
    fn values_are_read_as_redis_does(
        #[case] special: &Special,
        #[case] line: &str,
        #[case] before: &str,
        #[case] after: &str,
    ) {
        assert_eq!(read(special, line, before), Ok(after.to_owned()));
    }

    #[rstest]
    #[case(&SAVE, "60", "Invalid save parameters")]
    #[case(&SAVE, "0 1", "Invalid save parameters")]
    #[case(&SAVE, "60  1", "Invalid save parameters")]
    #[case(&SAVE, "x y", "Invalid save parameters")]
    #[case(&OUTPUT_LIMITS, "normal 0 0", "Wrong number of arguments in buffer limit configuration.")]
    #[case(&OUTPUT_LIMITS, "foo 0 0 0", "Invalid client class specified in buffer limit configuration.")]
    #[case(
        &OUTPUT_LIMITS,
        "normal a 0 0",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration."
    )]
    #[case(&EVENT_CLASSES, "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")]
    #[case(&OOM_SCORES, "1 2", "wrong number of arguments")]
    #[case(&OOM_SCORES, "1 2 99999", "Invalid oom-score-adj-values, elements must be between -2000 and 2000.")]
    #[case(&SHUTDOWN_OPTIONS, "nosave save", "shutdown options SAVE and NOSAVE can't be used simultaneously")]
    #[case(&SHUTDOWN_OPTIONS, "foo", "argument(s) must be one of the following: default, save, nosave, now, force")]
    #[case(&MEMORY_OR_PERCENT, "101%", "percentage argument must be less or equal to 100")]
    #[case(&PERCENTILES, "x", "Invalid latency-tracking-info-percentiles parameters")]
    #[case(
        &PERCENTILES,
        "1 2 200",
        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
    )]
    #[case(&APPEND_DIR_NAME, "a/b", "appenddirname can't be a path, just a dirname")]
    #[case(&DIRECTORY, "/nonexistent", "No such file or directory")]
    fn refusals_are_those_of_redis(
        #[case] special: &Special,
        #[case] line: &str,
        #[case] text: &str,
    ) {
        assert_eq!(read(special, line, ""), Err(text.to_owned()));
    }
}
