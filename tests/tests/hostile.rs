//! Peers that send what they should not: the server stays alive, serves the others, and keeps its memory.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use djr_engine::Rng;
use djr_engine::spec::Group;
use djr_engine::testkit::registry;
use djr_protocol::encode_command;
use djr_tests::comparison::{known_tokens, line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::random_commands::{Generator, Words};
use djr_tests::reply::Reply;

const PEERS: usize = 600;
const REQUESTS: u64 = 20_000;

#[test]
fn nothing_that_peers_send_harms_the_others() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let server = Ours::start(2);
    // Two, so that there is one with each worker.
    let mut well_behaved = [server.connect(), server.connect()];
    well_behaved[0].run("SET safe sound");
    for peer in 0..PEERS {
        let bytes = match peer % 4 {
            0 => random_bytes(&mut rng),
            1 => spoiled_commands(&mut rng),
            2 => headers(&mut rng),
            _ => inline(&mut rng),
        };
        let stream = TcpStream::connect(server.address()).expect("the server accepts");
        send_in_pieces(&stream, &bytes, &mut rng);
        // Some go at once, some read what they get, some say that they are done.
        match rng.below(3) {
            0 => {}
            1 => drain(&stream),
            _ => {
                // The server may have closed it already.
                let _ = stream.shutdown(Shutdown::Write);
                drain(&stream);
            }
        }
        if peer % 20 == 0 {
            for client in &mut well_behaved {
                assert_eq!(client.run("GET safe").text(), b"sound", "after peer {peer}");
            }
        }
    }
    for client in &mut well_behaved {
        assert_eq!(client.run("PING"), Reply::Line(b'+', b"PONG".to_vec()));
    }
}

/// A request whose keys are not where they are looked for would reach a shard that is not locked, and end the server.
///
/// `DJR_SEED` repeats a run, `DJR_COMMANDS` sets how many requests there are.
#[test]
fn mangled_requests_get_replies() {
    let seed = seed();
    println!("seed {seed}");
    // 64 shards: two keys are hardly ever in the same.
    let server = Ours::start_with(4, &[("proto-max-bulk-len", "1mb")]);
    let mut client = server.connect();
    let tokens = known_tokens(&mut client);
    let keywords = tokens.clone();
    let mut generator = Generator::new(registry(), seed, tokens);
    let count = number("DJR_COMMANDS").unwrap_or(REQUESTS);
    let mut done = 0;
    while done < count {
        let waiting = match generator.below(4) {
            0 => generator.draw_waiting(),
            _ => None,
        };
        let waits = waiting.is_some();
        let (name, mut words) = waiting.unwrap_or_else(|| generator.draw());
        let command = registry()
            .by_full_name(name.as_bytes())
            .expect("it was drawn");
        if !is_about_data(command.spec.group) || name == "migrate" {
            continue;
        }
        for _ in 0..generator.below(4) {
            mangle(&mut words, &keywords[&name], &mut generator);
        }
        // In a transaction nothing waits.
        let (multi, exec) = ([b"MULTI".to_vec()], [b"EXEC".to_vec()]);
        let requests = match waits {
            true => vec![&multi[..], &words, &exec],
            false => vec![&words[..]],
        };
        for words in requests {
            let bytes: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            assert_ne!(
                client.call(&bytes),
                Reply::Closed,
                "{}\nseed {seed}",
                line(&words.to_vec())
            );
        }
        done += 1;
    }
}

fn is_about_data(group: Group) -> bool {
    use Group::*;
    !matches!(
        group,
        PubSub | Transactions | Connection | Server | Scripting | Cluster
    )
}

