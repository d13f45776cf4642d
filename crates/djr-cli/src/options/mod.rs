//! The command line, as `redis-cli` reads it: options end at the first word that is none, and everything from there on
//! is the command, also what begins with a dash.

mod arguments;

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use arguments::Arguments;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use djr_client::{Address, IpVersion, Tls, UrlError, Verify};
use djr_protocol::split_args;

use crate::format::{Output, Style};

/// Which argument comes from standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StdinArgument {
    /// None.
    None,
    /// `-x`: one more, at the end.
    Last,
    /// `-X`: the one that is this.
    Tagged(Vec<u8>),
}

/// Which protocol to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// What the server begins with, which is RESP2: nothing is agreed on.
    Default,
    /// RESP3 as `--json` wants it: no complaint if the server can't.
    PreferResp3,
    /// RESP3, as `-3` said.
    Resp3,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Commands: that of the command line, or those from standard input or a prompt.
    Commands,
    /// `--eval`: a script, with what follows as its keys and arguments.
    Eval(PathBuf),
    /// `--scan`
    Scan,
    /// `--bigkeys`, `--memkeys` (how many elements to look at; `None`: as the server likes), `--hotkeys` (how many).
    Keys {
        big: bool,
        memory: Option<Option<u64>>,
        hot: Option<usize>,
    },
    /// `--keystats`: elements to look at, and how many of the largest keys to list.
    KeyStats { samples: Option<u64>, top: usize },
    /// `--pipe`: how long to wait for replies.
    Pipe(Option<Duration>),
    /// `--rdb`, `--functions-rdb`
    Rdb { file: PathBuf, only_functions: bool },
    /// `--replica`
    Replica,
    /// `--stat`
    Stat,
    /// `--latency`, `--latency-history`
    Latency { has_history: bool },
    /// `--latency-dist`
    LatencyDistribution,
    /// `--intrinsic-latency`: seconds.
    IntrinsicLatency(u64),
    /// `--lru-test`: keys.
    LruTest(u64),
    /// `--cluster`
    Cluster(Vec<String>),
}

/// Which keys to look at, for the modes that walk over all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) pattern: Option<Vec<u8>>,
    /// `COUNT` of each `SCAN`, if it was given.
    pub(crate) count: Option<u64>,
    pub(crate) cursor: u64,
}

/// What the command line and the environment ask for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) db: i64,
    pub(crate) protocol: Protocol,
    /// Negative: for ever.
    pub(crate) repeat: i64,
    pub(crate) interval: Duration,
    pub(crate) stdin_argument: StdinArgument,
    pub(crate) style: Style,
    pub(crate) exit_error: bool,
    pub(crate) show_pushes: bool,
    pub(crate) verbose: bool,
    /// Whether replies go to somebody who looks at a terminal.
    pub(crate) has_tty: bool,
    pub(crate) mode: Mode,
    pub(crate) walk: Walk,
    pub(crate) tls: Option<Tls>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) prefer_ip: Option<IpVersion>,
    pub(crate) mptcp: bool,
    /// `-c`: follow `-MOVED` and `-ASK`.
    pub(crate) follows: bool,
    pub(crate) command: Vec<Vec<u8>>,
}

/// What to do instead of talking to a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// Print this and end well.
    Print(String),
    /// Print this line to standard error and end with status 1.
    Fail(String),
}

fn fail<T>(line: impl Into<String>) -> Result<T, Instead> {
    Err(Instead::Fail(line.into()))
}

/// Reads the command line and the environment.
pub(crate) fn read() -> Result<Settings, Instead> {
    let has_tty = std::io::stdout().is_terminal() || env::var_os("FAKETTY").is_some();
    let settings = parse(env::args_os(), has_tty)?;
    if settings.password.is_some() {
        return Ok(settings);
    }
    let password = ["DJRCLI_AUTH", "REDISCLI_AUTH", "VALKEYCLI_AUTH"]
        .into_iter()
        .find_map(env::var_os);
    Ok(Settings {
        password: password.map(OsString::into_vec),
        ..settings
    })
}

