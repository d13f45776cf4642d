//! Clients that wait, with random commands, on DJR and on real servers: who is served when, and with what, must be the same.
//!
//! After each command it is compared who still waits, and what those got who do not any more. `DJR_SEED` repeats a run, `DJR_COMMANDS`
//! sets its length.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use djr_engine::Rng;
use djr_tests::comparison::{number, seed};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};

const COMMANDS: u64 = 1500;
const CLIENTS: usize = 6;
const KEYS: &[&str] = &["a", "b", "c", "d"];
/// All waits are ended after so many commands.
const EPISODE: u64 = 100;
const SHOWN: usize = 40;
/// So long a server has for serving everyone.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn clients_are_served_in_the_order_of_real_servers() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").unwrap_or(COMMANDS);
    for binary in &binaries() {
        let reference = Reference::start(binary);
        // Before 7.2 (8, Valkey having begun there) others were served after a transaction, and moves did not go on.
        if reference.major() < 8 {
            continue;
        }
        for threads in [1, 3] {
            println!("{}: seed {seed}, {threads} workers", reference.version);
            let ours = Ours::start(threads);
            let side = |connect: &dyn Fn() -> Connection| Side::new(connect);
            let sides = [side(&|| ours.connect()), side(&|| reference.connect())];
            Comparison {
                sides,
                rng: Rng::new(seed),
                history: VecDeque::new(),
            }
            .run(commands);
        }
    }
}

/// A server, and its clients.
struct Side {
    clients: Vec<Connection>,
    ids: Vec<i64>,
    watcher: Connection,
}

struct Comparison {
    sides: [Side; 2],
    rng: Rng,
    history: VecDeque<String>,
}

impl Side {
    fn new(connect: &dyn Fn() -> Connection) -> Self {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
        let id = |client: &mut Connection| client.run("CLIENT ID").integer().expect("an id");
        let ids = clients.iter_mut().map(id).collect();
        let mut watcher = connect();
        watcher.run("FLUSHALL");
        Self {
            clients,
            ids,
            watcher,
        }
    }

    /// Waits until a client has been answered, or waits.
    fn await_outcome(&mut self, client: usize) {
        let began = Instant::now();
        let is_answered = |side: &Self| {
            let stream = side.clients[client].stream();
            stream.set_nonblocking(true).expect("a socket option");
            let found = stream.peek(&mut [0]).is_ok();
            stream.set_nonblocking(false).expect("a socket option");
            found
        };
        while !is_answered(self) && !self.waiting().contains(&client) {
            assert!(began.elapsed() < PATIENCE, "neither a reply nor a wait");
        }
    }

    /// Which of the clients wait.
    fn waiting(&mut self) -> BTreeSet<usize> {
        let list = self.watcher.run("CLIENT LIST");
        let list = String::from_utf8_lossy(list.text()).into_owned();
        let field = |line: &str, name: &str| {
            let fields = line.split(' ').filter_map(|field| field.split_once('='));
            let mut named = fields.filter(|(field, _)| *field == name);
            named
                .next()
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default()
        };
        list.lines()
            .filter(|line| field(line, "flags") == "b")
            .filter_map(|line| {
                let id = field(line, "id").parse().ok();
                self.ids.iter().position(|known| Some(*known) == id)
            })
            .collect()
    }
}

impl Comparison {
    fn run(mut self, commands: u64) {
        let mut waiting = BTreeSet::new();
        for command in 1..=commands {
            let idle: Vec<_> = (0..CLIENTS)
                .filter(|client| !waiting.contains(client))
                .collect();
            let mut sent = None;
            if command % EPISODE == 0 || idle.is_empty() {
                let chosen = waiting.iter().copied().collect::<Vec<_>>();
                for client in chosen {
                    for side in &mut self.sides {
                        let unblock = format!("CLIENT UNBLOCK {} ERROR", side.ids[client]);
                        assert_eq!(side.watcher.run(&unblock).integer(), Some(1));
                    }
                }
                self.note("all unblocked".into());
            } else {
                let client = idle[self.below(idle.len())];
                let (lines, replies) = self.lines();
                self.note(format!(
                    "{client}: {}",
                    lines.trim_end().replace("\r\n", " | ")
                ));
                for side in &mut self.sides {
                    side.clients[client].send_bytes(lines.as_bytes());
                }
                match replies {
                    Some(replies) => (0..replies).for_each(|_| self.compare_reply(client)),
                    None => sent = Some(client),
                }
            }
            if let Some(client) = sent {
                self.sides
                    .iter_mut()
                    .for_each(|side| side.await_outcome(client));
            }
            // Who does not wait any more has a reply; who has begun to, none.
            let before: BTreeSet<_> = waiting.iter().copied().chain(sent).collect();
            waiting = self.settled();
            for client in before.difference(&waiting) {
                self.compare_reply(*client);
            }
            for key in KEYS {
                let read = format!("LRANGE {key} 0 -1");
                let [ours, theirs] = self.sides.each_mut().map(|side| side.watcher.run(&read));
                assert_eq!(ours, theirs, "{read}\n{}", self.shown());
            }
        }
    }

