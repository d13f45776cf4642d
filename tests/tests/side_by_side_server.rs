//! Random commands of several clients at once, sent over TCP to DJR and to a real server in the same order: the replies must be the same.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length (millions are fine). Real servers: see `djr_tests::reference::binaries`.

use std::collections::VecDeque;

use djr_engine::Rng;
use djr_engine::spec::Group;
use djr_tests::comparison::{equal, is_different_on_purpose, known_tokens, line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::random_commands::{Generator, Words};
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

/// How many commands are run in all.
const COMMANDS: u64 = 20_000;
const CLIENTS: usize = 5;
/// A history this long is shown with a difference.
const SHOWN: usize = 200;

/// Commands of the session and the server that are drawn, too; the others tell of times, addresses and settings, or end something.
const SESSION: &[&str] = &[
    "ping",
    "echo",
    "select",
    "reset",
    "hello",
    "auth",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "client|setname",
    "client|getname",
    "client|no-evict",
    "client|no-touch",
    "client|help",
    "publish",
    "spublish",
    "pubsub|channels",
    "pubsub|numpat",
    "pubsub|numsub",
    "pubsub|shardchannels",
    "pubsub|shardnumsub",
    "command|getkeys",
    "command|getkeysandflags",
    "command|count",
    "command|list",
    "command|info",
    "command|docs",
];

/// The families of commands that hold data.
const DATA: &[Group] = &[
    Group::Bitmap,
    Group::Generic,
    Group::Geo,
    Group::Hash,
    Group::HyperLogLog,
    Group::List,
    Group::Set,
    Group::SortedSet,
    Group::Stream,
    Group::String,
];

#[test]
fn the_server_answers_several_clients_as_real_servers_do() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").unwrap_or(COMMANDS);
    let binaries = binaries();
    for (index, binary) in binaries.iter().enumerate() {
        let reference = Reference::start(binary);
        let share = commands / binaries.len() as u64;
        println!("{}: seed {seed}, {share} commands", reference.version);
        Comparison::new(reference, seed + index as u64).run(share);
    }
}

struct Comparison {
    ours: Ours,
    reference: Reference,
    clients: Vec<Client>,
    generator: Generator<'static>,
    rng: Rng,
    seed: u64,
    history: VecDeque<(usize, Words, String)>,
    errors: u64,
    transactions: u64,
    aborted: u64,
}

/// A client of both servers.
struct Client {
    ours: Connection,
    theirs: Connection,
    /// The full names of the commands that MULTI has queued.
    queue: Option<Vec<String>>,
}

impl Comparison {
    fn new(reference: Reference, seed: u64) -> Self {
        let ours = Ours::start(2);
        let clients = (0..CLIENTS)
            .map(|_| Client {
                ours: ours.connect(),
                theirs: reference.connect(),
                queue: None,
            })
            .collect();
        // So that dumps can be compared.
        let uncompressed: [&[u8]; 4] = [b"CONFIG", b"SET", b"rdbcompression", b"no"];
        ours.connect().call(&uncompressed);
        reference.connect().call(&uncompressed);
        let mut known = known_tokens(&mut reference.connect());
        let registry = djr_server::registry();
        known.retain(|name, _| {
            let Some(command) = registry.by_full_name(name.as_bytes()) else {
                return false;
            };
            // Those that hold data; the lists of the others.
            let is_data = DATA.contains(&command.spec.group);
            // For Valkey an LTRIM that leaves all where it is changes nothing, and watchers are not told; Redis does tell them, and so do we.
            let tells_more = reference.is_valkey() && name == "ltrim";
            is_data && name != "migrate" && !tells_more
                || name.starts_with("flush")
                || name == "dbsize"
                || name == "swapdb"
                || SESSION.contains(&name.as_str())
        });
        Self {
            ours,
            clients,
            generator: Generator::new(registry, seed, known),
            rng: Rng::new(!seed),
            seed,
            reference,
            history: VecDeque::new(),
            errors: 0,
            transactions: 0,
            aborted: 0,
        }
    }

    fn run(&mut self, commands: u64) {
        for _ in 0..commands {
            let client = self.rng.below(CLIENTS as u64) as usize;
            let (name, words) = self.draw(client);
            if !self.differs_on_purpose(client, &name, &words) {
                self.step(client, &name, &words);
            }
        }
        self.compare_keyspaces();
        println!(
            "{}: {commands} commands, {} refused, {} transactions, {} of them given up",
            self.reference.version, self.errors, self.transactions, self.aborted
        );
        assert!(self.errors * 2 < commands, "most commands do something");
        assert!(self.errors * 50 > commands, "and some are wrong");
        assert!(
            commands < 5000 || self.transactions > 20,
            "there are transactions"
        );
        assert!(commands < 5000 || self.aborted > 5, "some fail");
    }

    /// A command, more often one for a transaction than there would be by chance.
    fn draw(&mut self, client: usize) -> (String, Words) {
        let in_multi = self.clients[client].queue.is_some();
        let name = match self.rng.below(100) {
            0..5 => "multi",
            5..20 if in_multi => "exec",
            20..22 if in_multi => "discard",
            22..30 if !in_multi => {
                let count = Generator::keys().count() as u64;
                let key = Generator::keys().nth(self.rng.below(count) as usize);
                return (
                    "watch".into(),
                    vec![b"WATCH".to_vec(), key.unwrap_or_default().to_vec()],
                );
            }
            30..33 => {
                let db = self.rng.below(3).to_string().into_bytes();
                return ("select".into(), vec![b"SELECT".to_vec(), db]);
            }
            33..36 if in_multi => {
                let waiting = self.generator.draw_waiting();
                return waiting.unwrap_or_else(|| self.generator.draw());
            }
            _ => return self.generator.draw(),
        };
        (name.into(), vec![name.as_bytes().to_vec()])
    }

