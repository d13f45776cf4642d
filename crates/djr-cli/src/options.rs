//! The command line, as `redis-cli` reads it: options end at the first word that is none, and everything from there on
//! is the command, also what begins with a dash.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use djr_client::{Address, UrlError};

use crate::format::{Output, Style};

/// Options of `redis-cli` that this program knows of and does not have.
const NOT_YET: [&str; 41] = [
    "-c",
    "-t",
    "--bigkeys",
    "--cacert",
    "--cacertdir",
    "--cert",
    "--cluster",
    "--count",
    "--cursor",
    "--eval",
    "--functions-rdb",
    "--hotkeys",
    "--insecure",
    "--intrinsic-latency",
    "--key",
    "--keystats",
    "--keystats-samples",
    "--latency",
    "--latency-dist",
    "--latency-history",
    "--ldb",
    "--ldb-sync-mode",
    "--lru-test",
    "--memkeys",
    "--memkeys-samples",
    "--pattern",
    "--pipe",
    "--pipe-timeout",
    "--quoted-input",
    "--quoted-pattern",
    "--rdb",
    "--replica",
    "--scan",
    "--slave",
    "--sni",
    "--stat",
    "--tls",
    "--tls-ciphers",
    "--tls-ciphersuites",
    "--top",
    "--vset-recall",
];

/// Talk to DJR, Redis or Valkey: one command, commands from a pipe, or a prompt.
#[derive(Debug, Parser)]
#[command(
    name = "djr-cli",
    version,
    override_usage = "djr-cli [OPTIONS] [COMMAND [ARGUMENT]...]",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    after_help = "The password is also read from DJRCLI_AUTH or REDISCLI_AUTH, which other users can't see.\n\n\
        Examples:\n  \
        djr-cli set greeting hello\n  \
        djr-cli -n 1 ttl session:42\n  \
        djr-cli -x set page < page.html\n  \
        djr-cli -r 10 -i 0.5 incr ticks\n  \
        djr-cli -D '' --raw dump a > a.dump; djr-cli -X data restore b 0 data < a.dump"
)]
struct Arguments {
    /// Server host name [default: 127.0.0.1]
    #[arg(short = 'h', value_name = "HOST", num_args = 0..=1, allow_hyphen_values = true)]
    host: Option<Option<String>>,
    /// Server port [default: 6379]
    #[arg(short, value_name = "PORT", allow_hyphen_values = true)]
    port: Option<u16>,
    /// Server's Unix socket, instead of host and port
    #[arg(short, value_name = "PATH", allow_hyphen_values = true)]
    socket: Option<PathBuf>,
    /// Server as a URL: redis://user:password@host:port/db or unix:///path
    #[arg(short, value_name = "URL", allow_hyphen_values = true)]
    url: Option<String>,
    /// Password
    #[arg(
        short = 'a',
        long = "pass",
        value_name = "PASSWORD",
        allow_hyphen_values = true
    )]
    pass: Option<OsString>,
    /// User name, for a password
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    user: Option<String>,
    /// Ask for the password
    #[arg(long)]
    askpass: bool,
    /// Do not warn of a password on the command line
    #[arg(long)]
    no_auth_warning: bool,
    /// Database number
    #[arg(short = 'n', value_name = "DB", allow_hyphen_values = true)]
    db: Option<i64>,
    /// Speak RESP2
    #[arg(short = '2')]
    resp2: bool,
    /// Speak RESP3
    #[arg(short = '3')]
    resp3: bool,
    /// Execute the command this many times; -1: for ever
    #[arg(short, value_name = "COUNT", allow_hyphen_values = true)]
    repeat: Option<i64>,
    /// Seconds to wait between repetitions, such as 0.1
    #[arg(short, value_name = "SECONDS", allow_hyphen_values = true)]
    interval: Option<f64>,
    /// Read the last argument of the command from standard input
    #[arg(short = 'x')]
    stdin_last: bool,
    /// Read the argument that is TAG from standard input
    #[arg(short = 'X', value_name = "TAG", allow_hyphen_values = true)]
    stdin_tag: Option<OsString>,
    /// Delimiter between the elements of a raw reply [default: line end]
    #[arg(short = 'd', value_name = "DELIMITER", allow_hyphen_values = true)]
    element_delimiter: Option<OsString>,
    /// Delimiter after each raw reply [default: line end]
    #[arg(short = 'D', value_name = "DELIMITER", allow_hyphen_values = true)]
    reply_delimiter: Option<OsString>,
    /// Exit with status 1 if the reply is an error
    #[arg(short = 'e')]
    exit_error: bool,
    /// Print the bytes of replies alone (default unless on a terminal)
    #[arg(long, overrides_with_all = ["no_raw", "csv", "json", "quoted_json"])]
    raw: bool,
    /// Print replies for people, terminal or not
    #[arg(long, overrides_with_all = ["raw", "csv", "json", "quoted_json"])]
    no_raw: bool,
    /// Print CSV
    #[arg(long, overrides_with_all = ["raw", "no_raw", "json", "quoted_json"])]
    csv: bool,
    /// Print JSON (speaks RESP3 unless -2 is given)
    #[arg(long, overrides_with_all = ["raw", "no_raw", "csv", "quoted_json"])]
    json: bool,
    /// Print JSON with all that is not ASCII escaped
    #[arg(long, overrides_with_all = ["raw", "no_raw", "csv", "json"])]
    quoted_json: bool,
    /// Print what the server pushes, yes or no [default: yes on a terminal]
    #[arg(long, value_name = "YES|NO")]
    show_pushes: Option<String>,
    /// Say more
    #[arg(long)]
    verbose: bool,
    /// Print this help
    #[arg(long)]
    help: bool,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
    /// A command and its arguments; without one, they are read from standard input or at a prompt
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

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
    let password = env::var_os("DJRCLI_AUTH").or_else(|| env::var_os("REDISCLI_AUTH"));
    Ok(Settings {
        password: password.map(OsString::into_vec),
        ..settings
    })
}

fn parse(words: impl IntoIterator<Item = OsString>, has_tty: bool) -> Result<Settings, Instead> {
    let failed = |error| Instead::Fail(line(&error));
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
        command: arguments
            .command
            .into_iter()
            .map(OsString::into_vec)
            .collect(),
    })
}

fn unknown(word: &str) -> String {
    if NOT_YET.contains(&word) {
        return format!("djr-cli does not support the option '{word}' yet");
    }
    format!("Unrecognized option or bad number of args for: '{word}'")
}

/// An error of the parser in one line.
fn line(error: &clap::Error) -> String {
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
    #[case("-p x get", "Invalid value 'x' for '-p'")]
    #[case("-p 70000 get", "Invalid value '70000' for '-p'")]
    #[case("-r x get", "Invalid value 'x' for '-r'")]
    #[case("-i -1 get", "Invalid value '-1' for '-i'")]
    #[case("-n x get", "Invalid value 'x' for '-n'")]
    #[case("-x -X t get", "Options -x and -X are mutually exclusive.")]
    #[case("-2 -3 get", "Options -2 and -3 are mutually exclusive.")]
    #[case("--stat", "djr-cli does not support the option '--stat' yet")]
    #[case(
        "--scan --pattern x",
        "djr-cli does not support the option '--scan' yet"
    )]
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
