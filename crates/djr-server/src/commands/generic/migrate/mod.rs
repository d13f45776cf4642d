//! MIGRATE host port key|"" destination-db timeout [COPY] [REPLACE] [AUTH password|AUTH2 username password] [KEYS key [key ...]]
//!
//! ```text
//! dump the keys, watch them ─► the target's thread sends them ─► unchanged? remove them, answer
//!           ▲                                                 └► changed meanwhile: once more
//!           └───────────────────────────────────────────────────────┘
//! ```
//!
//! Redis stands still until the target has answered. Here only the client waits: the worker serves the others, and nothing is locked. So a key
//! may be changed on its way; it is removed only as what the target has got, checked under its lock.

mod target;

use std::sync::Arc;
use std::time::Duration;

use djr_engine::blocking::Waiter;
use djr_engine::engine::log_expiry;
use djr_engine::registry::Resolved;
use djr_engine::spec::{
    Access, Arg, BeginSearch, CommandSpec, FindKeys, Flags, Group, KeySpec, Keys, Run,
};
use djr_engine::transaction::Queue;
use djr_engine::{Args, CommandError, Engine, Executor, OwnedRequest, Reply, Shell};
use djr_protocol::RespVersion;
use djr_storage::keyspace::WatchFlag;
use djr_storage::rdb;

pub(crate) use target::{Migrations, Outcome};

use super::wait::waiter;
use crate::commands::{Context, Result};
use crate::session::{Watch, Watches, WorkerShell};
use crate::worker::{Core, Ended};

/// As often a key is sent that is changed on its way.
const ROUNDS_MAX: u32 = 16;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "migrate",
    since: "2.6.0",
    group: Group::Generic,
    summary: "Moves keys to another server: dumps them, restores them there, and removes them here.",
    complexity: "O(n) for the n bytes of the values, which are dumped, sent and restored",
    syntax: &[
        Arg::string("host"),
        Arg::integer("port"),
        Arg::one_of(
            "key-selector",
            &[Arg::key("key", ACCESS), Arg::token("empty-string", "")],
        ),
        Arg::integer("destination-db"),
        Arg::integer("timeout"),
        Arg::token("copy", "COPY").optional(),
        Arg::token("replace", "REPLACE").optional(),
        Arg::one_of(
            "authentication",
            &[
                Arg::string("auth").after("AUTH"),
                Arg::block("auth2", &[Arg::string("username"), Arg::string("password")])
                    .after("AUTH2"),
            ],
        )
        .optional(),
        Arg::key("keys", ACCESS).after("KEYS").optional().multiple(),
    ],
    flags: Flags::WRITE,
    acl: &["dangerous"],
    tips: &["nondeterministic_output"],
    keys: Keys::Explicit(&[
        KeySpec {
            begin: BeginSearch::Index(3),
            find: FindKeys::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
            access: ACCESS,
        },
        KeySpec {
            begin: BeginSearch::Keyword {
                keyword: "KEYS",
                start_from: -2,
            },
            find: FindKeys::Range {
                last: -1,
                step: 1,
                limit: 0,
            },
            access: ACCESS.with(Access::INCOMPLETE),
        },
    ]),
    find_keys: Some(find_keys),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

const ACCESS: Access = Access::RW.with(Access::ACCESS).with(Access::DELETE);

/// One key, or those behind `KEYS`, which is looked for where options are.
fn find_keys(args: &Args<'_>, found: &mut dyn FnMut(usize, Access)) {
    let mut index = 6;
    while index < args.len() {
        index += match () {
            () if args.is(index, "AUTH") => 1,
            () if args.is(index, "AUTH2") => 2,
            () if args.is(index, "KEYS") => {
                if args.get(3).is_empty() {
                    (index + 1..args.len()).for_each(|key| found(key, ACCESS));
                }
                return;
            }
            () => 0,
        };
        index += 1;
    }
    found(3, ACCESS);
}

/// Keys on their way to another server.
pub(crate) struct Migration {
    waiter: Arc<Waiter>,
    address: (String, u16),
    db_here: u32,
    db_there: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    /// What `AUTH` gets: nothing, a password, or a user and a password.
    auth: Vec<Box<[u8]>>,
    /// Those to be sent now.
    keys: Vec<KeyOnItsWay>,
    outcome: Option<Outcome>,
    rounds: u32,
    /// The first error so far.
    error: Option<String>,
}

