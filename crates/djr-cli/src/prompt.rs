//! The prompt: line editing, completion, hints, and a history that knows no passwords.

use std::borrow::Cow;
use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::runtime::Runtime;

use crate::help::Help;
use crate::lines::{Next, Shell};
use crate::options::Settings;
use crate::secrets;
use crate::session::Source;

/// Lines that the history keeps.
const HISTORY_LEN_MAX: usize = 1000;

/// Reads and runs lines until the user leaves.
pub(crate) fn run(runtime: &Runtime, settings: &Settings) -> ExitCode {
    let mut shell = Shell::new(settings, Source::Prompt);
    runtime.block_on(async {
        if shell.session.connect().await {
            shell.load_help().await;
        }
    });
    let is_typing = Rc::new(Cell::new(false));
    let mut editor = match editor(&shell, Rc::clone(&is_typing)) {
        Ok(editor) => editor,
        Err(error) => {
            eprintln!("Can't use the terminal: {error}");
            return ExitCode::FAILURE;
        }
    };
    for line in preferences() {
        runtime.block_on(shell.run(line.as_bytes()));
    }
    let history = history_path();
    if let Some(path) = &history {
        // There is none at the first start.
        let _ = editor.load_history(path);
    }
    loop {
        let prompt = shell.session.prompt();
        let columns = editor.dimensions().map(|(columns, _)| usize::from(columns));
        if let Some(helper) = editor.helper_mut() {
            helper.help = Rc::clone(&shell.help);
            helper.room = columns
                .unwrap_or(80)
                .saturating_sub(prompt.chars().count() + 1);
        }
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return ExitCode::SUCCESS,
            // Ctrl-C drops the line; on an empty one it leaves, as in redis-cli.
            Err(ReadlineError::Interrupted) if is_typing.replace(false) => continue,
            Err(ReadlineError::Interrupted) => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("Can't read from the terminal: {error}");
                return ExitCode::FAILURE;
            }
        };
        if !secrets::has_secret(&line) {
            remember(&mut editor, &line, history.as_ref());
        }
        match runtime.block_on(shell.run(line.as_bytes())) {
            Next::Line => {}
            Next::Quit => return ExitCode::SUCCESS,
            Next::Fail => return ExitCode::FAILURE,
        }
    }
}

type LineEditor = Editor<LineHelper, FileHistory>;

/// `is_typing` is told whether there is anything on the line.
fn editor(shell: &Shell, is_typing: Rc<Cell<bool>>) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(HISTORY_LEN_MAX)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        // Pasted lines are so many commands, not one with line ends in it.
        .bracketed_paste(false)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(LineHelper {
        help: Rc::clone(&shell.help),
        hints: Rc::clone(&shell.hints),
        is_typing,
        room: 0,
        has_colors: shell.has_colors,
    }));
    Ok(editor)
}

/// Adds to the history, and to its file at once: a session that is killed keeps what it had.
fn remember(editor: &mut LineEditor, line: &str, path: Option<&PathBuf>) {
    if let Ok(true) = editor.add_history_entry(line)
        && let Some(path) = path
    {
        // A home that can't be written to is no reason to stop.
        let _ = editor.append_history(path);
    }
}

/// The lines of the file of preferences, `~/.djrclirc`: `:set hints`, `:set nohints`.
fn preferences() -> Vec<String> {
    let named = ["DJRCLI_RCFILE", "REDISCLI_RCFILE"]
        .into_iter()
        .find_map(env::var_os);
    let path = match named {
        Some(path) => PathBuf::from(path),
        None => match env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => PathBuf::from(home).join(".djrclirc"),
            None => return Vec::new(),
        },
    };
    // Most people have none.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with(':'))
        .map(str::to_owned)
        .collect()
}

fn history_path() -> Option<PathBuf> {
    for name in ["DJRCLI_HISTFILE", "REDISCLI_HISTFILE"] {
        if let Some(path) = env::var_os(name) {
            let is_off = path.is_empty() || path == "/dev/null";
            return (!is_off).then(|| path.into());
        }
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".djrcli_history"))
}

#[derive(Helper)]
struct LineHelper {
    help: Rc<Help>,
    hints: Rc<Cell<bool>>,
    is_typing: Rc<Cell<bool>>,
    has_colors: bool,
    /// Columns behind the prompt.
    room: usize,
}

/// An open quote goes on in the next line.
impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match has_open_quote(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

fn has_open_quote(line: &str) -> bool {
    let mut open = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (open, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(quote), letter) if quote == letter => open = None,
            (None, '"' | '\'') => open = Some(letter),
            _ => {}
        }
    }
    open.is_some()
}

impl Completer for LineHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..position).unwrap_or(line);
        let start = line.len() - line.trim_start().len();
        let typed = line.get(start..).unwrap_or_default();
        let names = self.help.completions(typed);
        if !names.is_empty() || !typed.contains(' ') {
            return Ok((start, names));
        }
        // No command begins like this: an option of the one that stands there.
        let word = line.rfind(' ').map_or(0, |space| space + 1);
        Ok((word, self.help.options(typed)))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        // Asked at each key that is pressed.
        self.is_typing.set(!line.is_empty());
        if !self.hints.get() || position != line.len() {
            return None;
        }
        // A hint that wraps would make the screen jump with every key.
        let room = self.room.saturating_sub(line.chars().count());
        let hint: String = self.help.hint(line)?.chars().take(room).collect();
        (!hint.is_empty()).then_some(hint)
    }
}

impl Highlighter for LineHelper {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.has_colors {
            Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
        } else {
            Cow::Borrowed(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("get k", false)]
    #[case("get \"k", true)]
    #[case("get \"k\"", false)]
    #[case("get \"k\\\"", true)]
    #[case("get 'a\"", true)]
    #[case("get 'a\"'", false)]
    fn quotes(#[case] line: &str, #[case] is_open: bool) {
        assert_eq!(has_open_quote(line), is_open);
    }
}
