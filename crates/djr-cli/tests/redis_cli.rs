//! The same as redis-cli, byte for byte: both talk to a server with canned replies; what they print, how they end and
//! what they asked must be equal.

#![allow(clippy::unwrap_used)]

mod support;

use support::{FakeServer, Outcome, has_terminal, peers, run};

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");

/// Each type, each nesting, what is empty, and what needs escapes. (Big numbers, `!` errors and attributes are not
/// here: redis-cli gives up on them.)
const REPLIES: &[&[u8]] = &[
    b"+OK\r\n",
    b"+\r\n",
    b"+with \"quotes\" and \x01\r\n",
    b"-ERR bad\r\n",
    b"-\r\n",
    b":12\r\n",
    b":-9223372036854775808\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"$0\r\n\r\n",
    b"$3\r\na\nb\r\n",
    b"$2\r\na\n\r\n",
    b"$8\r\n\"\\'\t\r\x07\x08\x0b\r\n",
    b"$5\r\n\x00\x01\xff\xc3\xa9\r\n",
    b"$4\r\n\x1f\x20\x7e\x7f\r\n",
    b",3.10\r\n",
    b",1e+20\r\n",
    b",-0\r\n",
    b",inf\r\n",
    b",-inf\r\n",
    b"#t\r\n",
    b"#f\r\n",
    b"=7\r\ntxt:a\"b\r\n",
    b"=7\r\nmkd:a\nb\r\n",
    b"=4\r\ntxt:\r\n",
    b"*0\r\n",
    b"%0\r\n",
    b"~0\r\n",
    b"*3\r\n:1\r\n$1\r\na\r\n*2\r\n+x\r\n$-1\r\n",
    b"*2\r\n$0\r\n\r\n$0\r\n\r\n",
    b"*2\r\n-ERR in\r\n:1\r\n",
    b"*3\r\n*0\r\n%0\r\n~0\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    b"*11\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n*2\r\n:1\r\n*10\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n*2\r\n:1\r\n:2\r\n:11\r\n",
    b"~2\r\n:1\r\n~1\r\n$1\r\na\r\n",
    b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*2\r\n:1\r\n:2\r\n",
    b"%2\r\n+a\r\n%2\r\n+x\r\n*2\r\n:1\r\n:2\r\n+y\r\n*0\r\n+b\r\n~1\r\n*2\r\n%1\r\n+q\r\n:1\r\n:2\r\n",
    b"*2\r\n%2\r\n+a\r\n%1\r\n+x\r\n*2\r\n:1\r\n:2\r\n+b\r\n_\r\n:1\r\n",
    b"%1\r\n*1\r\n:1\r\n%1\r\n+k\r\n#t\r\n",
    b"%2\r\n+a\r\n=7\r\ntxt:a\nb\r\n+b\r\n%1\r\n+c\r\n=7\r\ntxt:a\nb\r\n",
    b"%1\r\n+a\r\n%1\r\n*2\r\n:1\r\n:2\r\n:3\r\n",
    b"%1\r\n+a\r\n~1\r\n%1\r\n+b\r\n*1\r\n:2\r\n",
    b"*2\r\n=7\r\ntxt:a\nb\r\n~1\r\n=7\r\ntxt:a\nb\r\n",
    b"*2\r\n:1\r\n%2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:5\r\n:6\r\n+k\r\n%1\r\n*1\r\n:7\r\n*2\r\n:8\r\n:9\r\n",
    b"%1\r\n*2\r\n:1\r\n$1\r\na\r\n:1\r\n",
    b"%2\r\n*1\r\n+a\r\n:1\r\n-E\"r\r\n:3\r\n",
    b"%3\r\n:1\r\n_\r\n#t\r\n:1\r\n,1.50\r\n$-1\r\n",
    b"%1\r\n=7\r\ntxt:a\"b\r\n=4\r\ntxt:\r\n",
    b"%1\r\n_\r\n:1\r\n",
    b"%10\r\n:1\r\n:1\r\n:2\r\n:1\r\n:3\r\n:1\r\n:4\r\n:1\r\n:5\r\n:1\r\n:6\r\n:1\r\n:7\r\n:1\r\n:8\r\n:1\r\n:9\r\n:1\r\n:10\r\n*1\r\n:2\r\n",
    b">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n",
    b">3\r\n+message\r\n+a\r\n$1\r\nb\r\n>2\r\n+invalidate\r\n_\r\n:1\r\n",
    b"?what\r\n",
];