struct KeyOnItsWay {
    watch: Watch,
    /// Tells whether it has changed since it was dumped.
    flag: WatchFlag,
    payload: Vec<u8>,
    /// Milliseconds; 0 is none.
    ttl: i64,
    /// The target has it already, as it was before.
    is_resent: bool,
}

/// The arguments.
struct Options<'a> {
    address: (String, u16),
    db: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    auth: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> std::result::Result<Self, CommandError> {
        let (mut copy, mut replace) = (false, false);
        let mut auth = Vec::new();
        let mut keys = vec![args.get(3)];
        let mut index = 6;
        while index < args.len() {
            let more = args.len() - 1 - index;
            match () {
                () if args.is(index, "COPY") => copy = true,
                () if args.is(index, "REPLACE") => replace = true,
                () if args.is(index, "AUTH") && more >= 1 => {
                    auth = vec![args.get(index + 1)];
                    index += 1;
                }
                () if args.is(index, "AUTH2") && more >= 2 => {
                    auth = vec![args.get(index + 1), args.get(index + 2)];
                    index += 2;
                }
                () if args.is(index, "KEYS") => {
                    if !args.get(3).is_empty() {
                        return Err(CommandError::text(
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                        ));
                    }
                    keys = args.from(index + 1).collect();
                    break;
                }
                () => return Err(CommandError::Syntax),
            }
            index += 1;
        }
        let timeout = args.integer(5)?;
        let db = args.integer(4)?;
        let port = std::str::from_utf8(args.get(2)).ok();
        Ok(Self {
            address: (
                String::from_utf8_lossy(args.get(1)).into_owned(),
                // What is no port is one that nobody listens on.
                port.and_then(|port| port.parse().ok()).unwrap_or(0),
            ),
            db,
            timeout: Duration::from_millis(match u64::try_from(timeout) {
                Ok(timeout) if timeout > 0 => timeout,
                _ => 1000,
            }),
            copy,
            replace,
            auth,
            keys,
        })
    }
}

pub(super) fn run(
    context: &mut Context<'_>,
    executor: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let options = Options::parse(args)?;
    let db = context.session.db;
    let mut keys = Vec::new();
    for key in &options.keys {
        keys.extend(take_along(context.core, executor, db, key)?);
    }
    let told = &executor.events;
    told.deliver(|event| context.core.notify(event));
    if keys.is_empty() {
        reply.simple("NOKEY");
        return Ok(());
    }
    let Some(waiter) = waiter(context, args, reply, None, 0) else {
        return Ok(());
    };
    let migration = Box::new(Migration {
        waiter: waiter.clone(),
        address: options.address,
        db_here: db,
        db_there: options.db,
        timeout: options.timeout,
        copy: options.copy,
        replace: options.replace,
        auth: options.auth.iter().map(|word| Box::from(*word)).collect(),
        keys,
        outcome: None,
        rounds: 0,
        error: None,
    });
    match context.core.send_migration(migration) {
        Ok(()) => {
            context.core.hold(context.session, waiter);
            Ok(())
        }
        Err(()) => Err(TOO_MANY),
    }
}

const TOO_MANY: CommandError =
    CommandError::text("ERR MIGRATE: too many keys are on their way to other servers");

/// Dumps a key and watches it. `None`: there is none.
fn take_along(
    core: &mut Core,
    executor: &mut Executor,
    db: u32,
    bytes: &[u8],
) -> std::result::Result<Option<KeyOnItsWay>, CommandError> {
    let shared = core.shared.clone();
    let (engine, now) = (&shared.engine, core.now);
    let key = engine.keyspace.key(bytes);
    let mut access = engine.open(engine.keyspace.footprint(key.hash), now)?;
    let found = access.db(db).get(key).map(|entry| {
        let ttl = entry.expire_at().map_or(0, |at| (at - now).max(1));
        let compress = engine.settings.rdb_compression.get() != 0;
        (rdb::dump(entry.value(), now, compress), ttl)
    });
    let flag = WatchFlag::new();
    if found.is_some() {
        access.db_mut(db).watch(key, &flag);
    }
    access.take_expired(&mut |db, expired| {
        log_expiry(&mut core.log, db, expired);
        let wanted = engine.settings.notify();
        executor.events.push_expired(wanted, db, expired);
    });
    Ok(found.map(|(payload, ttl)| KeyOnItsWay {
        watch: Watch {
            db,
            key: bytes.into(),
            was_expired: false,
        },
        flag,
        payload,
        ttl,
        is_resent: false,
    }))
}