/// Changes something behind the command's name: mostly, options are there twice, or are where something else should be.
fn mangle(words: &mut Words, keywords: &BTreeSet<String>, generator: &mut Generator<'_>) {
    let at = 1 + generator.below(words.len());
    let from = 1 + generator.below(words.len());
    let to = (from + 1 + generator.below(2)).min(words.len());
    let some = match generator.below(3) {
        0 => words[from.min(to)..to].to_vec(),
        kind => {
            let keyword = keywords.iter().nth(generator.below(keywords.len().max(1)));
            let keyword = keyword.map(|word| word.clone().into_bytes());
            let keys: Vec<_> = Generator::keys().collect();
            let key = (kind == 1).then(|| keys[generator.below(keys.len())].to_vec());
            keyword.into_iter().chain(key).collect()
        }
    };
    let replaced = match generator.below(3) {
        0 => (at + some.len()).min(words.len()),
        _ => at,
    };
    words.splice(at..replaced, some);
}

/// What is announced is not reserved before it comes.
#[test]
fn announced_lengths_take_no_memory() {
    let server = Ours::start(1);
    let before = resident_bytes();
    let peers: Vec<_> = (0..200)
        .map(|peer| {
            let mut client = server.connect();
            let request: &[u8] = match peer % 3 {
                0 => b"*2\r\n$3\r\nGET\r\n$536870912\r\n",
                1 => b"*1000000\r\n$3\r\nDEL\r\n",
                _ => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nbeginning",
            };
            client.send_bytes(request);
            client
        })
        .collect();
    let mut other = server.connect();
    assert_eq!(other.run("PING").text(), b"PONG");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB for nothing", grown >> 20);
    drop(peers);
    assert_eq!(other.run("PING").text(), b"PONG");
}

/// A client that asks for much and reads nothing: what waits for it stays small, others are served, and when it reads it gets all replies in
/// order, to what it sent meanwhile too.
#[test]
fn replies_that_nobody_reads_are_not_made() {
    const LARGE: usize = 1 << 20;
    const REPLIES: usize = 200;
    let server = Ours::start(1);
    let (mut slow, mut other) = (server.connect(), server.connect());
    let large = vec![b'v'; LARGE];
    assert_eq!(other.call(&[b"SET", b"large", &large]).text(), b"OK");
    slow.run("CLIENT SETNAME slow");
    for number in 0..REPLIES {
        slow.send_bytes(format!("GET large\r\nECHO {number}\r\n").as_bytes());
    }
    // Far more than its socket holds, and the end of it comes in pieces. It is read all the same, else this would wait for ever.
    let comment = "x".repeat(1000);
    for number in 0..20_000 {
        slow.send_bytes(format!("SET told {number}{comment}\r\n").as_bytes());
    }
    slow.send_bytes(b"STRLEN lar");
    let waits = |other: &mut Connection| {
        let list = other.run("CLIENT LIST");
        let list = String::from_utf8_lossy(list.text()).into_owned();
        let line = list.lines().find(|line| line.contains("name=slow"));
        let number = |name: &str| -> usize {
            let words = line.expect("it is connected").split(' ');
            let value = words.filter_map(|word| word.strip_prefix(name)).next();
            value.expect("a field").parse().expect("a number")
        };
        (number("omem="), number("qbuf="))
    };
    let all_read = |other: &mut Connection| waits(other).1 > 20_000_000;
    wait_until(|| all_read(&mut other));
    let (unsent, _) = waits(&mut other);
    assert!(unsent < 8 * LARGE, "{unsent} bytes of replies wait");
    assert_eq!(other.run("EXISTS told"), Reply::Line(b':', b"0".to_vec()));
    slow.send_bytes(b"ge\r\n");
    for number in 0..REPLIES {
        assert_eq!(slow.read().text().len(), LARGE);
        assert_eq!(slow.read().text(), number.to_string().as_bytes());
    }
    for _ in 0..20_000 {
        assert_eq!(slow.read().text(), b"OK");
    }
    assert_eq!(
        slow.read(),
        Reply::Line(b':', LARGE.to_string().into_bytes())
    );
    assert_eq!(slow.run("ECHO end").text(), b"end");
}

