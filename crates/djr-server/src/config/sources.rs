//! Where values come from, weakest first: the defaults, the environment, the file, standard input, the command line.
//!
//! - Environment: `DJR_MAXMEMORY_POLICY=allkeys-lru` sets `maxmemory-policy`, the whole value as it is.
//! - File: the first argument, unless it begins with `-`. A `-` as the first or last argument reads standard input, too.
//! - Command line: `--directive value …` up to the next `--directive`. The first value may begin with `--`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use djr_engine::registry::Rename;

use super::file::{self, BAD_DIRECTIVE, UNBALANCED};
use super::table::{COUNT, Id, OBSOLETE, REFUSED};
use super::{Config, ConfigError};
use crate::config::special::plain;

/// What a command line asks for.
#[derive(Debug)]
pub enum Action {
    /// To run a server.
    Run(Box<Config>),
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// `--print-config`: the annotated default configuration.
    PrintConfig,
    /// `--print-config-markdown`: the same as documentation.
    PrintMarkdown,
}

/// Files may include files, but not without end.
const INCLUDE_DEPTH_MAX: usize = 16;

/// The variables of the environment that concern the configuration.
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| name.as_bytes().starts_with(b"DJR_"))
        .collect()
}

/// Reads a command line, without the program's name, on top of these environment variables.
pub fn from_command_line<I>(
    args: I,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Action, ConfigError>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let args: Vec<OsString> = args
        .into_iter()
        .map(|arg| arg.as_ref().to_owned())
        .collect();
    match args.first().and_then(|arg| arg.to_str()) {
        Some("-v" | "--version") => return Ok(Action::Version),
        Some("-h" | "--help") => return Ok(Action::Help),
        Some("--print-config") => return Ok(Action::PrintConfig),
        Some("--print-config-markdown") => return Ok(Action::PrintMarkdown),
        _ => {}
    }
    let mut loader = Loader::new();
    for (name, value) in environment {
        loader.variable(&name, &value)?;
    }
    let mut rest = &args[..];
    if let [path, after @ ..] = rest
        && !path.as_bytes().starts_with(b"-")
    {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        loader.next_source();
        loader.file(&path, None)?;
        loader.config.file = Some(path);
        rest = after;
    }
    if let [first, after @ ..] = rest
        && first == "-"
    {
        loader.input()?;
        rest = after;
    } else if let [before @ .., last] = rest
        && last == "-"
    {
        loader.input()?;
        rest = before;
    }
    loader.next_source();
    loader.options(rest)?;
    Ok(Action::Run(Box::new(loader.finish()?)))
}

/// Reads a configuration file alone, with the defaults around it.
pub(super) fn from_lines(text: &[u8]) -> Result<Config, ConfigError> {
    let mut loader = Loader::new();
    loader.lines(text, None)?;
    loader.finish()
}

struct Loader {
    config: Config,
    /// The parameters that the current source has set.
    seen: [bool; COUNT],
    include_depth: usize,
    /// Values that are refused unless a stronger source sets another: `mptcp yes` in a file, `--mptcp no` behind it.
    refused: BTreeMap<Id, ConfigError>,
}

/// What a directive comes to.
enum Outcome {
    Done,
    /// These files are to be read.
    Include(PathBuf),
    /// It is refused unless the parameter is set again.
    Refused(Id, String),
}

/// Which file the lines being read are in: `None`, if it is the main one.
type Included<'a> = Option<&'a Path>;

impl Loader {
    fn new() -> Self {
        Self {
            config: Config::default(),
            seen: [false; COUNT],
            include_depth: 0,
            refused: BTreeMap::new(),
        }
    }

    /// The configuration, if nothing in it is refused.
    fn finish(mut self) -> Result<Config, ConfigError> {
        match self.refused.pop_first() {
            Some((_, error)) => Err(error),
            None => Ok(self.config),
        }
    }

    fn next_source(&mut self) {
        self.seen = [false; COUNT];
    }

    fn variable(&mut self, variable: &OsStr, value: &OsStr) -> Result<(), ConfigError> {
        let shown = variable.to_string_lossy().into_owned();
        let name = shown
            .strip_prefix("DJR_")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let Some(id) = Id::find(name.replace('_', "-").as_bytes()) else {
            let remark = format!("environment variable {shown} names no parameter: ignored");
            self.config.remarks.push(remark);
            return Ok(());
        };
        let failed = |reason| ConfigError::Environment {
            variable: shown,
            reason,
        };
        match self.parameter(id, &[value.as_bytes()]) {
            Err(reason) => Err(failed(reason)),
            Ok(outcome) => self.follow(outcome, failed),
        }
    }

