//! `cargo xtask test`: sets up and runs all tests there are.
//!
//! | runner | what |
//! |---|---|
//! | `cargo test --workspace` | unit tests, integration tests of each crate, tests of a whole server (`tests/`), examples in documentation |
//! | `tests/python/run.py` | real clients from Python, and their workers, against a real server process |
//! | `tests/node/run.js` | the same from Node |
//!
//! Both test the same binaries, built first and in the same profile (`dev`: assertions on, which is what tests are for).
//! Each runner's closing lines are printed again at the end.

use crate::{paths, peers, run};
use anyhow::{Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The servers that tests compare with.
const REFERENCES: [&str; 2] = ["redis-server", "valkey-server"];

/// Set up and run all tests. Needs Rust, Python 3.11 and, for clients from Node, Node 20 with npm; nothing else.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what is quick: the crates' own tests; no whole server, no Python, no examples in documentation
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Something that runs tests and says at its end how they went.
struct Runner {
    command: Command,
    /// Whether a line is one of the closing lines; the last one that is not empty counts if `None`.
    closes: Option<fn(&str) -> bool>,
}

/// How a runner ended.
struct Outcome {
    name: String,
    closing: Vec<String>,
    verdict: Result<(), String>,
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut runners = vec![rust(args.quick)];
    if !args.quick {
        runners.push(python()?);
        runners.extend(node()?);
        build_binaries()?;
    }
    let outcomes = runners
        .into_iter()
        .map(|runner| runner.run(&mut std::io::stdout()))
        .collect::<Result<Vec<_>>>()?;
    for outcome in &outcomes {
        println!();
        outcome.print();
    }
    if !args.quick && !has_reference() {
        println!(
            "\n!! NOT COMPARED WITH A REAL SERVER: there is no redis-server or valkey-server on the PATH, and \
             `cargo xtask peers` has not run. Those tests passed without comparing anything."
        );
    }
    if !args.quick && !has_node() {
        println!(
            "\n!! NO CLIENT FROM NODE WAS TRIED: there is no Node 20 with npm on the PATH. ioredis, node-redis and BullMQ were left out."
        );
    }
    let failed = outcomes.iter().filter(|outcome| outcome.verdict.is_err());
    match failed.count() {
        0 => Ok(()),
        _ => bail!("tests failed"),
    }
}

/// Builds the programs that whole-server tests start. Together with the tests: alone, cargo would choose other features for what
/// both depend on, and compile it twice.
fn build_binaries() -> Result<()> {
    run::checked(run::cargo().args(["build", "--workspace", "--bins", "--tests"]))
}

fn rust(quick: bool) -> Runner {
    let mut command = run::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if quick {
        command.args(["--exclude", "djr-tests", "--lib", "--bins", "--tests"]);
    }
    if peers().is_dir() {
        command.env("DJR_PEERS", peers());
    }
    Runner {
        command,
        closes: Some(|line| line.starts_with("test result:") && !ran_nothing(line)),
    }
}

/// The closing line of a test binary that holds no tests.
fn ran_nothing(line: &str) -> bool {
    line.starts_with("test result: ok. 0 passed; 0 failed; 0 ignored")
}

fn python() -> Result<Runner> {
    let newer = "import sys; sys.exit(sys.version_info < (3, 11))";
    if !run::is_there(run::program("python3").args(["-c", newer])) {
        bail!("the end-to-end tests need Python 3.11 or newer as `python3`");
    }
    let mut command = run::program("python3");
    command.arg("tests/python/run.py");
    Ok(end_to_end(command))
}

/// `None` if there is no Node, which is told at the end; under CI that is a failure.
fn node() -> Result<Option<Runner>> {
    if !has_node() {
        if std::env::var_os("CI").is_some() {
            bail!("the end-to-end tests need Node 20 or newer as `node`, and `npm`");
        }
        return Ok(None);
    }
    let mut command = run::program("node");
    command.arg("tests/node/run.js");
    Ok(Some(end_to_end(command)))
}

fn has_node() -> bool {
    let newer = "process.exit(process.versions.node.split('.')[0] < 20 ? 1 : 0)";
    run::is_there(run::program("node").args(["-e", newer]))
        && run::is_there(run::program("npm").arg("--version"))
}

/// Clients against the server that was just built. The last line tells how it went.
fn end_to_end(mut command: Command) -> Runner {
    if std::env::var_os("DJR_SERVER").is_none() {
        // Not what a release build may have left there some time ago.
        command.env("DJR_SERVER", paths::target().join("debug/djr-server"));
    }
    Runner {
        command,
        closes: None,
    }
}

/// Where the servers that `cargo xtask peers` fetches are, or those that the user names.
fn peers() -> PathBuf {
    std::env::var_os("DJR_PEERS").map_or_else(|| peers::default_dir().join("bin"), PathBuf::from)
}

/// Whether there is a real server to compare with.
fn has_reference() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([peers()])
        .any(|dir| REFERENCES.iter().any(|name| dir.join(name).is_file()))
}

impl Runner {
    fn run(mut self, out: &mut dyn Write) -> Result<Outcome> {
        let name = run::shown(&self.command);
        writeln!(out, "── {name}")?;
        let began = Instant::now();
        let mut closing = Vec::new();
        let status = run::watched(&mut self.command, out, |line| match self.closes {
            Some(closes) if closes(line) => closing.push(line.to_owned()),
            None if !line.is_empty() => closing = vec![line.to_owned()],
            _ => {}
        })?;
        let verdict = if !status.success() {
            Err(status.to_string())
        } else if closing.is_empty() {
            // A runner that found no tests ends well, too.
            Err("no closing line: nothing was run".to_owned())
        } else {
            Ok(())
        };
        Ok(Outcome {
            name,
            closing,
            verdict,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}

impl Outcome {
    fn print(&self) {
        let verdict = match &self.verdict {
            Ok(()) => "passed".to_owned(),
            Err(why) => format!("FAILED ({why})"),
        };
        println!("── {}: {verdict}, {:.0} s", self.name, self.seconds);
        self.closing.iter().for_each(|line| println!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(script: &str, closes: Option<fn(&str) -> bool>) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Runner { command, closes }
            .run(&mut std::io::sink())
            .unwrap()
    }

    #[test]
    fn a_failure_and_its_closing_line_are_kept() {
        let last = outcome("echo one; echo '1 failed'; echo; exit 3", None);
        assert_eq!(last.closing, ["1 failed"]);
        assert!(last.verdict.is_err());
    }

    #[test]
    fn a_runner_that_says_nothing_has_not_run() {
        let closes = rust(false).closes;
        let nothing = outcome(
            "echo 'test result: ok. 0 passed; 0 failed; 0 ignored'",
            closes,
        );
        assert!(nothing.verdict.is_err());
        let one = outcome(
            "echo 'test result: ok. 10 passed; 0 failed; 0 ignored'",
            closes,
        );
        assert_eq!(one.verdict, Ok(()));
        assert_eq!(one.closing.len(), 1);
    }
}
