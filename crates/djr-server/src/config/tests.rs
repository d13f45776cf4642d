//! What holds for the table as a whole, and for sources on top of one another.

use super::*;
use rstest::rstest;
use std::collections::BTreeSet;
use std::ffi::OsString;

fn run(args: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    match from_command_line(args, environment.collect::<Vec<_>>())? {
        Action::Run(config) => Ok(*config),
        other => panic!("{other:?}"),
    }
}

fn refusal(args: &[&str]) -> String {
    run(args, &[]).expect_err("a refusal").to_string()
}

/// A configuration file that lives as long as the test.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("djr.conf");
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("text").to_owned();
    (dir, path)
}

#[test]
fn every_default_is_read_and_printed_and_read_again() {
    let config = Config::default();
    for id in Id::all() {
        let parameter = id.parameter();
        let value = config.value(id);
        let printed = config.print(id);
        let again = config.parse(id, &[&printed], true);
        assert_eq!(again.as_ref(), Ok(&value), "{}", parameter.name);
        // What a file would say of it means the same.
        let mut text = String::new();
        rewrite::lines(&config, id)
            .iter()
            .for_each(|line| text.push_str(&format!("{line}\n")));
        let read =
            sources::from_lines(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.value(id), value, "{text}");
    }
}

#[test]
fn no_name_is_given_twice_and_every_parameter_says_what_it_is() {
    let mut names = BTreeSet::new();
    for parameter in Id::all().map(Id::parameter) {
        for name in parameter.names() {
            assert!(names.insert(name), "{name}");
            assert_eq!(name.to_ascii_lowercase(), name);
        }
        assert!(
            parameter.doc.len() > 3 && parameter.doc.ends_with('.'),
            "{}",
            parameter.name
        );
    }
}

/// `CONFIG GET *` of Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2.
const NAMES_OF_OTHERS: &str = include_str!("../../tests/parameters.txt");

#[test]
fn every_parameter_of_redis_and_valkey_is_known() {
    let names = NAMES_OF_OTHERS
        .lines()
        .filter(|line| !line.starts_with('#'));
    let missing: Vec<_> = names
        .filter(|name| Id::find(name.as_bytes()).is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(NAMES_OF_OTHERS.lines().count() > 240);
}

#[test]
fn the_sample_file_says_the_defaults() {
    let text = sample_file();
    let mut lines = String::new();
    let mut directives = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
        let name = line.split(' ').next().unwrap_or_default();
        if Id::find(name.as_bytes()).is_some_and(|id| id.parameter().name == name) {
            lines.push_str(&format!("{line}\n"));
            directives += 1;
        }
    }
    let config = sources::from_lines(lines.as_bytes()).expect("a good file");
    assert!(Id::all().all(|id| config.is_default(id)));
    assert!(directives > 30);
}

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, text) in [
        ("djr.conf", sample_file()),
        ("docs/configuration.md", markdown()),
    ] {
        let found = std::fs::read_to_string(root.join(name)).unwrap_or_default();
        assert!(found == text, "{name} is stale: run `cargo xtask config`");
    }
}

#[test]
fn the_command_line_counts_more_than_the_file_and_the_file_more_than_the_environment() {
    let (_dir, path) = file("timeout 2\nhz 20\n");
    let environment = [
        ("DJR_TIMEOUT", "1"),
        ("DJR_HZ", "11"),
        ("DJR_MAXMEMORY_POLICY", "allkeys-lru"),
        ("DJR_X", "1"),
    ];
    let config = run(&[&path, "--timeout", "3"], &environment).expect("a good configuration");
    assert_eq!(config.get("timeout").as_deref(), Some("3"));
    assert_eq!(config.get("hz").as_deref(), Some("20"));
    assert_eq!(
        config.get("maxmemory-policy").as_deref(),
        Some("allkeys-lru")
    );
    assert_eq!(config.file(), Some(Path::new(&path)));
    assert_eq!(
        config.remarks[..],
        ["environment variable DJR_X names no parameter: ignored"]
    );
}

#[rstest]
#[case::several_values(&["--save", "60", "1", "--port", "7000"], "save", "60 1")]
#[case::no_value_for_save(&["--save", "--port", "7000"], "save", "")]
#[case::empty_save(&["--save", ""], "save", "")]
#[case::quoted_quotes(&["--save", "60 1 5 5"], "save", "60 1 5 5")]
#[case::value_like_an_option(&["--requirepass", "--secret"], "requirepass", "--secret")]
#[case::any_case(&["--PORT", "7000"], "port", "7000")]
#[case::alias(&["--io-threads", "3"], "threads", "3")]
#[case::old_name(&["--lua-time-limit", "7"], "busy-reply-threshold", "7")]
#[case::addresses(&["--bind", "127.0.0.1", "-::1"], "bind", "127.0.0.1 -::1")]
#[case::last_one_counts(&["--hz", "11", "--hz", "12"], "hz", "12")]
#[case::saves_add_up(&["--save", "60", "1", "--save", "5", "5"], "save", "60 1 5 5")]
fn command_lines_are_read_as_redis_does(
    #[case] args: &[&str],
    #[case] name: &str,
    #[case] value: &str,
) {
    let config = run(args, &[]).expect("a good command line");
    assert_eq!(config.get(name).as_deref(), Some(value));
}

