//! Where values come from, weakest first: the defaults, the environment, the file, standard input, the command line.
//!
//! - Environment: `DJR_MAXMEMORY_POLICY=allkeys-lru` sets `maxmemory-policy`, the whole value as it is.
//! - File: the first argument, unless it begins with `-`. A `-` as the first or last argument reads standard input, too.
//! - Command line: `--directive value …` up to the next `--directive`. The first value may begin with `--`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::{self, BAD_DIRECTIVE, UNBALANCED};
use super::table::{COUNT, Id, OBSOLETE, REFUSED};
use super::{Config, ConfigError};
use crate::config::special::plain;

/// What a command line asks for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Action {
    /// To run a server.
    Run(Config),
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
    Ok(Action::Run(loader.config))
}

/// Reads a configuration file alone, with the defaults around it.
pub(super) fn from_lines(text: &[u8]) -> Result<Config, ConfigError> {
    let mut loader = Loader::new();
    loader.lines(text, None)?;
    Ok(loader.config)
}

struct Loader {
    config: Config,
    /// The parameters that the current source has set.
    seen: [bool; COUNT],
    include_depth: usize,
}

/// Which file the lines being read are in: `None`, if it is the main one.
type Included<'a> = Option<&'a Path>;

impl Loader {
    fn new() -> Self {
        Self {
            config: Config::default(),
            seen: [false; COUNT],
            include_depth: 0,
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
        self.parameter(id, &[value.as_bytes()])
            .map_err(|reason| ConfigError::Environment {
                variable: shown,
                reason,
            })
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
            if let Some(inner) = self.directive(&words).map_err(failed)? {
                self.include(&inner, failed)?;
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
            if let Some(inner) = self.directive(&words).map_err(failed)? {
                self.include(&inner, failed)?;
            }
        }
        Ok(())
    }

    /// Executes one directive. Returns the pattern of files that it includes.
    fn directive(&mut self, words: &[Vec<u8>]) -> Result<Option<PathBuf>, String> {
        let [name, values @ ..] = words else {
            return Ok(None);
        };
        let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
        if let Some(id) = Id::find(name) {
            return self.parameter(id, &values).map(|()| None);
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("include") {
            return match values[..] {
                [pattern] => Ok(Some(OsStr::from_bytes(pattern).into())),
                _ => Err(BAD_DIRECTIVE.into()),
            };
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
            return Ok(None);
        }
        Err(BAD_DIRECTIVE.into())
    }

    fn parameter(&mut self, id: Id, values: &[&[u8]]) -> Result<(), String> {
        let first = !std::mem::replace(&mut self.seen[id.index()], true);
        self.config
            .set_words(id, values, first)
            .map_err(|refusal| refusal.into_owned())
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