    fn file(&mut self, path: &Path, included: Included<'_>) -> Result<(), ConfigError> {
        let text = std::fs::read(path).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            reason: plain(&error),
        })?;
        self.lines(&text, included)
    }

    fn input(&mut self) -> Result<(), ConfigError> {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)
            .map_err(ConfigError::Input)?;
        self.next_source();
        self.lines(&text, None)
    }

    fn lines(&mut self, text: &[u8], included: Included<'_>) -> Result<(), ConfigError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let Some(line) = file::directive(line) else {
                continue;
            };
            let failed = |reason: String| ConfigError::Line {
                line: index + 1,
                included: included.map(Path::to_owned),
                text: String::from_utf8_lossy(line).into_owned(),
                reason,
            };
            let words = file::split(line).ok_or_else(|| failed(UNBALANCED.into()))?;
            match self.directive(&words) {
                Err(reason) => return Err(failed(reason)),
                Ok(outcome) => self.follow(outcome, failed)?,
            }
        }
        Ok(())
    }

    fn options(&mut self, args: &[OsString]) -> Result<(), ConfigError> {
        let mut args = args.iter().map(|arg| arg.as_bytes()).peekable();
        while let Some(option) = args.next() {
            let mut words = vec![option.strip_prefix(b"--").unwrap_or_default().to_vec()];
            let needs_value =
                !matches!(&words[0].to_ascii_lowercase()[..], b"save" | b"aof-repair");
            while let Some(value) =
                args.next_if(|arg| (words.len() == 1 && needs_value) || !arg.starts_with(b"--"))
            {
                words.push(value.to_vec());
            }
            let shown: Vec<_> = words[1..].iter().map(|word| file::quote(word)).collect();
            let failed = |reason| ConfigError::Argument {
                argument: format!("{} {}", String::from_utf8_lossy(option), shown.join(" "))
                    .trim_end()
                    .to_owned(),
                reason,
            };
            if !option.starts_with(b"--") {
                return Err(failed(BAD_DIRECTIVE.into()));
            }
            if words[0].eq_ignore_ascii_case(b"aof-repair") {
                self.config.aof_repair = match words.get(1).map(|word| word.to_ascii_lowercase()) {
                    None => true,
                    Some(word) if word == b"yes" => true,
                    Some(word) if word == b"no" => false,
                    Some(_) => return Err(failed("argument must be 'yes' or 'no'".into())),
                };
                continue;
            }
            if words.len() == 1 && !needs_value {
                words.push(Vec::new());
            }
            match self.directive(&words) {
                Err(reason) => return Err(failed(reason)),
                Ok(outcome) => self.follow(outcome, failed)?,
            }
        }
        Ok(())
    }

    /// Executes one directive.
    fn directive(&mut self, words: &[Vec<u8>]) -> Result<Outcome, String> {
        let [name, values @ ..] = words else {
            return Ok(Outcome::Done);
        };
        let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
        if let Some(id) = Id::find(name) {
            return self.parameter(id, &values);
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("include") {
            return match values[..] {
                [pattern] => Ok(Outcome::Include(OsStr::from_bytes(pattern).into())),
                _ => Err(BAD_DIRECTIVE.into()),
            };
        }
        if is("user") {
            return self.user(&words[1..]);
        }
        if is("rename-command") {
            return self.rename(&words[1..]);
        }
        if is("aof-repair") {
            return Err("is for one start: give it on the command line".into());
        }
        if let Some((name, why)) = REFUSED.iter().find(|(known, _)| is(known)) {
            return Err(format!("'{name}': {why}"));
        }
        if let Some(name) = OBSOLETE.iter().find(|known| is(known)) {
            self.config
                .remarks
                .push(format!("'{name}' is obsolete: ignored"));
            return Ok(Outcome::Done);
        }
        Err(BAD_DIRECTIVE.into())
    }

    /// `user NAME RULE …`: kept for the start, when the values are final that new users depend on.
    fn user(&mut self, words: &[Vec<u8>]) -> Result<Outcome, String> {
        let [name, ..] = words else {
            return Err("wrong number of arguments".into());
        };
        if self
            .config
            .users
            .iter()
            .any(|user| user.first() == Some(name))
        {
            return Err(
                "Duplicate user found. A user can only be defined once in config files".into(),
            );
        }
        crate::acl::check_line(words)?;
        self.config.users.push(words.to_vec());
        Ok(Outcome::Done)
    }

    /// `rename-command NAME NEW-NAME`.
    fn rename(&mut self, words: &[Vec<u8>]) -> Result<Outcome, String> {
        let [from, to] = words else {
            return Err(BAD_DIRECTIVE.into());
        };
        self.config.renames.push(Rename {
            from: from.clone(),
            to: to.clone(),
        });
        let checked = crate::commands::registry().check_renames(&self.config.renames);
        checked.map_err(|error| error.to_string())?;
        Ok(Outcome::Done)
    }

    fn parameter(&mut self, id: Id, values: &[&[u8]]) -> Result<Outcome, String> {
        let first = !std::mem::replace(&mut self.seen[id.index()], true);
        let value = self
            .config
            .parse(id, values, first)
            .map_err(|refusal| refusal.into_owned())?;
        if let Err(reason) = self.config.permit(id, &value) {
            return Ok(Outcome::Refused(id, reason.into_owned()));
        }
        self.refused.remove(&id);
        self.config.store(id, value);
        Ok(Outcome::Done)
    }

    fn follow(
        &mut self,
        outcome: Outcome,
        failed: impl FnOnce(String) -> ConfigError,
    ) -> Result<(), ConfigError> {
        match outcome {
            Outcome::Done => {}
            Outcome::Include(pattern) => self.include(&pattern, failed)?,
            Outcome::Refused(id, reason) => {
                self.refused.insert(id, failed(reason));
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        pattern: &Path,
        failed: impl FnOnce(String) -> ConfigError,
    ) -> Result<(), ConfigError> {
        if self.include_depth == INCLUDE_DEPTH_MAX {
            return Err(failed("files include one another without end".into()));
        }
        self.include_depth += 1;
        for path in file::included(pattern) {
            self.file(&path, Some(&path))?;
        }
        self.include_depth -= 1;
        Ok(())
    }
}
