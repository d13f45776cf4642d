//! What the server tells about the commands that it runs: SLOWLOG, COMMANDLOG, LATENCY, MONITOR, INFO's statistics, and the same over HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::ports::free_port;
use djr_tests::reply::Reply;

fn start(threads: usize, directives: &[(&str, &str)]) -> Ours {
    let mut all = vec![("enable-debug-command", "yes"), ("appendonly", "no")];
    all.extend(directives);
    Ours::start_with(threads, &all)
}

fn call(connection: &mut Connection, line: &str) -> Reply {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    connection.call(&words)
}

/// The arguments of the entries of a log, the latest first, and their third fields.
fn entries(reply: &Reply) -> Vec<(String, i64)> {
    let entry = |entry: &Reply| {
        let fields = entry.items();
        assert_eq!(fields.len(), 6, "{entry}");
        let args: Vec<_> = fields[3].items().iter().map(text).collect();
        (args.join(" "), fields[2].integer().expect("a number"))
    };
    reply.items().iter().map(entry).collect()
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.text()).into_owned()
}

/// A section of INFO.
fn info(connection: &mut Connection, section: &str) -> BTreeMap<String, String> {
    let reply = call(connection, &format!("INFO {section}"));
    let lines = text(&reply);
    let fields = lines.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn calls(connection: &mut Connection, command: &str) -> u64 {
    let stats = info(connection, "commandstats");
    let line = stats.get(&format!("cmdstat_{command}"));
    line.and_then(|line| line.strip_prefix("calls=")?.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn what_is_slow_is_noted_and_nothing_else() {
    let ours = start(1, &[]);
    let mut connection = ours.connect();
    // In one pipeline, so that there are runs.
    let mut requests: Vec<Vec<&[u8]>> = vec![vec![b"GET", b"key"]; 200];
    requests.insert(100, vec![b"DEBUG", b"SLEEP", b"0.05"]);
    for request in &requests {
        connection.send(request);
    }
    for _ in &requests {
        connection.read();
    }
    let noted = entries(&call(&mut connection, "SLOWLOG GET -1"));
    let slept: Vec<_> = noted
        .iter()
        .filter(|(args, _)| args.starts_with("DEBUG"))
        .collect();
    assert_eq!(slept.len(), 1, "{noted:?}");
    assert!(slept[0].1 >= 50_000, "{noted:?}");
    assert_eq!(calls(&mut connection, "get"), 200);
    assert_eq!(calls(&mut connection, "debug"), 1);
}

#[test]
fn everything_is_noted_if_asked_for_without_its_secrets() {
    let ours = start(1, &[("slowlog-log-slower-than", "0")]);
    let mut connection = ours.connect();
    let long = "x".repeat(200);
    for line in [
        "SET key value",
        "AUTH user secret",
        "CONFIG SET requirepass secret",
        "CONFIG SET requirepass ",
        "HELLO 3 AUTH user secret",
        "ACL SETUSER user >secret",
        "MULTI",
        "GET key",
        "EXEC",
    ] {
        call(&mut connection, line);
    }
    let many = format!(
        "DEL {}",
        (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
    );
    call(&mut connection, &many);
    call(&mut connection, &format!("GET {long}"));
    let noted = entries(&call(&mut connection, "SLOWLOG GET -1"));
    let args: Vec<_> = noted.iter().map(|(args, _)| args.as_str()).rev().collect();
    let shortened = format!("GET {}... (72 more bytes)", "x".repeat(128));
    let cut = (0..30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let cut = format!("DEL {cut} ... (10 more arguments)");
    assert_eq!(
        args,
        [
            "SET key value",
            "AUTH (redacted) (redacted)",
            "CONFIG SET requirepass (redacted)",
            "CONFIG SET requirepass (redacted)",
            "HELLO 3 AUTH (redacted) (redacted)",
            "ACL SETUSER (redacted) (redacted)",
            "MULTI",
            "GET key",
            &cut,
            &shortened,
        ]
    );
}

#[test]
fn large_requests_and_replies_are_noted() {
    let ours = start(1, &[]);
    let mut connection = ours.connect();
    let value = vec![b'x'; 2 << 20];
    connection.call(&[b"SET", b"large", &value]);
    connection.call(&[b"SET", b"small", b"x"]);
    // Behind others of its kind.
    for key in [b"small", b"small", b"large", b"small"] {
        connection.send(&[b"GET", key]);
    }
    (0..4).for_each(|_| drop(connection.read()));
    let requests = entries(&call(&mut connection, "COMMANDLOG GET -1 large-request"));
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].0.starts_with("SET large "), "{requests:?}");
    assert_eq!(requests[0].1, 2_097_188, "the request as it came");
    let replies = entries(&call(&mut connection, "COMMANDLOG GET -1 large-reply"));
    assert_eq!(replies, [("GET large".to_owned(), 2_097_164)]);
    let reset = call(&mut connection, "COMMANDLOG RESET large-reply");
    assert_eq!(text(&reset), "OK");
    let len = call(&mut connection, "COMMANDLOG LEN large-reply");
    assert_eq!(len.integer(), Some(0));
}

#[test]
fn commands_in_transactions_and_scripts_are_counted() {
    let ours = start(1, &[]);
    let mut connection = ours.connect();
    for line in ["SET key 1", "MULTI", "GET key", "LPUSH key x", "EXEC"] {
        call(&mut connection, line);
    }
    connection.call(&[b"EVAL", b"return redis.call('get', 'key')", b"0"]);
    assert_eq!(calls(&mut connection, "get"), 2);
    assert_eq!(calls(&mut connection, "eval"), 1);
    let stats = info(&mut connection, "commandstats");
    let lpush = &stats["cmdstat_lpush"];
    assert!(lpush.starts_with("calls=1,"), "{lpush}");
    assert!(
        lpush.ends_with("rejected_calls=0,failed_calls=1"),
        "{lpush}"
    );
    assert_eq!(
        info(&mut connection, "errorstats")["errorstat_WRONGTYPE"],
        "count=1"
    );
    call(&mut connection, "CONFIG RESETSTAT");
    assert_eq!(calls(&mut connection, "get"), 0);
    assert!(info(&mut connection, "errorstats").is_empty());
    // What asked for it is counted by now.
    let latencies = info(&mut connection, "latencystats");
    assert!(
        latencies.contains_key("latency_percentiles_usec_info"),
        "{latencies:?}"
    );
    assert!(!latencies.contains_key("latency_percentiles_usec_get"));
}

#[test]
fn latencies_are_kept_if_asked_for() {
    let ours = start(1, &[("latency-monitor-threshold", "20")]);
    let mut connection = ours.connect();
    call(&mut connection, "DEBUG SLEEP 0.001");
    call(&mut connection, "DEBUG SLEEP 0.05");
    let latest = call(&mut connection, "LATENCY LATEST");
    let mut events = latest.items().iter().map(Reply::items);
    let command = events.find(|fields| text(&fields[0]) == "command");
    let command = command.expect("commands were slow");
    assert!(command[2].integer() >= Some(50), "{latest}");
    let graph = text(&call(&mut connection, "LATENCY GRAPH command"));
    assert!(graph.starts_with("command - high "), "{graph}");
    let doctor = text(&call(&mut connection, "LATENCY DOCTOR"));
    assert!(doctor.contains("1. command: "), "{doctor}");
    let reset = call(&mut connection, "LATENCY RESET command");
    assert_eq!(reset.integer(), Some(1));
}

#[test]
fn a_monitor_sees_what_clients_of_all_workers_do() {
    let ours = start(3, &[]);
    let mut monitor = ours.connect();
    assert_eq!(text(&call(&mut monitor, "MONITOR")), "OK");
    let mut seen = Vec::new();
    for number in 0..6 {
        let mut client = ours.connect();
        call(&mut client, "SELECT 2");
        call(&mut client, &format!("SET key {number}"));
        call(&mut client, "CONFIG GET port");
        for _ in 0..2 {
            let Reply::Line(b'+', line) = monitor.read() else {
                panic!("not a line");
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            let (time, rest) = line.split_once(' ').expect("a time and the rest");
            let (_, micros) = time.split_once('.').expect("seconds and microseconds");
            assert!(micros.len() == 6 && time.parse::<f64>().is_ok(), "{line}");
            assert!(rest.starts_with("[2 127.0.0.1:"), "{line}");
            seen.push(rest.split_once("] ").expect("words").1.to_owned());
        }
        assert_eq!(
            seen.split_off(0),
            [
                "\"SELECT\" \"2\"".to_owned(),
                format!("\"SET\" \"key\" \"{number}\"")
            ]
        );
    }
    let refused = call(&mut monitor, "GET key");
    assert_eq!(
        text(&refused),
        "ERR Replica can't interact with the keyspace"
    );
    assert_eq!(text(&call(&mut monitor, "RESET")), "RESET");
    call(&mut ours.connect(), "PING");
    let nothing = call(&mut monitor, "GET nothing");
    assert_eq!(nothing, Reply::Line(b'$', b"-1".to_vec()));
}

/// Asks over HTTP: the status, the head, the body.
fn http(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (
        status.expect("a status"),
        head.to_lowercase(),
        body.to_owned(),
    )
}

/// Reads the text format: the value of each sample by its name and labels. Fails where anything is not as it must be.
fn parse(body: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(
                rest.split_once(' ')
                    .is_some_and(|(_, help)| !help.is_empty()),
                "{line}"
            );
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name, kind).is_none(), "{name} twice");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let name = series.split('{').next().unwrap_or(series);
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| types.get(family) == Some(&"histogram"))
            .unwrap_or(name);
        let kind = types
            .get(family)
            .unwrap_or_else(|| panic!("no type: {line}"));
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{line}");
        let value: f64 = value.parse().expect("a number");
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "{series} twice"
        );
    }
    samples
}