/// The same for one that has ended its side: it is answered before the connection ends.
#[test]
fn the_last_requests_of_a_slow_reader_are_answered() {
    let server = Ours::start(1);
    let mut other = server.connect();
    let large = vec![b'v'; 1 << 20];
    other.call(&[b"SET", b"large", &large]);
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    let requests = "GET large\r\n".repeat(50) + "SET last 1\r\n";
    stream.write_all(requests.as_bytes()).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("it can");
    std::thread::sleep(Duration::from_millis(50));
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).expect("all replies");
    assert_eq!(
        replies.len(),
        50 * ((1 << 20) + "$1048576\r\n\r\n".len()) + "+OK\r\n".len()
    );
    assert_eq!(other.run("GET last").text(), b"1");
    // One that goes without reading is forgotten.
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    stream.write_all(requests.as_bytes()).expect("it reads");
    drop(stream);
    wait_until(|| {
        let info = other.run("INFO clients");
        String::from_utf8_lossy(info.text()).contains("connected_clients:1\r\n")
    });
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it has not come true"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    let length = rng.below(3000);
    (0..length).map(|_| rng.next() as u8).collect()
}

/// Commands, some bytes of which are others.
fn spoiled_commands(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(20) + 1 {
        let value = vec![b'v'; rng.below(200) as usize];
        let lines: [&[&[u8]]; 6] = [
            &[b"SET", b"mine", &value],
            &[b"GET", b"mine"],
            &[b"MULTI"],
            &[b"EXEC"],
            &[b"HELLO", b"3"],
            &[b"INCRBY", b"counter", b"12"],
        ];
        encode_command(&mut bytes, lines[rng.below(6) as usize]);
    }
    for _ in 0..rng.below(4) {
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(3) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes.insert(at, b"\r\n$*:+-0123456789"[rng.below(17) as usize]),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

/// Headers that announce anything.
fn headers(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(10) + 1 {
        let kind = b"*$*$%~>_,(#|"[rng.below(12) as usize] as char;
        let number = match rng.below(6) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => 1_i64 << rng.below(40),
            3 => 0,
            _ => rng.below(20) as i64 - 3,
        };
        // The same number in another spelling, too.
        let zeros = "0".repeat(rng.below(3) as usize * 20);
        bytes.extend_from_slice(format!("{kind}{zeros}{number}\r\n").as_bytes());
    }
    bytes
}

fn inline(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(2000) {
        bytes.push(b"GETST \"'\\x0\t\r\nkey="[rng.below(18) as usize]);
    }
    if rng.below(5) == 0 {
        bytes.extend(std::iter::repeat_n(b'x', 100_000));
    }
    bytes
}

fn send_in_pieces(mut stream: &TcpStream, bytes: &[u8], rng: &mut Rng) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = (rng.below(rest.len() as u64) + 1) as usize;
        // The server may have closed the connection with good reason.
        if stream.write_all(&rest[..length]).is_err() {
            return;
        }
        rest = &rest[length..];
    }
}

/// Reads what there is, but does not wait for what may never come.
fn drain(mut stream: &TcpStream) {
    let patience = Some(Duration::from_millis(5));
    stream.set_read_timeout(patience).expect("a socket option");
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

/// The memory that this process, and so the server, has.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a figure") * 1024
}

/// A connection is not harmed by what came before it on the same slot of the worker.
#[test]
fn a_new_connection_begins_anew() {
    let server = Ours::start(1);
    for _ in 0..50 {
        let mut client: Connection = server.connect();
        assert_eq!(
            client.run("CLIENT GETNAME"),
            Reply::Line(b'$', b"-1".to_vec())
        );
        client.run("CLIENT SETNAME somebody");
        client.run("SELECT 3");
        client.run("WATCH k");
        client.run("MULTI");
        // The beginning of a request stays behind.
        client.send_bytes(b"*2\r\n$3\r\nGET\r\n$10\r\nab");
    }
}
