//! What happens at the prompt while somebody types, against a real server.

#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{has_terminal, run};
use terminal::Terminal;

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");

const CTRL_C: &str = "\x03";
const CTRL_R: &str = "\x12";
const CTRL_U: &str = "\x15";

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// On a port, or on a free one. `None` if there is no `redis-server`; that is said.
    fn start(port: Option<u16>) -> Option<Server> {
        let port = port.unwrap_or_else(support::free_port);
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "no redis-server, and CI=true");
            eprintln!("SKIPPED: no redis-server");
            return None;
        };
        let server = Server { child, port };
        for _ in 0..1500 {
            if server.ask(&["ping"]) == "PONG\n" {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not answer");
    }

    fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let outcome = run(OURS, &[&["-p", &port], words].concat(), &[], b"");
        String::from_utf8(outcome.stdout).unwrap()
    }

    /// Waits until the server says something.
    fn wait_for(&self, words: &[&str], text: &str) {
        for _ in 0..1500 {
            if self.ask(words).contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{words:?} does not become {text}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server and a prompt at it, in an empty home. `None` if the machine can't.
fn prompt(env: &[(&str, &str)]) -> Option<(Server, Terminal, tempfile::TempDir)> {
    if !has_terminal() {
        return None;
    }
    let server = Server::start(None)?;
    let home = tempfile::tempdir().unwrap();
    let line = format!("{OURS} -p {}", server.port);
    let env = [&[("HOME", home.path().to_str().unwrap())], env].concat();
    let mut terminal = Terminal::start(&line, &env);
    terminal.shows(&format!("127.0.0.1:{}> ", server.port));
    Some((server, terminal, home))
}

#[test]
fn completes_commands_subcommands_and_options() {
    let Some((_server, mut terminal, _home)) = prompt(&[]) else {
        return;
    };
    terminal.press("geodi\t").shows("geodist").press(CTRL_U);
    terminal
        .press("object fre\t")
        .shows("object freq")
        .press(CTRL_U);
    terminal
        .press("OBJECT FRE\t")
        .shows("OBJECT FREQ")
        .press(CTRL_U);
    terminal
        .press("set k v keep\t")
        .shows("set k v keepttl")
        .press(CTRL_U);
    terminal
        .press("help geodi\t")
        .shows("help geodist")
        .press(CTRL_U);
    terminal
        .press("help @geo\t")
        .shows("help @geo")
        .press(CTRL_U);
    // More than one: they are listed at the second time.
    terminal
        .press("expire\t\t")
        .shows("expireat")
        .shows("expiretime");
}

#[test]
fn hints_while_typing() {
    let Some((_server, mut terminal, _home)) = prompt(&[("NO_COLOR", "")]) else {
        return;
    };
    terminal
        .press("get ")
        .shows("\x1b[90mkey\x1b[0m")
        .press(CTRL_U);
    terminal
        .press("setex k ")
        .shows("seconds value")
        .press(CTRL_U);
    terminal
        .press("config se")
        .shows("\x1b[90mt parameter value")
        .press(CTRL_U);
    terminal
        .press("config set ")
        .shows("parameter value")
        .press(CTRL_U);
    terminal
        .press("latency ")
        .shows("doctor | graph")
        .press(CTRL_U);
    terminal.press(":set nohints\r").shows("> ");
    terminal.press("get ").press("k\r").shows("(nil)");
    assert!(
        !terminal
            .screen()
            .rsplit("nohints")
            .next()
            .unwrap()
            .contains("key")
    );
    terminal
        .press(":set hints\r")
        .shows("> ")
        .press("strlen ")
        .shows("key");
}

#[test]
fn no_colors_if_nobody_wants_them() {
    let Some((_server, mut terminal, _home)) = prompt(&[("NO_COLOR", "1")]) else {
        return;
    };
    terminal.press("get ").shows("key").press(CTRL_U);
    terminal
        .press("help get\r")
        .shows("GET key")
        .shows("group: string");
    assert!(!terminal.screen().contains("\x1b[90m"));
    assert!(!terminal.screen().contains("\x1b[1m"));
}

#[test]
fn help_is_colored() {
    let Some((_server, mut terminal, _home)) = prompt(&[]) else {
        return;
    };
    terminal.press("help get\r").shows("\x1b[1mGET\x1b[0m");
}

#[test]
fn the_history_is_searched_and_an_open_quote_goes_on() {
    let Some((_server, mut terminal, home)) = prompt(&[]) else {
        return;
    };
    terminal
        .press("set greeting \"hello\r")
        .press("you\"\r")
        .shows("OK");
    terminal.press("get greeting\r").shows("\"hello\\nyou\"");
    terminal.press("ping\r").shows("PONG");
    terminal.press(CTRL_R).press("greet").shows("`greet'");
    terminal.press("\r").shows("\"hello\\nyou\"");
    terminal.press("auth user secret-word\r").shows("(error)");
    terminal.press("quit\r");
    assert_eq!(terminal.ends(), Some(0));
    let history = std::fs::read_to_string(home.path().join(".djrcli_history")).unwrap();
    assert!(history.contains("get greeting") && !history.contains("secret-word"));
}

#[test]
fn the_file_of_preferences_is_read() {
    if !has_terminal() {
        return;
    }
    let Some(server) = Server::start(None) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".djrclirc"), ":set nohints\n").unwrap();
    let line = format!("{OURS} -p {}", server.port);
    let mut terminal = Terminal::start(&line, &[("HOME", home.path().to_str().unwrap())]);
    terminal
        .shows("> ")
        .press("get ")
        .press("k\r")
        .shows("(nil)");
    assert!(!terminal.screen().contains("key"));
}

#[test]
fn streams_end_with_ctrl_c() {
    let Some((server, mut terminal, _home)) = prompt(&[]) else {
        return;
    };
    terminal.press("subscribe news\r").shows("3) (integer) 1");
    server.ask(&["publish", "news", "hi"]);
    terminal.shows("3) \"hi\"").press(CTRL_C).shows("> ");
    server.wait_for(&["pubsub", "numsub", "news"], "news\n0");
    terminal.press("echo here\r").shows("\"here\"");
    terminal.press("monitor\r").shows("OK");
    server.ask(&["get", "watched"]);
    terminal
        .shows("\"get\" \"watched\"")
        .press(CTRL_C)
        .shows("> ");
    terminal.press("echo again\r").shows("\"again\"");
    terminal.press("blpop nothing 0\r");
    server.wait_for(&["client", "list"], "cmd=blpop");
    terminal
        .press(CTRL_C)
        .shows("> ")
        .press("echo end\r")
        .shows("\"end\"");
    // A line is dropped, an empty one is the end.
    terminal
        .press("get half")
        .shows("alf")
        .press(CTRL_C)
        .shows("> ");
    terminal
        .press("echo whole\r")
        .shows("\"whole\"")
        .shows("> ");
    terminal.press(CTRL_C);
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let Some((server, mut terminal, _home)) = prompt(&[]) else {
        return;
    };
    let port = server.port;
    terminal.press("select 3\r").shows("[3]> ");
    terminal.press("multi\r").shows("[3](TX)> ");
    terminal.press("get k\r").shows("QUEUED").shows("[3](TX)> ");
    drop(server);
    terminal.press("get k\r").shows("not connected> ");
    let Some(_server) = Server::start(Some(port)) else {
        return;
    };
    terminal.press("echo back\r").shows("\"back\"");
    terminal.shows(&format!("127.0.0.1:{port}[3]> "));
    terminal.press("client info\r").shows(" db=3 ");
}
