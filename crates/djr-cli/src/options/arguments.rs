//! The options and what `--help` says about them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

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
        To look at what is stored: djr-cli inspect KEY; celery queues|tasks|unacked|results; django keys|sessions.\n\
        Completions: djr-cli completions bash|zsh|fish; the man page: djr-cli man.\n\n\
        Examples:\n  \
        djr-cli set greeting hello\n  \
        djr-cli -n 1 ttl session:42\n  \
        djr-cli -x set page < page.html\n  \
        djr-cli -r 10 -i 0.5 incr ticks\n  \
        djr-cli -D '' --raw dump a > a.dump; djr-cli -X data restore b 0 data < a.dump"
)]
pub(super) struct Arguments {
    /// Server host name [default: 127.0.0.1]
    #[arg(short = 'h', value_name = "HOST", num_args = 0..=1, allow_hyphen_values = true)]
    pub(super) host: Option<Option<String>>,
    /// Server port [default: 6379]
    #[arg(short, value_name = "PORT", allow_hyphen_values = true)]
    pub(super) port: Option<u16>,
    /// Server's Unix socket, instead of host and port
    #[arg(short, value_name = "PATH", allow_hyphen_values = true)]
    pub(super) socket: Option<PathBuf>,
    /// Server as a URL: redis://user:password@host:port/db or unix:///path
    #[arg(short, value_name = "URL", allow_hyphen_values = true)]
    pub(super) url: Option<String>,
    /// Password
    #[arg(
        short = 'a',
        long = "pass",
        value_name = "PASSWORD",
        allow_hyphen_values = true
    )]
    pub(super) pass: Option<OsString>,
    /// User name, for a password
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(super) user: Option<String>,
    /// Ask for the password
    #[arg(long)]
    pub(super) askpass: bool,
    /// Do not warn of a password on the command line
    #[arg(long)]
    pub(super) no_auth_warning: bool,
    /// Database number
    #[arg(short = 'n', value_name = "DB", allow_hyphen_values = true)]
    pub(super) db: Option<i64>,
    /// Speak RESP2
    #[arg(short = '2')]
    pub(super) resp2: bool,
    /// Speak RESP3
    #[arg(short = '3')]
    pub(super) resp3: bool,
    /// Execute the command this many times; -1: for ever
    #[arg(short, value_name = "COUNT", allow_hyphen_values = true)]
    pub(super) repeat: Option<i64>,
    /// Seconds to wait between repetitions, such as 0.1
    #[arg(short, value_name = "SECONDS", allow_hyphen_values = true)]
    pub(super) interval: Option<f64>,
    /// Read the last argument of the command from standard input
    #[arg(short = 'x')]
    pub(super) stdin_last: bool,
    /// Read the argument that is TAG from standard input
    #[arg(short = 'X', value_name = "TAG", allow_hyphen_values = true)]
    pub(super) stdin_tag: Option<OsString>,
    /// Delimiter between the elements of a raw reply [default: line end]
    #[arg(short = 'd', value_name = "DELIMITER", allow_hyphen_values = true)]
    pub(super) element_delimiter: Option<OsString>,
    /// Delimiter after each raw reply [default: line end]
    #[arg(short = 'D', value_name = "DELIMITER", allow_hyphen_values = true)]
    pub(super) reply_delimiter: Option<OsString>,
    /// Exit with status 1 if the reply is an error
    #[arg(short = 'e')]
    pub(super) exit_error: bool,
    /// Print the bytes of replies alone (default unless on a terminal)
    #[arg(long, overrides_with_all = ["no_raw", "csv", "json", "quoted_json"])]
    pub(super) raw: bool,
    /// Print replies for people, terminal or not
    #[arg(long, overrides_with_all = ["raw", "csv", "json", "quoted_json"])]
    pub(super) no_raw: bool,
    /// Print CSV
    #[arg(long, overrides_with_all = ["raw", "no_raw", "json", "quoted_json"])]
    pub(super) csv: bool,
    /// Print JSON (speaks RESP3 unless -2 is given)
    #[arg(long, overrides_with_all = ["raw", "no_raw", "csv", "quoted_json"])]
    pub(super) json: bool,
    /// Print JSON with all that is not ASCII escaped
    #[arg(long, overrides_with_all = ["raw", "no_raw", "csv", "json"])]
    pub(super) quoted_json: bool,
    /// Seconds that connecting may take, such as 0.5 [default: no limit]
    #[arg(short = 't', value_name = "SECONDS", allow_hyphen_values = true)]
    pub(super) timeout: Option<f64>,
    /// Prefer IPv4 addresses
    #[arg(short = '4')]
    pub(super) ipv4: bool,
    /// Prefer IPv6 addresses
    #[arg(short = '6')]
    pub(super) ipv6: bool,
    /// Use multipath TCP
    #[arg(long)]
    pub(super) mptcp: bool,
    /// Follow the redirections of a cluster (-MOVED and -ASK)
    #[arg(short = 'c')]
    pub(super) cluster_mode: bool,
    /// Use TLS
    #[arg(long)]
    pub(super) tls: bool,
    /// Server name for TLS [default: the host]
    #[arg(long, value_name = "HOST")]
    pub(super) sni: Option<String>,
    /// Certificates of authorities to trust (PEM) [default: the operating system's]
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// Directory of such files
    #[arg(long, value_name = "DIR")]
    pub(super) cacertdir: Option<PathBuf>,
    /// Do not check the server's certificate
    #[arg(long)]
    pub(super) insecure: bool,
    /// Client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Ciphers up to TLS 1.2, by OpenSSL's names, separated by colons
    #[arg(long, value_name = "LIST")]
    pub(super) tls_ciphers: Option<String>,
    /// Cipher suites of TLS 1.3, separated by colons
    #[arg(long, value_name = "LIST")]
    pub(super) tls_ciphersuites: Option<String>,
    /// Read the command's words as quoted strings ('"a\x00b"')
    #[arg(long)]
    pub(super) quoted_input: bool,
    /// Show how the server is doing, one line per interval
    #[arg(long)]
    pub(super) stat: bool,
    /// Measure the latency of PING, until interrupted
    #[arg(long)]
    pub(super) latency: bool,
    /// The same, with a line every 15 seconds (-i: another interval)
    #[arg(long)]
    pub(super) latency_history: bool,
    /// The same as a spectrum, with 256 colors
    #[arg(long)]
    pub(super) latency_dist: bool,
    /// Measure for so many seconds how long this machine keeps a process waiting; no server is needed
    #[arg(long, value_name = "SECONDS")]
    pub(super) intrinsic_latency: Option<u64>,
    /// Simulate a cache of so many keys, of which 20 % get 80 % of the requests
    #[arg(long, value_name = "KEYS")]
    pub(super) lru_test: Option<u64>,
    /// Show what the server sends to its replicas
    #[arg(long, alias = "slave")]
    pub(super) replica: bool,
    /// Save a snapshot of the server to a file; -: standard output
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(super) rdb: Option<PathBuf>,
    /// The same with functions alone
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(super) functions_rdb: Option<PathBuf>,
    /// Send what standard input holds, which is RESP already or lines, as fast as the server can
    #[arg(long)]
    pub(super) pipe: bool,
    /// With --pipe: seconds without a reply after which to give up; 0: never [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub(super) pipe_timeout: Option<u64>,
    /// Find the keys with the most elements
    #[arg(long)]
    pub(super) bigkeys: bool,
    /// Find the keys that take the most memory
    #[arg(long)]
    pub(super) memkeys: bool,
    /// The same, looking at so many elements of each; 0: all
    #[arg(long, value_name = "COUNT")]
    pub(super) memkeys_samples: Option<u64>,
    /// Both at once, with distributions
    #[arg(long)]
    pub(super) keystats: bool,
    /// The same, looking at so many elements of each; 0: all
    #[arg(long, value_name = "COUNT")]
    pub(super) keystats_samples: Option<u64>,
    /// With --keystats: how many of the largest keys to list [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub(super) top: Option<usize>,
    /// Find the keys that are used most; needs an LFU maxmemory-policy
    #[arg(long)]
    pub(super) hotkeys: bool,
    /// The same, listing so many [default: 16]
    #[arg(long, value_name = "COUNT")]
    pub(super) hotkeys_count: Option<usize>,
    /// List all keys
    #[arg(long)]
    pub(super) scan: bool,
    /// With --scan and the searches for keys: only those that match
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(super) pattern: Option<OsString>,
    /// The same as a quoted string
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(super) quoted_pattern: Option<OsString>,
    /// With these: keys that the server looks at per step [default: what is fast; 10 with -i]
    #[arg(long, value_name = "COUNT")]
    pub(super) count: Option<u64>,
    /// With these: where to begin
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<u64>,
    /// Execute a Lua script; what follows are its keys, a comma, and its arguments
    #[arg(long, value_name = "FILE")]
    pub(super) eval: Option<PathBuf>,
    /// Debug a Lua script (not supported)
    #[arg(long)]
    pub(super) ldb: bool,
    /// Debug a Lua script in the server's only thread (not supported)
    #[arg(long)]
    pub(super) ldb_sync_mode: bool,
    /// Manage a cluster; `--cluster help` lists what there is
    #[arg(long, value_name = "COMMAND", num_args = 0.., allow_hyphen_values = true)]
    pub(super) cluster: Option<Vec<String>>,
    /// Print what the server pushes, yes or no [default: yes on a terminal]
    #[arg(long, value_name = "YES|NO")]
    pub(super) show_pushes: Option<String>,
    /// Say more
    #[arg(long)]
    pub(super) verbose: bool,
    /// Print this help
    #[arg(long)]
    pub(super) help: bool,
    /// Print the version
    #[arg(short = 'v', long)]
    pub(super) version: bool,
    /// A command and its arguments; without one, they are read from standard input or at a prompt
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(super) command: Vec<OsString>,
}