const FORMATS: &[&[&str]] = &[
    &[],
    &["--raw"],
    &["--no-raw"],
    &["--csv"],
    &["--json"],
    &["--quoted-json"],
    &["-d", "|", "-D", "<>"],
    &["-e"],
    &["--show-pushes", "yes"],
];

/// Environment variables.
type Env<'a> = &'a [(&'a str, &'a str)];

/// A way to call the programs.
struct Call<'a> {
    args: &'a [&'a str],
    env: Env<'a>,
    stdin: &'a [u8],
    /// Whether the server plays along with `AUTH`, `SELECT` and `HELLO`.
    logs_in: bool,
}

impl<'a> Call<'a> {
    fn new(args: &'a [&'a str]) -> Call<'a> {
        Call {
            args,
            env: &[],
            stdin: b"",
            logs_in: true,
        }
    }
}

/// Calls ours and every peer; all must behave the same.
fn compare(reply: &[u8], call: &Call<'_>) {
    for peer in peers() {
        let server = FakeServer::start(reply, call.logs_in);
        let port = server.port.to_string();
        let mut args = vec!["-p", &port];
        args.extend_from_slice(call.args);
        let theirs = run(&peer, &args, call.env, call.stdin).with_names_of_redis();
        let asked_theirs = server.take_log();
        let ours = run(OURS, &args, call.env, call.stdin);
        let context = format!(
            "{} and reply {}, arguments {:?}, environment {:?}, input {}",
            peer.display(),
            reply.escape_ascii(),
            call.args,
            call.env,
            call.stdin.escape_ascii()
        );
        assert_eq!(ours, theirs, "{context}");
        // After a refusal redis-cli asks for no more; ours has sent the whole login at once.
        if call.logs_in {
            assert_eq!(server.take_log(), asked_theirs, "{context}");
        }
    }
}

#[test]
fn replies_in_every_format() {
    for reply in REPLIES {
        for format in FORMATS {
            let args = [&["-3"], *format, &["get", "k"]].concat();
            compare(reply, &Call::new(&args));
        }
    }
}

#[test]
fn replies_as_on_a_terminal() {
    for reply in REPLIES {
        compare(
            reply,
            &Call {
                env: &[("FAKETTY", "1")],
                ..Call::new(&["-3", "get", "k"])
            },
        );
    }
}

#[test]
fn replies_in_resp2() {
    for reply in REPLIES.iter().filter(|reply| b"+-:$*".contains(&reply[0])) {
        for format in FORMATS {
            let args = [&["-2"], *format, &["get", "k"]].concat();
            compare(reply, &Call::new(&args));
        }
    }
}

/// On a real terminal, which `script` makes.
#[test]
fn replies_on_a_terminal() {
    if !has_terminal() {
        return;
    }
    let on_terminal = |program: &std::path::Path, port: u16| -> Outcome {
        let line = format!("{} -3 -p {port} get k", program.display());
        run("script", &["-qec", &line, "/dev/null"], &[], b"")
    };
    for peer in peers() {
        for reply in REPLIES {
            let server = FakeServer::start(reply, true);
            let theirs = on_terminal(&peer, server.port);
            let ours = on_terminal(OURS.as_ref(), server.port);
            assert_eq!(ours, theirs, "{}", reply.escape_ascii());
        }
    }
}

#[test]
fn texts_for_people_stay_as_they_are() {
    let reply = b"$10\r\na:1\r\nb:2\r\n\r\n";
    let commands: &[&[&str]] = &[
        &["info"],
        &["INFO", "server"],
        &["client", "list"],
        &["client", "id"],
        &["memory", "doctor"],
        &["memory", "usage", "k"],
        &["latency", "doctor"],
        &["latency", "graph", "event"],
        &["latency", "graph"],
        &["cluster", "nodes"],
        &["cluster", "info"],
        &["cluster", "nodes", "x"],
        &["lolwut"],
        &["debug", "htstats", "0"],
        &["debug", "object", "k"],
        &["proxy", "info"],
        &["proxy", "list"],
    ];
    for command in commands {
        for format in ["--raw", "--no-raw", "--json", "--csv"] {
            compare(reply, &Call::new(&[&[format], *command].concat()));
        }
    }
    compare(b"-ERR x\r\n", &Call::new(&["--no-raw", "info"]));
}