fn parse(words: impl IntoIterator<Item = OsString>, has_tty: bool) -> Result<Settings, Instead> {
    let words: Vec<OsString> = words.into_iter().collect();
    let last = words.last().cloned().unwrap_or_default();
    let failed = |error| Instead::Fail(line(&error, &last.to_string_lossy()));
    let matches = Arguments::command()
        .try_get_matches_from(words)
        .map_err(failed)?;
    let mut arguments = Arguments::from_arg_matches(&matches).map_err(failed)?;
    if arguments.help || arguments.host == Some(None) {
        let help = Arguments::command().render_help().to_string();
        return Err(Instead::Print(help));
    }
    if arguments.version {
        let version = env!("CARGO_PKG_VERSION");
        return Err(Instead::Print(format!("djr-cli {version}\n")));
    }
    if let Some(word) = arguments.command.first()
        && word.as_encoded_bytes().first() == Some(&b'-')
    {
        return fail(unknown(&word.to_string_lossy()));
    }
    let url = match arguments.url.as_deref().map(str::parse) {
        Some(Err(error)) => return fail(UrlError::to_string(&error)),
        Some(Ok(options)) => {
            forget_overridden(&mut arguments, &matches, &options);
            options
        }
        None => djr_client::Options::default(),
    };
    settings(arguments, url, has_tty)
}

/// All options and tools, for what is generated from them.
fn whole_command() -> clap::Command {
    let tools = crate::tools::Line::command();
    Arguments::command()
        .subcommands(tools.get_subcommands().cloned())
        // Words that are none of these are commands of the server.
        .subcommand_required(false)
}

/// A script that completes the command line in `shell`.
pub(crate) fn completions(shell: crate::tools::Shell) -> Vec<u8> {
    use crate::tools::Shell;
    use clap_complete::{generate, shells};
    let (mut command, mut out) = (whole_command(), Vec::new());
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, "djr-cli", &mut out),
        Shell::Zsh => generate(shells::Zsh, &mut command, "djr-cli", &mut out),
        Shell::Fish => generate(shells::Fish, &mut command, "djr-cli", &mut out),
    }
    out
}

/// The man page, in roff.
pub(crate) fn man_page() -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    clap_mangen::Man::new(whole_command()).render(&mut out)?;
    Ok(out)
}

/// Of a URL and the options that say the same, the last counts: forgets those that the URL comes after.
fn forget_overridden(arguments: &mut Arguments, matches: &ArgMatches, url: &djr_client::Options) {
    let place = matches.index_of("url");
    let is_before = |name| matches.index_of(name) < place;
    if is_before("host") {
        arguments.host = None;
    }
    if is_before("port") {
        arguments.port = None;
    }
    if url.db != 0 && is_before("db") {
        arguments.db = None;
    }
    if url.username.is_some() && is_before("user") {
        arguments.user = None;
    }
    if url.password.is_some() && is_before("pass") {
        arguments.pass = None;
    }
}