    fn differs_on_purpose(&self, client: usize, name: &str, words: &Words) -> bool {
        let valkey = self.reference.is_valkey();
        let old = self.reference.major() < 8;
        let in_multi = self.clients[client].queue.is_some();
        is_different_on_purpose(&self.reference, name, words)
            || match name {
                // Valkey: they spoil the transaction, and the error names the command.
                "multi" | "watch" => valkey && in_multi,
                // Words of help, the commands that there are, what is said about them.
                "client|help" | "command|count" | "command|list" | "command|info"
                | "command|docs" => {
                    let no_subcommand = words.len() < 2;
                    !no_subcommand
                }
                // Redis 7.0 counts the arguments before it looks at the command.
                "command|getkeys" | "command|getkeysandflags" => old,
                // The digits depend on whether SORT has unpacked it there.
                "zscan" => true,
                // Redis 8 never answers an EXEC with a failed AUTH in it.
                "auth" | "hello" if in_multi => true,
                // Newer: the name is not taken if something behind it is wrong.
                "hello" => old,
                _ => false,
            }
    }

    /// Runs one command on both sides.
    fn step(&mut self, client: usize, name: &str, words: &Words) {
        if name == "dbsize" {
            // Real servers count a key past its deadline until somebody looks.
            let mut look: Words = vec![b"EXISTS".to_vec()];
            look.extend(Generator::keys().map(<[u8]>::to_vec));
            self.step(client, "exists", &look);
        }
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let both = &mut self.clients[client];
        both.theirs.send(&slices);
        both.ours.send(&slices);
        let ours = both.ours.read_or_silence();
        let theirs = both.theirs.read_or_silence();
        self.errors += u64::from(ours.is_error());
        if self.history.len() == SHOWN {
            self.history.pop_front();
        }
        self.history
            .push_back((client, words.clone(), ours.to_string()));
        if !self.same(client, name, &ours, &theirs) {
            self.report(client, words, &ours, &theirs);
        }
        self.follow(client, name, &ours);
    }

    fn same(&self, client: usize, name: &str, ours: &Reply, theirs: &Reply) -> bool {
        match (name, &self.clients[client].queue) {
            ("exec", Some(queue)) => {
                let (our_items, their_items) = (ours.items(), theirs.items());
                if our_items.len() != queue.len() || their_items.len() != queue.len() {
                    return ours == theirs;
                }
                queue
                    .iter()
                    .zip(our_items.iter().zip(their_items))
                    .all(|(name, (ours, theirs))| self.same_single(name, ours, theirs))
            }
            _ => self.same_single(name, ours, theirs),
        }
    }

    fn same_single(&self, name: &str, ours: &Reply, theirs: &Reply) -> bool {
        match name {
            // Version, id, modules.
            "hello" => ours == theirs || (!ours.is_error() && !theirs.is_error()),
            // SORT unpacks a sorted set there, a vain LINSERT a list. The comparison with the engine looks more closely.
            "object|encoding"
                if ours.text() == b"listpack"
                    && matches!(theirs.text(), b"skiplist" | b"quicklist") =>
            {
                true
            }
            _ => equal(&self.reference, name, ours, theirs),
        }
    }

    /// Keeps track of the client's transaction.
    fn follow(&mut self, client: usize, name: &str, ours: &Reply) {
        let queue = &mut self.clients[client].queue;
        match name {
            "multi" if !ours.is_error() => *queue = Some(Vec::new()),
            "exec" if queue.is_some() => {
                self.transactions += 1;
                self.aborted += u64::from(!matches!(ours, Reply::Many(..)));
                *queue = None;
            }
            "discard" | "reset" if !ours.is_error() => *queue = None,
            _ => {
                if let Some(queue) = queue
                    && *ours == Reply::Line(b'+', b"QUEUED".to_vec())
                {
                    queue.push(name.into());
                }
            }
        }
    }

    /// Looks at everything that is on either side.
    fn compare_keyspaces(&mut self) {
        let mut client = Client {
            ours: self.ours.connect(),
            theirs: self.reference.connect(),
            queue: None,
        };
        let first = client.ours.run("DBSIZE");
        println!("{first} keys in db 0");
        self.clients.push(client);
        let client = CLIENTS;
        for db in 0..16 {
            let words = |line: &str| -> Words {
                line.split(' ')
                    .map(|word| word.as_bytes().to_vec())
                    .collect()
            };
            self.step(client, "select", &words(&format!("SELECT {db}")));
            self.step(client, "keys", &words("KEYS *"));
            self.step(client, "scan", &words("SCAN 0 COUNT 10000"));
            for key in Generator::keys() {
                for line in ["type", "get", "hgetall", "pexpiretime", "object encoding"] {
                    let mut words = words(line);
                    words.push(key.to_vec());
                    let name = line.replace(' ', "|");
                    if !is_different_on_purpose(&self.reference, &name, &words) {
                        self.step(client, &name, &words);
                    }
                }
            }
        }
        self.clients.pop();
    }

    fn report(&self, client: usize, words: &Words, ours: &Reply, theirs: &Reply) -> ! {
        for (client, words, reply) in &self.history {
            println!("{client}: {}   -> {reply}", line(words));
        }
        panic!(
            "{}, seed {}, client {client}: {}\n  ours:   {ours}\n  theirs: {theirs}",
            self.reference.version,
            self.seed,
            line(words),
        );
    }
}