#[rstest]
#[case(&["--port", "--save"], "'--port --save'\nargument couldn't be parsed into an integer")]
#[case(&["--port"], "'--port'\nwrong number of arguments")]
#[case(&["--port", "1", "2"], "'--port 1 2'\nwrong number of arguments")]
#[case(&["--bogus", "3"], "'--bogus 3'\nBad directive or wrong number of arguments")]
#[case(&["-x"], "'-x'\nBad directive or wrong number of arguments")]
#[case(&["--mptcp", "yes"], "'--mptcp yes'\nMultipath TCP is not supported")]
fn bad_command_lines_are_refused(#[case] args: &[&str], #[case] end: &str) {
    let text = refusal(args);
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (DJR {}) ***\nReading the command line\n>>> {end}",
        env!("CARGO_PKG_VERSION")
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[rstest]
#[case("port abc", "argument couldn't be parsed into an integer")]
#[case("bogus 1", "Bad directive or wrong number of arguments")]
#[case("maxmemory 12qq", "argument must be a memory value")]
#[case("bind \"unbalanced", "Unbalanced quotes in configuration line")]
#[case("dir /nonexistent", "No such file or directory")]
#[case("hz 1 # x", "wrong number of arguments")]
#[case("user bob +nosuch", "Unknown command or category name in ACL")]
#[case(
    "user bob (+get",
    "Unmatched parenthesis in selector definition '(+get'"
)]
#[case("user", "wrong number of arguments")]
#[case("rename-command flushal \"\"", "No such command in rename-command")]
#[case("rename-command get SET", "Target command name already exists")]
#[case("rename-command get", "Bad directive or wrong number of arguments")]
#[case(
    "rename-command get \"x\\x00\"",
    "a command's name does not end with a zero"
)]
#[case("tls-cluster yes", "there is no cluster yet")]
#[case("aof-repair yes", "is for one start: give it on the command line")]
fn a_bad_line_is_named_with_its_number(#[case] line: &str, #[case] reason: &str) {
    let (_dir, path) = file(&format!("# comment\n\n  {line}  \nport 1\n"));
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (DJR {}) ***\nReading the configuration file, at line 3\n>>> '{line}'\n{reason}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(refusal(&[&path]), expected);
}

#[test]
fn included_files_are_read_in_place_and_named_in_errors() {
    let (dir, path) = file("");
    let inner = dir.path().join("b.conf");
    std::fs::write(&inner, "timeout 5\nbogus 1\n").expect("a file");
    std::fs::write(
        &path,
        format!("timeout 1\ninclude {}\ntimeout 7\n", inner.display()),
    )
    .expect("a file");
    let text = refusal(&[&path]);
    assert!(
        text.contains(&format!(
            "at line 2 of '{}'\n>>> 'bogus 1'",
            inner.display()
        )),
        "{text}"
    );
    std::fs::write(&inner, "timeout 5\nhz 50\n").expect("a file");
    let config = run(&[&path], &[]).expect("a good file");
    assert_eq!(
        (
            config.get("timeout").as_deref(),
            config.get("hz").as_deref()
        ),
        (Some("7"), Some("50"))
    );
    std::fs::write(&inner, format!("include {path}\n")).expect("a file");
    assert!(refusal(&[&path]).ends_with("files include one another without end"));
}

#[test]
fn a_file_that_is_missing_is_named() {
    let expected =
        "Fatal error, can't open config file '/nonexistent.conf': No such file or directory";
    assert_eq!(refusal(&["/nonexistent.conf"]), expected);
}

#[test]
fn passwords_are_never_shown() {
    let mut config = Config::default();
    config.set("requirepass", "s3cret").expect("a password");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn setters_and_limits() {
    let config = Config::default()
        .with_port(7000)
        .with_threads(3)
        .with_append_only(false);
    assert_eq!(config.port(), Some(7000));
    assert_eq!(config.threads(), 3);
    assert!(!config.append_only());
    assert_eq!(config.append_fsync(), FsyncPolicy::EverySec);
    let config = config.with_append_fsync(FsyncPolicy::Always).with_port(0);
    assert_eq!(config.get("appendfsync").as_deref(), Some("always"));
    assert_eq!(
        (config.port(), config.append_fsync()),
        (None, FsyncPolicy::Always)
    );
    assert_eq!(config.with_free_port().port(), Some(0));
    let mut config = Config::default();
    config
        .set("client-output-buffer-limit", "normal 2mb 1mb 5")
        .expect("limits");
    let limit = OutputLimit {
        hard: 2 << 20,
        soft: 1 << 20,
        soft_ms: 5000,
    };
    assert_eq!(config.output_limit(false), limit);
}

#[test]
fn replies_may_be_above_the_soft_limit_for_a_while() {
    let limit = OutputLimit {
        hard: 100,
        soft: 10,
        soft_ms: 5000,
    };
    let mut since = 0;
    assert!(!limit.is_exceeded(9, &mut since, 1000));
    assert!(!limit.is_exceeded(10, &mut since, 2000));
    assert!(!limit.is_exceeded(99, &mut since, 7000));
    assert!(limit.is_exceeded(10, &mut since, 7001));
    // Below it once, the time begins anew.
    assert!(!limit.is_exceeded(9, &mut since, 7002));
    assert!(!limit.is_exceeded(10, &mut since, 9000));
    assert!(limit.is_exceeded(100, &mut since, 9000));
    let none = OutputLimit {
        hard: 0,
        soft: 0,
        soft_ms: 0,
    };
    assert!(!none.is_exceeded(u64::MAX, &mut since, i64::MAX));
}

#[test]
fn what_a_file_may_not_say_the_command_line_can_take_back() {
    // As the unit files of the distributions do it.
    let (_dir, path) = file("timeout 5\nmptcp yes\n");
    assert!(refusal(&[&path]).contains("at line 2\n>>> 'mptcp yes'\n"));
    let args = [&path, "--supervised", "systemd", "--mptcp", "no"];
    let config = run(&args, &[]).expect("taken back");
    assert_eq!(config.get("mptcp").as_deref(), Some("no"));
}