fn settings(
    arguments: Arguments,
    url: djr_client::Options,
    has_tty: bool,
) -> Result<Settings, Instead> {
    let mode = mode(&arguments)?;
    let walk = Walk {
        pattern: pattern(&arguments)?,
        count: arguments.count,
        cursor: arguments.cursor.unwrap_or(0),
    };
    let command = words(&arguments)?;
    let tls = tls(&arguments, url.tls);
    let prefer_ip = match (arguments.ipv4, arguments.ipv6) {
        (true, true) => return fail("Options -4 and -6 are mutually exclusive."),
        (true, false) => Some(IpVersion::V4),
        (false, true) => Some(IpVersion::V6),
        (false, false) => url.prefer_ip,
    };
    let connect_timeout = match arguments.timeout {
        None => None,
        Some(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) => Some(timeout).filter(|timeout| !timeout.is_zero()),
            Err(_) => return fail("Invalid connection timeout for -t."),
        },
    };
    let mut has_password = arguments.pass.is_some() || url.password.is_some();
    let mut address = url.address;
    let user = arguments.user.or(url.username);
    let mut password = arguments.pass.map(OsString::into_vec).or(url.password);
    let db = arguments.db.unwrap_or(i64::from(url.db));
    if arguments.host.is_some() || arguments.port.is_some() {
        let (host, port) = match address {
            Address::Tcp(host, port) => (host, port),
            _ => ("127.0.0.1".to_owned(), 6379),
        };
        let host = arguments.host.flatten().unwrap_or(host);
        address = Address::Tcp(host, arguments.port.unwrap_or(port));
    }
    if let Some(path) = arguments.socket {
        address = Address::Unix(path);
    }
    if arguments.askpass {
        has_password = false;
        password = match rpassword::prompt_password("Please input password: ") {
            Ok(text) => Some(text.into_bytes()),
            Err(error) => return fail(format!("Can't read the password: {error}")),
        };
    }
    if has_password && !arguments.no_auth_warning {
        eprintln!(
            "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe."
        );
    }
    let output = match () {
        () if arguments.raw => Output::Raw,
        () if arguments.no_raw => Output::Standard,
        () if arguments.csv => Output::Csv,
        () if arguments.json => Output::Json,
        () if arguments.quoted_json => Output::QuotedJson,
        () if has_tty => Output::Standard,
        () => Output::Raw,
    };
    let protocol = match (arguments.resp2, arguments.resp3, output) {
        (true, true, _) => return fail("Options -2 and -3 are mutually exclusive."),
        (false, true, _) => Protocol::Resp3,
        (false, false, Output::Json | Output::QuotedJson) => Protocol::PreferResp3,
        _ => Protocol::Default,
    };
    let stdin_argument = match (arguments.stdin_last, arguments.stdin_tag) {
        (true, Some(_)) => return fail("Options -x and -X are mutually exclusive."),
        (true, None) => StdinArgument::Last,
        (false, Some(tag)) => StdinArgument::Tagged(tag.into_vec()),
        (false, None) => StdinArgument::None,
    };
    let interval = arguments.interval.unwrap_or(0.0);
    let Ok(interval) = Duration::try_from_secs_f64(interval) else {
        return fail(format!("Invalid value '{interval}' for '-i'"));
    };
    let show_pushes = match arguments.show_pushes.as_deref() {
        None => has_tty,
        Some(text) if text.eq_ignore_ascii_case("yes") || text == "y" => true,
        Some(text) if text.eq_ignore_ascii_case("no") || text == "n" => false,
        Some(text) => return fail(format!("Invalid value '{text}' for '--show-pushes'")),
    };
    let delimiter = |word: Option<OsString>| word.map_or(b"\n".to_vec(), OsString::into_vec);
    Ok(Settings {
        address,
        user,
        password,
        db,
        protocol,
        repeat: arguments.repeat.unwrap_or(1),
        interval,
        stdin_argument,
        style: Style {
            output,
            element_delimiter: delimiter(arguments.element_delimiter),
            reply_delimiter: delimiter(arguments.reply_delimiter),
        },
        exit_error: arguments.exit_error,
        show_pushes,
        verbose: arguments.verbose,
        has_tty,
        mode,
        walk,
        tls,
        connect_timeout,
        prefer_ip,
        mptcp: arguments.mptcp || url.mptcp,
        follows: arguments.cluster_mode,
        command,
    })
}

/// The first of the modes that are asked for, in the order of `redis-cli`.
fn mode(arguments: &Arguments) -> Result<Mode, Instead> {
    if arguments.ldb || arguments.ldb_sync_mode {
        return fail("djr-cli has no Lua debugger: use redis-cli --ldb with a Redis server.");
    }
    let memory = match (arguments.memkeys, arguments.memkeys_samples) {
        (false, None) => None,
        (_, samples) => Some(samples),
    };
    let hot = match (arguments.hotkeys, arguments.hotkeys_count) {
        (false, None) => None,
        (_, count) => Some(count.unwrap_or(16)),
    };
    let rdb = |file: &PathBuf, only_functions| Mode::Rdb {
        file: file.clone(),
        only_functions,
    };
    Ok(match () {
        () if arguments.cluster.is_some() => {
            Mode::Cluster(arguments.cluster.clone().unwrap_or_default())
        }
        () if arguments.latency || arguments.latency_history => Mode::Latency {
            has_history: arguments.latency_history,
        },
        () if arguments.latency_dist => Mode::LatencyDistribution,
        () if arguments.replica => Mode::Replica,
        () if arguments.pipe => {
            let seconds = arguments.pipe_timeout.unwrap_or(30);
            Mode::Pipe((seconds > 0).then(|| Duration::from_secs(seconds)))
        }
        () if arguments.bigkeys || memory.is_some() || hot.is_some() => Mode::Keys {
            big: arguments.bigkeys,
            memory,
            hot,
        },
        () if arguments.keystats || arguments.keystats_samples.is_some() => Mode::KeyStats {
            samples: arguments.keystats_samples,
            top: arguments.top.unwrap_or(10),
        },
        () if arguments.stat => Mode::Stat,
        () if arguments.scan => Mode::Scan,
        () => match (
            &arguments.rdb,
            &arguments.functions_rdb,
            arguments.lru_test,
            arguments.intrinsic_latency,
            &arguments.eval,
        ) {
            (Some(file), ..) => rdb(file, false),
            (_, Some(file), ..) => rdb(file, true),
            (_, _, Some(0), ..) => return fail("Invalid value '0' for '--lru-test'"),
            (_, _, Some(keys), ..) => Mode::LruTest(keys),
            (_, _, _, Some(seconds), _) => Mode::IntrinsicLatency(seconds),
            (.., Some(file)) => Mode::Eval(file.clone()),
            _ => Mode::Commands,
        },
    })
}