impl Core {
    fn send_migration(&mut self, migration: Box<Migration>) -> std::result::Result<(), ()> {
        let mailbox = self.shared.workers[self.index].mailbox.clone();
        let sent = self.shared.migrations.send(migration, mailbox);
        sent.map_err(|mut migration| {
            for key in std::mem::take(&mut migration.keys) {
                self.forget_watches(Watches {
                    keys: vec![key.watch],
                    flag: key.flag,
                });
            }
        })
    }

    /// Goes on with a migration whose target has answered. Gives it back if a script keeps the keyspace: then later.
    pub(crate) fn migrated(
        &mut self,
        executor: &mut Executor,
        mut migration: Migration,
    ) -> Option<Migration> {
        if self.shared.engine.scripts.running().is_busy() {
            return Some(migration);
        }
        let (accepted, error) = match migration.outcome.take()? {
            Outcome::Answered { accepted, error } => (accepted, error),
            Outcome::Failed(error) => (Vec::new(), Some(error.to_owned())),
        };
        migration.error = migration.error.take().or(error);
        let keys = std::mem::take(&mut migration.keys);
        let accepted = accepted.into_iter().chain(std::iter::repeat(false));
        for (key, is_there) in keys.into_iter().zip(accepted) {
            let is_done = !is_there
                || migration.copy
                || self.remove_migrated(executor, migration.db_here, &key);
            let (db, bytes) = (key.watch.db, key.watch.key.clone());
            self.forget_watches(Watches {
                keys: vec![key.watch],
                flag: key.flag,
            });
            if !is_done && let Ok(Some(mut key)) = take_along(self, executor, db, &bytes) {
                key.is_resent = true;
                migration.keys.push(key);
            }
        }
        migration.rounds += 1;
        if !migration.keys.is_empty() {
            if migration.rounds < ROUNDS_MAX {
                let waiter = migration.waiter.clone();
                if self.send_migration(Box::new(migration)).is_err() {
                    self.answer_migration(waiter, Some(TOO_MANY));
                }
                return None;
            }
            for key in std::mem::take(&mut migration.keys) {
                self.forget_watches(Watches {
                    keys: vec![key.watch],
                    flag: key.flag,
                });
            }
            migration.error.get_or_insert_with(|| {
                "ERR MIGRATE: a key changes faster than it can be sent; it is still here".into()
            });
        }
        let error = migration.error.take().map(CommandError::format);
        self.answer_migration(migration.waiter, error);
        None
    }

    fn answer_migration(&mut self, waiter: Arc<Waiter>, error: Option<CommandError>) {
        if waiter.end() {
            let mut bytes = Vec::new();
            let mut reply = Reply::new(&mut bytes, waiter.version());
            match &error {
                Some(error) => reply.error(&error.to_string()),
                None => reply.ok(),
            }
            let ended = Ended::with_reply(waiter, bytes, error);
            self.answer(ended);
        }
    }

    /// Removes a key that the target has, if it is still as it was sent. Returns whether it was.
    fn remove_migrated(&mut self, executor: &mut Executor, db: u32, key: &KeyOnItsWay) -> bool {
        let shared = self.shared.clone();
        let engine: &Engine = &shared.engine;
        let request = OwnedRequest::from_args([&b"DEL"[..], &key.watch.key]);
        let args = request.args();
        let Resolved::Command(command) = engine.registry.declared().resolve(&args) else {
            return true;
        };
        let mut queue = Queue::default();
        queue.push(command, &args);
        let hash = engine.keyspace.key(&key.watch.key).hash;
        let mut unchanged = false;
        let mut reply = Vec::new();
        let mut shell = WorkerShell::new(&self.shared, &mut self.log);
        shell.select(db);
        // Where a script has come in between, it has not run: once more.
        let _ = engine.execute_transaction(
            executor,
            &queue,
            engine.keyspace.footprint(hash),
            &mut |_| {
                unchanged = !key.flag.is_set();
                unchanged
            },
            self.now,
            &mut shell,
            &mut Reply::new(&mut reply, RespVersion::V2),
        );
        let done = shell.done();
        self.settle_shell(done);
        unchanged
    }
}