#[test]
fn arguments_and_standard_input() {
    let cases: &[(&[&str], &[u8])] = &[
        (&["set", "k", "-p", "--raw"], b""),
        (&["-r", "3", "get", "k"], b""),
        (&["-r", "2", "-i", "0.001", "get", "k"], b""),
        (&["-r", "0", "get", "k"], b""),
        (&["-x", "set", "k"], b"v\n\x00"),
        (&["-x", "set", "k"], b""),
        (&["-X", "tag", "set", "tag", "k"], b"v"),
        (&["-X", "tag", "set", "k"], b"v"),
        (&["-x", "-X", "tag", "set", "k"], b"v"),
        (&["-x"], b"get k\n"),
        (&["-z"], b""),
        (&["--nope", "get"], b""),
        (&["-n"], b""),
        (&["-n", "0", "get", "k"], b""),
        (&["-n", "3", "get", "k"], b""),
        (&["-s", "/nonexistent/socket", "get", "k"], b""),
        (&["-p", "1", "get", "k"], b""),
        (&["-p", "1"], b"get k\nget l\n"),
        (&["-h", "localhost", "get", "k"], b""),
        (&["-2", "--json", "get", "k"], b""),
        (&["", ""], b""),
        (&["--quoted-input", "get", "\"a\\x00b\"", "'c d'"], b""),
        (&["--eval", "/nonexistent/script", "a", ",", "b"], b""),
        (&["--eval"], b""),
        (
            &[
                "-r",
                "2",
                "--eval",
                "/dev/null",
                "a",
                "b",
                ",",
                "c",
                ",",
                "d",
            ],
            b"",
        ),
        (&["--scan", "--quoted-pattern", "\"a"], b""),
        (&["-p", "1", "--scan"], b""),
        (&["-p", "1", "--bigkeys"], b""),
        (&["-p", "1", "--pipe"], b""),
        (&["-p", "1", "--rdb", "/nonexistent/file"], b""),
    ];
    for (args, stdin) in cases {
        compare(
            b"+OK\r\n",
            &Call {
                stdin,
                ..Call::new(args)
            },
        );
    }
}

#[test]
fn logging_in() {
    let cases: &[(&[&str], Env<'_>)] = &[
        (&["-a", "x", "get", "k"], &[]),
        (&["--pass", "x", "--user", "u", "get", "k"], &[]),
        (
            &["-a", "x", "--no-auth-warning", "-n", "2", "get", "k"],
            &[],
        ),
        (&["get", "k"], &[("REDISCLI_AUTH", "x")]),
        (&["-a", "y", "get", "k"], &[("REDISCLI_AUTH", "x")]),
        (&["-n", "2", "get", "k"], &[]),
        (&["-3", "get", "k"], &[]),
        (&["-u", "redis://u:p@127.0.0.1:1/3", "get", "k"], &[]),
        (
            &["-n", "1", "-u", "redis://u:p@127.0.0.1:1/3", "get", "k"],
            &[],
        ),
    ];
    for (args, env) in cases {
        compare(
            b"+OK\r\n",
            &Call {
                env,
                ..Call::new(args)
            },
        );
        // Refused, and then each command as well.
        compare(
            b"-ERR refused\r\n",
            &Call {
                env,
                logs_in: false,
                ..Call::new(args)
            },
        );
    }
}

#[test]
fn lines_from_a_pipe() {
    let inputs: &[&[u8]] = &[
        b"get k\n",
        b"get k",
        b"\n\n  \nget k\r\n",
        b"get 'a b' \"c\\x41\\n\" d\n",
        b"get \"open\nget k\n",
        b"2 get k\n+1 get k\n0 get k\n-1 get k\nx get k\n7\n",
        b"quit\nget k\n",
        b"get k\nEXIT\nget k\n",
        b":set hints\n:set nohints\n:nope\n",
        b"clear\nget k\n",
        b"restart\nget k\n",
        b"help nosuchcommand\nhelp @nosuchgroup\n",
        b"auth x\nhello 3\nget k\nreset\nget k\n",
        b"# comment\nselect 3\nmulti\nexec\n",
    ];
    for stdin in inputs {
        for reply in [&b"+OK\r\n"[..], b"-ERR x\r\n", b"*2\r\n:1\r\n$1\r\na\r\n"] {
            for env in [&[][..], &[("FAKETTY", "1")]] {
                for args in [&[][..], &["-e"], &["--csv"], &["-r", "2", "-n", "1"]] {
                    let call = Call {
                        args,
                        env,
                        stdin,
                        logs_in: true,
                    };
                    compare(reply, &call);
                }
            }
        }
    }
    let garbled = Call {
        stdin: b"get k\nget k\n",
        ..Call::new(&[])
    };
    compare(b"?\r\n", &garbled);
}