#[test]
fn metrics_and_health_are_told_over_http() {
    let address = free_port();
    let port = address.port().to_string();
    let ours = start(2, &[("metrics-port", &port), ("metrics-bind", "127.0.0.1")]);
    let mut connection = ours.connect();
    for _ in 0..10 {
        call(&mut connection, "SET key value");
    }
    call(&mut connection, "GET key");
    call(&mut connection, "GET nothing");
    call(&mut connection, "NOPE");
    let (status, head, body) = http(address, "GET /metrics");
    assert_eq!(status, 200, "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let samples = parse(&body);
    for (series, value) in [
        ("djr_commands_total{command=\"set\"}", 10.0),
        ("djr_commands_total{command=\"get\"}", 2.0),
        ("djr_keyspace_hits_total", 1.0),
        ("djr_keyspace_misses_total", 1.0),
        ("djr_errors_total{code=\"ERR\"}", 1.0),
        ("djr_connected_clients", 1.0),
        ("djr_loading", 0.0),
        ("djr_db_keys{db=\"0\"}", 1.0),
        ("djr_aof_enabled", 0.0),
        ("djr_command_seconds_count{family=\"string\"}", 12.0),
        (
            "djr_command_seconds_bucket{family=\"string\",le=\"+Inf\"}",
            12.0,
        ),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    let buckets = samples
        .iter()
        .filter(|(series, _)| series.starts_with("djr_command_seconds_bucket{family=\"string\""));
    assert!(buckets.clone().all(|(_, count)| *count <= 12.0));
    assert_eq!(buckets.count(), 25);
    assert!(samples["djr_command_seconds_sum{family=\"string\"}"] > 0.0);
    assert_eq!(http(address, "GET /healthz").0, 200);
    assert_eq!(http(address, "GET /readyz").0, 200);
    assert_eq!(http(address, "GET /nothing").0, 404);
    assert_eq!(http(address, "POST /metrics").0, 405);
    let (status, _, body) = http(address, "HEAD /metrics");
    assert_eq!((status, body.as_str()), (200, ""));
}