fn pattern(arguments: &Arguments) -> Result<Option<Vec<u8>>, Instead> {
    match &arguments.quoted_pattern {
        Some(text) => match unquoted(text.as_bytes()) {
            Some(pattern) => Ok(Some(pattern)),
            None => fail("Invalid quoted string specified for --quoted-pattern."),
        },
        None => Ok(arguments.pattern.clone().map(OsString::into_vec)),
    }
}

/// The words of the command, read as quoted strings if that is wanted.
fn words(arguments: &Arguments) -> Result<Vec<Vec<u8>>, Instead> {
    let words = arguments.command.iter().map(|word| word.as_bytes());
    if !arguments.quoted_input {
        return Ok(words.map(<[u8]>::to_vec).collect());
    }
    match words.map(unquoted).collect() {
        Some(words) => Ok(words),
        None => fail("Invalid quoted string"),
    }
}

fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = split_args(text).ok()?;
    let word = words.pop()?;
    words.is_empty().then_some(word)
}

/// What the options say of TLS, on top of what the URL does.
fn tls(arguments: &Arguments, url: Option<Tls>) -> Option<Tls> {
    if !arguments.tls && url.is_none() {
        return None;
    }
    let has_own_authority = arguments.cacert.is_some() || arguments.cacertdir.is_some();
    let url = url.unwrap_or_default();
    Some(Tls {
        server_name: arguments.sni.clone().or(url.server_name),
        ca_file: arguments.cacert.clone().or(url.ca_file),
        ca_dir: arguments.cacertdir.clone().or(url.ca_dir),
        cert: arguments.cert.clone().or(url.cert),
        key: arguments.key.clone().or(url.key),
        verify: match url.verify {
            _ if arguments.insecure => Verify::Nothing,
            // An authority of one's own signs for one's own servers, whose names redis-cli doesn't look at.
            Verify::Full if arguments.sni.is_none() && has_own_authority => Verify::AnyName,
            verify => verify,
        },
        ciphers: arguments.tls_ciphers.clone().or(url.ciphers),
        ciphersuites: arguments.tls_ciphersuites.clone().or(url.ciphersuites),
    })
}

fn unknown(word: &str) -> String {
    format!("Unrecognized option or bad number of args for: '{word}'")
}