    /// Waits until the same clients wait on both servers, and nothing is under way any more.
    fn settled(&mut self) -> BTreeSet<usize> {
        let began = Instant::now();
        loop {
            let [ours, theirs] = self.sides.each_mut().map(Side::waiting);
            if ours == theirs {
                return ours;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "ours wait: {ours:?}, theirs: {theirs:?}\n{}",
                self.shown()
            );
        }
    }

    fn compare_reply(&mut self, client: usize) {
        let [ours, theirs] = self
            .sides
            .each_mut()
            .map(|side| side.clients[client].read());
        self.note(format!("    {client} gets {theirs}"));
        assert_eq!(ours, theirs, "client {client}\n{}", self.shown());
    }

    fn note(&mut self, line: String) {
        self.history.push_back(line);
        if self.history.len() > SHOWN {
            self.history.pop_front();
        }
    }

    fn shown(&self) -> String {
        self.history
            .iter()
            .fold(String::new(), |all, line| all + line + "\n")
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A random command, or several that belong together, and how many replies there will be; `None`: perhaps none for now.
    fn lines(&mut self) -> (String, Option<usize>) {
        match self.below(20) {
            0..=8 => (format!("{}\r\n", self.blocking()), None),
            9..=16 => (format!("{}\r\n", self.plain()), Some(1)),
            17 | 18 => {
                let count = 1 + self.below(4);
                let mut lines = String::from("MULTI\r\n");
                for _ in 0..count {
                    let command = match self.below(4) {
                        0 => self.blocking(),
                        _ => self.plain(),
                    };
                    lines += &format!("{command}\r\n");
                }
                (lines + "EXEC\r\n", Some(count + 2))
            }
            _ => {
                let (one, other) = (self.pick(KEYS), self.pick(KEYS));
                let script =
                    "redis.pcall('rpush', KEYS[1], 1) return redis.pcall('lpush', KEYS[2], 2, 3)";
                (format!("EVAL \"{script}\" 2 {one} {other}\r\n"), Some(1))
            }
        }
    }

    fn blocking(&mut self) -> String {
        let (key, other, third) = (self.pick(KEYS), self.pick(KEYS), self.pick(KEYS));
        let (from, to) = (self.pick(&["LEFT", "RIGHT"]), self.pick(&["LEFT", "RIGHT"]));
        let pop = self.pick(&["BLPOP", "BRPOP"]);
        match self.below(7) {
            0 => format!("{pop} {key} 0"),
            1 => format!("{pop} {key} {other} 0"),
            2 => format!("{pop} {key} {other} {third} 0"),
            3 => format!("BLMOVE {key} {other} {from} {to} 0"),
            4 => format!("BRPOPLPUSH {key} {other} 0"),
            5 => format!("BLMPOP 0 1 {key} {from}"),
            _ => format!(
                "BLMPOP 0 2 {key} {other} {from} COUNT {}",
                1 + self.below(3)
            ),
        }
    }

    fn plain(&mut self) -> String {
        let (key, other) = (self.pick(KEYS), self.pick(KEYS));
        let (from, to) = (self.pick(&["LEFT", "RIGHT"]), self.pick(&["LEFT", "RIGHT"]));
        let push = self.pick(&["LPUSH", "RPUSH"]);
        let number = self.below(100);
        match self.below(16) {
            0..=5 => format!("{push} {key} {number}"),
            6 | 7 => format!("{push} {key} {number} x y"),
            8 => format!("LPOP {key}"),
            9 => format!("DEL {key}"),
            // A key of another type.
            10 => format!("SET {key} {number}"),
            11 => format!("RENAME {key} {other}"),
            12 => format!("COPY {key} {other} REPLACE"),
            13 => format!("LMOVE {key} {other} {from} {to}"),
            14 => format!("LTRIM {key} 1 -1"),
            _ => format!("MSET {key} 1 {other} 2"),
        }
    }
}
