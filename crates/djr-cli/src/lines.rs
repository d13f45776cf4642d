//! One line, typed or from a pipe: a command for the server, or one for this program.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use djr_client::Address;
use djr_protocol::split_args;

use crate::format::Output;
use crate::help::Help;
use crate::options::Settings;
use crate::session::{Outcome, Session, Source};

/// From here on it is said how long a command took.
const SLOW: Duration = Duration::from_millis(500);

/// Whether there is a next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read on.
    Line,
    /// The user has had enough.
    Quit,
    /// The server's answer could not be read: nothing after it may run.
    Fail,
}

/// What lines are run against.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) session: Session,
    /// Empty until somebody needs it: servers take their time to tell.
    pub(crate) help: Rc<Help>,
    /// Whether the prompt shows hints.
    pub(crate) hints: Rc<Cell<bool>>,
    /// Whether what people read is colored.
    pub(crate) has_colors: bool,
}

impl Shell {
    pub(crate) fn new(settings: &Settings, source: Source) -> Shell {
        Shell {
            session: Session::new(settings, source),
            help: Rc::default(),
            hints: Rc::new(Cell::new(true)),
            has_colors: settings.has_tty
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Asks the server about its commands, unless it is known.
    pub(crate) async fn load_help(&mut self) {
        if self.help.is_empty()
            && let Some(docs) = self.session.ask(&["COMMAND", "DOCS"]).await
        {
            self.help = Rc::new(Help::from_docs(&docs));
        }
    }

    /// Does what `line` says.
    pub(crate) async fn run(&mut self, line: &[u8]) -> Next {
        let Ok(words) = split_args(line) else {
            say("Invalid argument(s)");
            return Next::Line;
        };
        let Ok((repeat, command)) = repetition(&words) else {
            say("Invalid redis-cli repeat command option value.");
            return Next::Line;
        };
        let Some(name) = command.first() else {
            return Next::Line;
        };
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("quit") || is("exit") {
            return Next::Quit;
        }
        if name.first() == Some(&b':') {
            self.set(&texts(command));
        } else if is("help") || is("?") {
            self.load_help().await;
            let topic = texts(command);
            let topic = topic.get(1..).unwrap_or_default();
            write(&self.help.answer(topic, self.has_colors));
        } else if is("clear") {
            write("\x1b[H\x1b[2J");
        } else if is("restart") {
            say("Use 'restart' only in Lua debugging mode.");
        } else if let [_, host, port] = command
            && is("connect")
        {
            let host = String::from_utf8_lossy(host).into_owned();
            match String::from_utf8_lossy(port).parse() {
                Ok(port) => {
                    self.session.set_address(Address::Tcp(host, port));
                    self.session.connect().await;
                }
                Err(_) => say("Invalid port"),
            }
        } else {
            return self.execute(repeat, command).await;
        }
        Next::Line
    }

    async fn execute(&mut self, repeat: u64, command: &[Vec<u8>]) -> Next {
        let begun = Instant::now();
        for _ in 0..repeat {
            match self.session.execute(command).await {
                Outcome::Done | Outcome::ErrorReply => {}
                Outcome::Failed => break,
                Outcome::Garbled => return Next::Fail,
            }
        }
        let elapsed = begun.elapsed();
        if elapsed >= SLOW && self.session.style.output == Output::Standard {
            say(&format!("({:.2}s)", elapsed.as_secs_f64()));
        }
        Next::Line
    }

    fn set(&self, words: &[String]) {
        let words: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [":set", "hints"] => self.hints.set(true),
            [":set", "nohints"] => self.hints.set(false),
            [name, ..] => say(&format!("unknown redis-cli internal command '{name}'")),
            [] => {}
        }
    }
}

fn texts(words: &[Vec<u8>]) -> Vec<String> {
    words
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// A number in front of a command says how often to execute it.
fn repetition(words: &[Vec<u8>]) -> Result<(u64, &[Vec<u8>]), ()> {
    let [number, command @ ..] = words else {
        return Ok((1, words));
    };
    let number = std::str::from_utf8(number).unwrap_or_default();
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if command.is_empty() || !is_number {
        return Ok((1, words));
    }
    match number.parse() {
        Ok(repeat @ 1..) => Ok((repeat, command)),
        _ => Err(()),
    }
}

fn say(line: &str) {
    write(&format!("{line}\n"));
}

fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    if written.and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("get k", Ok(1))]
    #[case("3 get k", Ok(3))]
    #[case("+3 get k", Ok(3))]
    #[case("3", Ok(1))]
    #[case("3x get k", Ok(1))]
    #[case("0 get k", Err(()))]
    #[case("-1 get k", Err(()))]
    #[case("99999999999999999999 get k", Err(()))]
    #[case("", Ok(1))]
    fn a_number_repeats(#[case] line: &str, #[case] times: Result<u64, ()>) {
        let words = split_args(line.as_bytes()).unwrap();
        assert_eq!(repetition(&words).map(|(times, _)| times), times);
    }
}