/// An error of the parser in one line. An option without its value is called what it was called: `last` is the last word.
fn line(error: &clap::Error, last: &str) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    // "-p <PORT>": the option alone.
    let option = text(ContextKind::InvalidArg);
    let option = option.split(' ').next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue if !value.is_empty() => {
            format!("Invalid value '{value}' for '{option}'")
        }
        ErrorKind::InvalidValue if last.starts_with('-') => unknown(last),
        _ => unknown(option),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn from(line: &str) -> Result<Settings, Instead> {
        let words = std::iter::once("djr-cli").chain(line.split_whitespace());
        parse(words.map(OsString::from), false)
    }

    #[test]
    fn the_parser_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case("get k", "get k")]
    #[case("-n 1 ttl k", "ttl k")]
    #[case("-p 7000 get -p", "get -p")]
    #[case("get -x -n 1 --raw --json", "get -x -n 1 --raw --json")]
    #[case("zadd z -1 a", "zadd z -1 a")]
    #[case("-r -1 incr k", "incr k")]
    #[case("-x set k", "set k")]
    #[case("--raw eval x -- -y", "eval x -- -y")]
    #[case("set k --help", "set k --help")]
    #[case("get -h", "get -h")]
    fn options_end_at_the_command(#[case] line: &str, #[case] command: &str) {
        let got: Vec<_> = from(line)
            .unwrap()
            .command
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        assert_eq!(got.join(" "), command);
    }

    #[rstest]
    #[case("", "127.0.0.1:6379", 0)]
    #[case("-h h -p 1", "h:1", 0)]
    #[case("-h a -h b", "b:6379", 0)]
    #[case("-s /run/x", "/run/x", 0)]
    #[case("-u redis://h:2/3", "h:2", 3)]
    #[case("-u redis://h:2/3 -p 4 -n 5", "h:4", 5)]
    #[case("-p 4 -n 5 -u redis://h:2/3", "h:2", 3)]
    #[case("-n 5 -u redis://h:2", "h:2", 5)]
    #[case("-h ::1", "::1:6379", 0)]
    fn finds_the_server(#[case] line: &str, #[case] address: &str, #[case] db: i64) {
        let settings = from(line).unwrap();
        assert_eq!(settings.address.to_string(), address);
        assert_eq!(settings.db, db);
    }

    #[rstest]
    #[case("-z get", "Unrecognized option or bad number of args for: '-z'")]
    #[case("--nope", "Unrecognized option or bad number of args for: '--nope'")]
    #[case("-p", "Unrecognized option or bad number of args for: '-p'")]
    #[case("-a", "Unrecognized option or bad number of args for: '-a'")]
    #[case("--pass", "Unrecognized option or bad number of args for: '--pass'")]
    #[case("-p x get", "Invalid value 'x' for '-p'")]
    #[case("-p 70000 get", "Invalid value '70000' for '-p'")]
    #[case("-r x get", "Invalid value 'x' for '-r'")]
    #[case("-i -1 get", "Invalid value '-1' for '-i'")]
    #[case("-n x get", "Invalid value 'x' for '-n'")]
    #[case("-x -X t get", "Options -x and -X are mutually exclusive.")]
    #[case("-2 -3 get", "Options -2 and -3 are mutually exclusive.")]
    #[case(
        "--ldb",
        "djr-cli has no Lua debugger: use redis-cli --ldb with a Redis server."
    )]
    #[case("--lru-test 0", "Invalid value '0' for '--lru-test'")]
    #[case("--eval", "Unrecognized option or bad number of args for: '--eval'")]
    #[case("-t -1 get", "Invalid connection timeout for -t.")]
    #[case("-4 -6 get", "Options -4 and -6 are mutually exclusive.")]
    #[case("--quoted-input get \"a", "Invalid quoted string")]
    #[case("--show-pushes x get", "Invalid value 'x' for '--show-pushes'")]
    fn bad_usage_is_one_line(#[case] words: &str, #[case] line: &str) {
        assert_eq!(from(words).unwrap_err(), Instead::Fail(line.to_owned()));
    }

    #[rstest]
    #[case("--raw", Output::Raw)]
    #[case("--raw --no-raw", Output::Standard)]
    #[case("--no-raw --raw", Output::Raw)]
    #[case("--csv --json", Output::Json)]
    #[case("--json --csv", Output::Csv)]
    #[case("--quoted-json", Output::QuotedJson)]
    fn the_last_format_counts(#[case] line: &str, #[case] output: Output) {
        assert_eq!(from(line).unwrap().style.output, output);
    }

    #[test]
    fn json_prefers_resp3() {
        assert_eq!(from("--json").unwrap().protocol, Protocol::PreferResp3);
        assert_eq!(from("--json -2").unwrap().protocol, Protocol::Default);
        assert_eq!(from("-3").unwrap().protocol, Protocol::Resp3);
    }

    #[test]
    fn help_goes_to_standard_output() {
        for line in ["--help", "-h", "-p 1 -h"] {
            assert!(matches!(from(line), Err(Instead::Print(_))), "{line}");
        }
    }
}
