//! What happens to a log in one history: made once with the real engine, then played to many disks.

use std::collections::{BTreeMap, BTreeSet};

use djr_engine::Rng;
use djr_engine::testkit::{Bench, KeyState, registry};
use djr_storage::keyspace::Footprint;
use djr_tests::comparison::known_tokens;
use djr_tests::ours::Ours;
use djr_tests::random_commands::Generator;

/// The option words of every command, as our own server tells them.
pub(crate) type Tokens = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn tokens() -> Tokens {
    known_tokens(&mut Ours::start(1).connect())
}

/// A command with its db.
pub(crate) type Command = (u32, Vec<Vec<u8>>);

/// One thing that happens.
pub(crate) enum Event {
    /// Something is logged, at a time in milliseconds.
    Batch { db: u32, bytes: Vec<u8>, at: i64 },
    /// The end of a worker's turn.
    Flush,
    /// A rewrite's cut; what its base is to hold.
    Cut(Vec<Command>),
    /// The base is written and published.
    Publish,
    /// The log is switched off, and on again.
    Anew,
}

/// Events, and the state after each batch.
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    /// The keys after so many batches, and when.
    pub(crate) states: Vec<(Vec<KeyState>, i64)>,
}

const COMMANDS: usize = 30;

impl History {
    pub(crate) fn new(seed: u64, tokens: &Tokens) -> Self {
        let mut rng = Rng::new(seed);
        let mut generator = Generator::new(registry(), seed, tokens.clone());
        let mut bench = Bench::new();
        let mut history = Self {
            events: Vec::new(),
            states: vec![(contents(&bench, bench.now), bench.now)],
        };
        let mut is_cut = false;
        for _ in 0..COMMANDS {
            bench.now += rng.below(400) as i64;
            bench.shell.db = [0, 0, 1, 12][rng.below(4) as usize];
            let size = if rng.below(4) == 0 {
                1 + rng.below(4)
            } else {
                0
            };
            if size > 0 {
                bench.line("MULTI");
            }
            for _ in 0..size.max(1) {
                if size > 0 && rng.below(5) == 0 {
                    bench.shell.db = rng.below(3) as u32;
                }
                let (_, words) = generator.draw();
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                bench.run(&words);
            }
            if size > 0 {
                bench.line("EXEC");
            }
            for (db, bytes) in std::mem::take(&mut bench.shell.log.0) {
                let at = bench.now;
                history.events.push(Event::Batch { db, bytes, at });
                // One command may log several: then nobody sees what is between them, but a crash may.
                history.states.push((Vec::new(), at));
            }
            if let Some((state, at)) = history.states.last_mut() {
                *state = contents(&bench, bench.now);
                *at = bench.now;
            }
            match rng.below(12) {
                0 if !is_cut => {
                    history.events.push(Event::Cut(base(&bench)));
                    is_cut = true;
                }
                1 | 2 if is_cut => {
                    history.events.push(Event::Publish);
                    is_cut = false;
                }
                3 if !is_cut && rng.below(3) == 0 => {
                    history.events.push(Event::Anew);
                    // What is logged from here on is of use only with a base.
                    history.events.push(Event::Cut(base(&bench)));
                    is_cut = true;
                }
                4 | 5 => {}
                _ => history.events.push(Event::Flush),
            }
        }
        history.events.push(Event::Flush);
        history
    }
}

/// The keys, without how they are kept: a rewrite may change that.
pub(crate) fn contents(bench: &Bench, now: i64) -> Vec<KeyState> {
    let mut keys = bench.contents(now);
    keys.iter_mut().for_each(|key| key.encoding = None);
    keys
}

/// What a rewrite would write now.
fn base(bench: &Bench) -> Vec<Command> {
    let mut commands = Vec::new();
    let access = bench.engine.keyspace.open(Footprint::ALL, bench.now);
    for db in 0..bench.engine.keyspace.dbs() {
        access.db(db).for_each(|entry| {
            entry.rewrite(&mut |words| {
                commands.push((db, words.iter().map(|word| word.to_vec()).collect()));
            });
        });
    }
    commands
}
