//! The keyspace against a model, with virtual time; its invariants; and from several threads.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::value::{EMBSTR_SIZE_MAX, Encoding, StringRef, Value, ValueRef, parse_integer};

const DBS: u32 = 3;

fn keyspace(shards: u32) -> Keyspace {
    Keyspace::new(KeyspaceOptions {
        dbs: DBS,
        shards,
        hash_seed: (1, 2),
    })
}

/// A string as the model has it, and how it must be reported.
#[derive(Clone, Debug, PartialEq)]
struct Text {
    bytes: Vec<u8>,
    form: StringForm,
}

impl Text {
    fn encoding(&self) -> Encoding {
        match self.form {
            StringForm::Auto if parse_integer(&self.bytes).is_some() => Encoding::Int,
            StringForm::Auto | StringForm::Text if self.bytes.len() <= EMBSTR_SIZE_MAX => {
                Encoding::Embstr
            }
            _ => Encoding::Raw,
        }
    }
}

type ModelDb = BTreeMap<Vec<u8>, (Text, Option<i64>)>;

#[derive(Clone, Debug)]
enum Op {
    Set(u32, u8, Size, StringForm, Ttl),
    SetInteger(u32, u8, i64, Ttl),
    Append(u32, u8, Size),
    SetRange(u32, u8, u16, Size),
    Truncate(u32, u8, u16),
    EntryInteger(u32, u8, i64),
    Expire(u32, u8, Option<i32>),
    Remove(u32, u8),
    Move(u32, u8, u32, u8),
    Copy(u32, u8, u32, u8),
    Get(u32, u8),
    Swap(u32, u32),
    Flush(Option<u32>),
    ExpireSteps(u8),
    Pass(u32),
}

/// The length of a string and what it is filled with.
#[derive(Clone, Debug)]
struct Size(u16, u8);

impl Size {
    fn bytes(&self) -> Vec<u8> {
        vec![b'0' + self.1 % 10; usize::from(self.0)]
    }
}

#[derive(Clone, Copy, Debug)]
enum Ttl {
    Clear,
    Keep,
    In(i32),
}

impl Ttl {
    fn at(self, now: i64) -> Expire {
        match self {
            Self::Clear => Expire::Clear,
            Self::Keep => Expire::Keep,
            Self::In(ms) => Expire::At(now + i64::from(ms)),
        }
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let db = || 0..DBS;
    let key = || 0u8..12;
    let size = || {
        let len = prop_oneof![
            0u16..20,
            40u16..50,
            100u16..140,
            900u16..1100,
            3000u16..5000
        ];
        (len, any::<u8>()).prop_map(|(len, fill)| Size(len, fill))
    };
    let form = prop_oneof![
        Just(StringForm::Auto),
        Just(StringForm::Text),
        Just(StringForm::Raw)
    ];
    let ttl_ms = || prop_oneof![-10i32..2000, 0i32..1_000_000, Just(i32::MAX)];
    let ttl = || {
        prop_oneof![
            Just(Ttl::Clear),
            Just(Ttl::Keep),
            ttl_ms().prop_map(Ttl::In)
        ]
    };
    prop_oneof![
        6 => (db(), key(), size(), form, ttl()).prop_map(|(d, k, s, f, t)| Op::Set(d, k, s, f, t)),
        2 => (db(), key(), any::<i64>(), ttl()).prop_map(|(d, k, n, t)| Op::SetInteger(d, k, n, t)),
        3 => (db(), key(), size()).prop_map(|(d, k, s)| Op::Append(d, k, s)),
        2 => (db(), key(), 0u16..1200, size()).prop_map(|(d, k, o, s)| Op::SetRange(d, k, o, s)),
        1 => (db(), key(), 0u16..1200).prop_map(|(d, k, l)| Op::Truncate(d, k, l)),
        1 => (db(), key(), any::<i64>()).prop_map(|(d, k, n)| Op::EntryInteger(d, k, n)),
        4 => (db(), key(), prop::option::of(ttl_ms())).prop_map(|(d, k, t)| Op::Expire(d, k, t)),
        3 => (db(), key()).prop_map(|(d, k)| Op::Remove(d, k)),
        2 => (db(), key(), db(), key()).prop_map(|(a, k, b, l)| Op::Move(a, k, b, l)),
        1 => (db(), key(), db(), key()).prop_map(|(a, k, b, l)| Op::Copy(a, k, b, l)),
        4 => (db(), key()).prop_map(|(d, k)| Op::Get(d, k)),
        1 => (db(), db()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => prop::option::weighted(0.9, db()).prop_map(Op::Flush),
        2 => any::<u8>().prop_map(Op::ExpireSteps),
        3 => prop_oneof![0u32..200, 0u32..100_000].prop_map(Op::Pass),
    ]
}

/// Some keys are long, so that their lengths take more than one byte.
fn key_name(number: u8) -> Vec<u8> {
    let mut name = format!("key:{number}").into_bytes();
    if number.is_multiple_of(4) {
        name.resize(200 * usize::from(number), b'.');
    }
    name
}

struct World {
    keyspace: Keyspace,
    model: Vec<ModelDb>,
    now: i64,
    /// Keys that the model has, told as expired.
    told: BTreeSet<(u32, Vec<u8>)>,
}

impl World {
    fn new(shards: u32) -> Self {
        let model = vec![ModelDb::new(); DBS as usize];
        Self {
            keyspace: keyspace(shards),
            model,
            now: 1_700_000_000_123,
            told: BTreeSet::new(),
        }
    }

    fn live(&mut self, db: u32, key: &[u8]) -> Option<&mut (Text, Option<i64>)> {
        let now = self.now;
        self.model[db as usize]
            .get_mut(key)
            .filter(|(_, at)| at.is_none_or(|at| at >= now))
    }

    fn open<R>(&mut self, footprint: Footprint, run: impl FnOnce(&mut Access<'_>) -> R) -> R {
        let mut access = self.keyspace.open(footprint, self.now);
        let result = run(&mut access);
        access.purge_expired();
        access.take_expired(&mut |db, key| {
            let (_, at) = self.model[db as usize]
                .remove(key)
                .expect("told a key that was not there");
            assert!(
                at.is_some_and(|at| at < self.now),
                "told a key that had not expired"
            );
            self.told.insert((db, key.to_vec()));
        });
        result
    }

    fn with<R>(&mut self, db: u32, name: &[u8], run: impl FnOnce(DbMut<'_>, Key<'_>) -> R) -> R {
        let hash = self.keyspace.key(name).hash;
        self.open(self.keyspace.footprint(hash), |access| {
            run(access.db_mut(db), Key { bytes: name, hash })
        })
    }

    fn put(&mut self, db: u32, key: &[u8], text: Text, expire: Expire) -> bool {
        let old = self.live(db, key).map(|(_, at)| *at);
        let at = match expire {
            Expire::Clear => None,
            Expire::Keep => old.flatten(),
            Expire::At(at) => Some(at),
        };
        self.model[db as usize].insert(key.to_vec(), (text, at));
        old.is_some()
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Set(db, key, ref size, form, ttl) => {
                let (name, bytes, expire) = (key_name(key), size.bytes(), ttl.at(self.now));
                let was = self.with(db, &name, |mut db, key| {
                    db.set_string_as(key, &bytes, form, expire)
                });
                assert_eq!(was, self.put(db, &name, Text { bytes, form }, expire));
            }
            Op::SetInteger(db, key, integer, ttl) => {
                let (name, expire) = (key_name(key), ttl.at(self.now));
                let was = self.with(db, &name, |mut db, key| {
                    db.set_integer(key, integer, expire)
                });
                let text = Text {
                    bytes: integer.to_string().into_bytes(),
                    form: StringForm::Auto,
                };
                assert_eq!(was, self.put(db, &name, text, expire));
            }
            Op::Append(db, key, ref size) => self.modify(
                db,
                key,
                0,
                |entry| entry.append(&size.bytes()),
                |bytes| {
                    bytes.extend(size.bytes());
                },
            ),
            Op::SetRange(db, key, offset, ref size) => {
                let offset = usize::from(offset);
                self.modify(
                    db,
                    key,
                    offset,
                    |entry| entry.set_range(offset, &size.bytes()),
                    |bytes| {
                        let new = size.bytes();
                        bytes.resize(bytes.len().max(offset + new.len()), 0);
                        bytes[offset..offset + new.len()].copy_from_slice(&new);
                    },
                );
            }
            Op::Truncate(db, key, len) => self.modify(
                db,
                key,
                0,
                |entry| {
                    entry.edit(|bytes| {
                        bytes.truncate(usize::from(len));
                        bytes.len()
                    })
                },
                |bytes| bytes.truncate(usize::from(len)),
            ),
            Op::EntryInteger(db, key, integer) => {
                let name = key_name(key);
                self.with(db, &name, |mut db, key| {
                    db.get_mut(key).map(|mut entry| entry.set_integer(integer))
                });
                if let Some((text, _)) = self.live(db, &name) {
                    *text = Text {
                        bytes: integer.to_string().into_bytes(),
                        form: StringForm::Auto,
                    };
                }
            }
            Op::Expire(db, key, ttl) => {
                let (name, at) = (key_name(key), ttl.map(|ms| self.now + i64::from(ms)));
                let was = self.with(db, &name, |mut db, key| db.set_expire(key, at));
                assert_eq!(
                    was,
                    self.live(db, &name).map(|entry| entry.1 = at).is_some()
                );
            }
            Op::Remove(db, key) => {
                let name = key_name(key);
                let was = self.with(db, &name, |mut db, key| db.remove(key));
                assert_eq!(was, self.live(db, &name).is_some());
                self.model[db as usize].remove(&name);
            }
            Op::Move(from_db, from, to_db, to) => {
                let (from, to) = (key_name(from), key_name(to));
                let keys = [&from, &to].map(|name| self.keyspace.key(name).hash);
                let footprint = keys
                    .iter()
                    .map(|hash| self.keyspace.footprint(*hash))
                    .collect();
                self.open(footprint, |access| {
                    let [from, to] = [&from, &to].map(|name| access.keyspace().key(name));
                    let mut db = access.db_mut(from_db);
                    if let Some(entry) = db.take(from) {
                        db.other(to_db).put(to, entry);
                    }
                });
                if let Some(entry) = self.live(from_db, &from).cloned() {
                    self.model[from_db as usize].remove(&from);
                    self.model[to_db as usize].insert(to, entry);
                }
            }
            Op::Copy(from_db, from, to_db, to) => {
                let (from, to) = (key_name(from), key_name(to));
                self.open(Footprint::ALL, |access| {
                    let [from, to] = [&from, &to].map(|name| access.keyspace().key(name));
                    if let Some(entry) = access.db_mut(from_db).copy_value(from) {
                        access.db_mut(to_db).put(to, entry);
                    }
                });
                if let Some(entry) = self.live(from_db, &from).cloned() {
                    self.model[to_db as usize].insert(to, entry);
                }
            }
            Op::Get(db, key) => {
                let name = key_name(key);
                let found = self.with(db, &name, |db, key| db.get(key).map(|entry| read(&entry)));
                let expected = self
                    .live(db, &name)
                    .map(|(text, at)| (text.bytes.clone(), text.encoding(), *at));
                assert_eq!(found, expected);
            }
            Op::Swap(a, b) => {
                self.open(Footprint::ALL, |access| access.swap_dbs(a, b));
                self.model.swap(a as usize, b as usize);
            }
            Op::Flush(db) => {
                let removed = self.open(Footprint::ALL, |access| access.flush(db));
                let dbs = db.map_or(0..DBS as usize, |db| db as usize..db as usize + 1);
                let expected: usize = self.model[dbs.clone()].iter().map(|db| db.len()).sum();
                assert_eq!(removed, expected);
                self.model[dbs].iter_mut().for_each(|db| db.clear());
            }
            Op::ExpireSteps(limit) => {
                for shard in 0..self.keyspace.shards() {
                    let progress =
                        self.keyspace
                            .expire_step(shard, self.now, limit.into(), &mut |db, key| {
                                let (_, at) = self.model[db as usize]
                                    .remove(key)
                                    .expect("told a key that was not there");
                                assert!(at.is_some_and(|at| at < self.now));
                            });
                    assert!(progress.steps <= usize::from(limit) + 8);
                }
            }
            Op::Pass(ms) => self.now += i64::from(ms),
        }
    }

    fn modify(
        &mut self,
        db: u32,
        key: u8,
        _offset: usize,
        change: impl Fn(&mut EntryMut<'_>) -> usize,
        model: impl Fn(&mut Vec<u8>),
    ) {
        let name = key_name(key);
        let len = self.with(db, &name, |mut db, key| {
            db.get_mut(key).map(|mut entry| {
                let len = change(&mut entry);
                assert_eq!(
                    entry.entry().key(),
                    name,
                    "the entry is found after its block has moved"
                );
                len
            })
        });
        let expected = self.live(db, &name).map(|(text, _)| {
            model(&mut text.bytes);
            text.form = StringForm::Raw;
            text.bytes.len()
        });
        assert_eq!(len, expected);
    }

    /// Everything that the keyspace holds, and the figures it keeps, against the model.
    fn check(&mut self) {
        for db in 0..DBS {
            let (mut entries, mut bytes, mut expires) = (BTreeMap::new(), 0, 0);
            let access = self.keyspace.open(Footprint::ALL, i64::MIN); // nothing has expired then
            access.db(db).for_each(|entry| {
                bytes += entry.memory_bytes();
                expires += usize::from(entry.expire_at().is_some());
                assert!(
                    entries.insert(entry.key().to_vec(), read(&entry)).is_none(),
                    "a key twice"
                );
            });
            let expected = self.model[db as usize].iter();
            let expected = expected
                .map(|(key, (text, at))| (key.clone(), (text.bytes.clone(), text.encoding(), *at)));
            assert_eq!(entries, expected.collect::<BTreeMap<_, _>>());
            assert_eq!(self.keyspace.len(db), entries.len());
            assert_eq!(self.keyspace.expires_len(db), expires);
            assert_eq!(self.keyspace.entry_bytes(db), bytes);
            access
                .footprint()
                .shards()
                .for_each(|shard| access.state(shard).check_invariants(&self.keyspace));
        }
    }
}

fn read(entry: &EntryRef<'_>) -> (Vec<u8>, Encoding, Option<i64>) {
    let ValueRef::String(string) = entry.value();
    (string.to_vec(), entry.encoding(), entry.expire_at())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(shard_bits in 0u32..3, ops in prop::collection::vec(any_op(), 1..150)) {
        let mut world = World::new(1 << shard_bits);
        for op in &ops {
            world.run(op);
        }
        world.check();
        // Whatever has a deadline is found by the active expiry alone.
        world.now += 1 << 50;
        for shard in 0..world.keyspace.shards() {
            while world.keyspace.expire_step(shard, world.now, 7, &mut |_, _| {}).more {}
        }
        world.model.iter_mut().for_each(|db| db.retain(|_, (_, at)| at.is_none()));
        world.check();
        for db in 0..DBS {
            for name in std::mem::take(&mut world.model[db as usize]).into_keys() {
                assert!(world.with(db, &name, |mut db, key| db.remove(key)));
            }
        }
        world.check();
        prop_assert_eq!((0..DBS).map(|db| world.keyspace.entry_bytes(db)).sum::<usize>(), 0);
        prop_assert_eq!(world.keyspace.held_bytes() % (32 << 10), 0, "no large block is left");
    }

    /// What stays during the whole walk is visited exactly once, whatever comes and goes.
    #[test]
    fn scan_visits_what_stays(shard_bits in 0u32..4, stay in 1u32..600, count in 1usize..50, seed in any::<u64>()) {
        let keyspace = keyspace(1 << shard_bits);
        let set = |name: String, keep: bool| {
            let key = keyspace.key(name.as_bytes());
            let mut access = keyspace.open(keyspace.footprint(key.hash), 0);
            if keep { access.db_mut(1).set_string(key, b"v", Expire::Clear) } else { access.db_mut(1).remove(key) };
        };
        (0..stay).for_each(|number| set(format!("stay:{number}"), true));
        let (mut seen, mut cursor, mut steps) = (BTreeMap::<Vec<u8>, u32>::new(), 0, 0u64);
        loop {
            let access = keyspace.open(keyspace.scan_footprint(cursor), 0);
            cursor = access.db(1).scan(cursor, count, |entry| *seen.entry(entry.key().to_vec()).or_default() += 1);
            drop(access);
            if cursor == 0 { break; }
            // The table grows, then shrinks.
            let noise = seed.wrapping_add(steps) % 300;
            for number in 0..noise { set(format!("noise:{number}"), steps % 60 < 30); }
            steps += 1;
        }
        for number in 0..stay {
            prop_assert_eq!(seen.get(format!("stay:{number}").as_bytes()), Some(&1));
        }
    }
}

#[test]
fn reading_notes_an_expired_key_and_writing_removes_it() {
    let keyspace = keyspace(4);
    let key = keyspace.key(b"k");
    let mut access = keyspace.open(keyspace.footprint(key.hash), 1000);
    access.db_mut(0).set_string(key, b"v", Expire::At(1500));
    drop(access);
    let access = keyspace.open(keyspace.footprint(key.hash), 1500);
    assert!(
        access.db(0).contains(key),
        "it lives in the millisecond of its deadline"
    );
    drop(access);

    let mut access = keyspace.open(keyspace.footprint(key.hash), 1501);
    assert!(access.db(0).get(key).is_none());
    assert!(access.db(0).is_expired(key));
    assert!(access.has_expired());
    assert_eq!(keyspace.len(0), 1);
    access.purge_expired();
    assert_eq!(keyspace.len(0), 0);
    let mut told = Vec::new();
    access.take_expired(&mut |db, key| told.push((db, key.to_vec())));
    assert_eq!(told, [(0, b"k".to_vec())]);
    assert!(!access.has_expired());

    access.db_mut(0).set_string(key, b"v", Expire::At(0));
    assert!(
        !access.db_mut(0).set_string(key, b"w", Expire::Keep),
        "the expired one was not there"
    );
    assert_eq!(
        access.db(0).get(key).unwrap().expire_at(),
        None,
        "and has no deadline to keep"
    );
    access.take_expired(&mut |db, key| told.push((db, key.to_vec())));
    assert_eq!(told.len(), 2);
}

/// For results that do not matter.
fn forget<T>(_: T) {}

#[test]
fn watchers_are_told_of_real_changes_only() {
    let keyspace = keyspace(4);
    let (key, other) = (keyspace.key(b"k"), keyspace.key(b"other"));
    let flag = WatchFlag::new();
    let changed = |change: &dyn Fn(&mut Access<'_>)| {
        let mut access = keyspace.open(Footprint::ALL, 1000);
        access.db_mut(0).watch(key, &flag);
        change(&mut access);
        access.db_mut(0).unwatch(key, &flag);
        access.take_expired(&mut |_, _| {});
        let was_set = flag.is_set();
        flag.clear();
        was_set
    };
    let set = |access: &mut Access<'_>| {
        access.db_mut(0).set_string(key, b"1", Expire::Clear);
    };
    assert!(
        !changed(&|access| forget(access.flush(None))),
        "FLUSHALL touches only keys that exist"
    );
    assert!(!changed(&|access| forget(access.db_mut(0).remove(key))));
    assert!(changed(&set));
    assert!(!changed(&|access| forget(
        access.db(0).get(key).map(|entry| entry.key().len())
    )));
    assert!(!changed(&|access| forget(access.db_mut(1).set_string(
        key,
        b"1",
        Expire::Clear
    ))));
    assert!(!changed(&|access| forget(access.db_mut(0).set_string(
        other,
        b"1",
        Expire::Clear
    ))));
    assert!(changed(&|access| forget(
        access.db_mut(0).set_expire(key, Some(2000))
    )));
    assert!(changed(&|access| forget(
        access
            .db_mut(0)
            .get_mut(key)
            .map(|mut entry| entry.append(b"x"))
    )));
    assert!(changed(&|access| access.swap_dbs(0, 1)));
    assert!(changed(&|access| forget(access.flush(Some(0)))));
    assert!(!changed(&|access| forget(access.flush(Some(0)))));
    set(&mut keyspace.open(Footprint::ALL, 1000));
    assert!(changed(&|access| forget(access.db_mut(0).take(key))));

    // Expiry is a change, by whoever it is found; a key that was expired when it was watched does not change by going.
    let mut access = keyspace.open(Footprint::ALL, 1000);
    access.db_mut(0).set_string(key, b"1", Expire::At(1100));
    access.db_mut(0).watch(key, &flag);
    drop(access);
    let mut shard = 0;
    while keyspace
        .expire_step(shard, 2000, 10, &mut |_, _| {})
        .expired
        == 0
    {
        shard += 1;
    }
    assert!(flag.is_set());
    flag.clear();
    let mut access = keyspace.open(Footprint::ALL, 1000);
    access.db_mut(0).unwatch(key, &flag);
    access.db_mut(0).set_string(key, b"1", Expire::At(0));
    access.db_mut(0).watch(key, &flag);
    assert!(!access.db_mut(0).remove(key));
    assert!(!flag.is_set());
    access.take_expired(&mut |_, _| {});
}

#[test]
fn moving_a_large_value_does_not_copy_it() {
    let keyspace = keyspace(1);
    let (from, to) = (keyspace.key(b"from"), keyspace.key(b"to"));
    let mut access = keyspace.open(Footprint::ALL, 0);
    let mut db = access.db_mut(0);
    db.set_string(from, &[7; 100_000], Expire::Clear);
    let address = |db: &DbMut<'_>, key| match db.get(key).unwrap().value() {
        ValueRef::String(StringRef::Bytes(bytes)) => bytes.as_ptr().addr(),
        value => panic!("{value:?}"),
    };
    let before = address(&db, from);
    let entry = db.take(from).unwrap();
    db.put(to, entry);
    assert_eq!(address(&db, to), before);
    db.put(from, OwnedEntry::new(Value::string(b"12".to_vec()), None));
    assert_eq!(db.get(from).unwrap().encoding(), Encoding::Int);
}

#[test]
fn access_clock_counts_idle_seconds_or_frequency() {
    let keyspace = keyspace(1);
    let key = keyspace.key(b"k");
    let open = |now| keyspace.open(Footprint::ALL, now);
    open(1_000_000)
        .db_mut(0)
        .set_string(key, b"v", Expire::Clear);
    assert_eq!(open(1_007_000).db(0).peek(key).unwrap().idle_seconds(), 7);
    let access = open(1_007_000);
    access.set_touch(false);
    assert_eq!(access.db(0).get(key).unwrap().idle_seconds(), 7);
    access.set_touch(true);
    assert_eq!(access.db(0).get(key).unwrap().idle_seconds(), 0);
    drop(access);

    keyspace.clock().set_lfu(true);
    open(60_000_000).db_mut(0).remove(key);
    open(60_000_000)
        .db_mut(0)
        .set_string(key, b"v", Expire::Clear);
    assert_eq!(open(60_000_000).db(0).peek(key).unwrap().frequency(), 5);
    (0..100_000).for_each(|_| {
        forget(
            open(60_000_000)
                .db(0)
                .get(key)
                .map(|entry| entry.key().len()),
        )
    });
    let frequency = open(60_000_000).db(0).peek(key).unwrap().frequency();
    assert!(
        (120..200).contains(&frequency),
        "about 143 after 100 000 hits, as in Redis: {frequency}"
    );
    assert_eq!(
        open(60_600_000).db(0).peek(key).unwrap().frequency(),
        frequency - 10
    );
}

#[test]
fn the_index_does_not_fill_with_what_is_gone() {
    let keyspace = keyspace(1);
    let mut access = keyspace.open(Footprint::ALL, 0);
    for round in 0..100_000 {
        let name = format!("{}", round % 100);
        let key = access.keyspace().key(name.as_bytes());
        access
            .db_mut(0)
            .set_string(key, b"v", Expire::At(1_000_000_000 + round));
        if round % 2 == 0 {
            access.db_mut(0).remove(key);
        }
        if round % 1000 == 0 {
            drop(access);
            while keyspace.expire_step(0, 0, 100, &mut |_, _| {}).more {}
            access = keyspace.open(Footprint::ALL, 0);
        }
    }
    drop(access);
    assert!(
        keyspace.index_bytes(0) < 50_000,
        "{}",
        keyspace.index_bytes(0)
    );
    let access = keyspace.open(Footprint::ALL, 0);
    access.state(0).check_invariants(&keyspace);
}

#[test]
fn many_keys_due_at_once_are_worked_off_in_steps() {
    let keyspace = keyspace(1);
    let mut access = keyspace.open(Footprint::ALL, 0);
    let count = if cfg!(miri) { 50 } else { 20_000 };
    for number in 0..count {
        let name = format!("{number}");
        let key = access.keyspace().key(name.as_bytes());
        access.db_mut(0).set_string(key, b"v", Expire::At(5_000));
    }
    drop(access);
    assert_eq!(
        keyspace.expire_step(0, 4_000, 100, &mut |_, _| {}).expired,
        0
    );
    let (mut expired, mut steps) = (0, 0);
    loop {
        let progress = keyspace.expire_step(0, 9_000, 100, &mut |_, _| {});
        assert!(progress.steps <= 108);
        expired += progress.expired;
        steps += progress.steps;
        if !progress.more {
            break;
        }
        assert!(progress.behind_ms > 0);
    }
    assert_eq!(expired, count);
    assert!(steps <= 3 * count, "{steps}");
    assert_eq!(keyspace.len(0), 0);
}

/// Random reads, writes, renames and swaps from four threads: the sums agree at the end.
#[test]
fn threads_do_not_disturb_each_other() {
    let keyspace = keyspace(8);
    let rounds = if cfg!(miri) { 40 } else { 30_000 };
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let keyspace = &keyspace;
            scope.spawn(move || {
                let mut random = thread + 1;
                for round in 0..rounds {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let names =
                        [random % 500, random / 1000 % 500].map(|number| format!("key:{number}"));
                    let [a, b] = [0, 1].map(|at| keyspace.key(names[at].as_bytes()));
                    let turn = keyspace.pin();
                    for key in [a, b] {
                        keyspace.prefetch_bucket(&turn, 0, key.hash);
                    }
                    for key in [a, b] {
                        keyspace.prefetch_entry(&turn, 0, key.hash);
                    }
                    let both = keyspace.footprint(a.hash).union(keyspace.footprint(b.hash));
                    match random >> 40 & 15 {
                        0..5 => {
                            let mut access = keyspace.open(keyspace.footprint(a.hash), round);
                            let value = vec![b'x'; (random >> 50) as usize & 2047];
                            let expire = if round % 3 == 0 {
                                Expire::At(round + 100)
                            } else {
                                Expire::Clear
                            };
                            access.db_mut(0).set_string(a, &value, expire);
                            access.take_expired(&mut |_, _| {});
                        }
                        5..8 => {
                            let mut access = keyspace.open(keyspace.footprint(a.hash), round);
                            access.db_mut(0).remove(a);
                            access.take_expired(&mut |_, _| {});
                        }
                        8..13 => {
                            let access = keyspace.open(both, round);
                            for key in [a, b] {
                                if let Some(entry) = access.db(0).get(key) {
                                    assert_eq!(entry.key(), key.bytes);
                                }
                            }
                        }
                        13 => {
                            let mut access = keyspace.open(both, round);
                            if let Some(entry) = access.db_mut(0).take(a) {
                                access.db_mut(1).put(b, entry);
                            }
                            access.take_expired(&mut |_, _| {});
                        }
                        14 if round % 64 == 0 => {
                            keyspace.open(Footprint::ALL, round).swap_dbs(0, 1)
                        }
                        14 if round % 1024 == 1 => {
                            forget(keyspace.open(Footprint::ALL, round).flush(Some(0)))
                        }
                        _ => forget(keyspace.expire_step(
                            (random % 8) as u32,
                            round,
                            10,
                            &mut |_, _| {},
                        )),
                    }
                }
            });
        }
    });
    let access = keyspace.open(Footprint::ALL, i64::MIN);
    for db in 0..DBS {
        let (mut len, mut bytes) = (0, 0);
        access.db(db).for_each(|entry| {
            len += 1;
            bytes += entry.memory_bytes();
        });
        assert_eq!((keyspace.len(db), keyspace.entry_bytes(db)), (len, bytes));
    }
    access
        .footprint()
        .shards()
        .for_each(|shard| access.state(shard).check_invariants(&keyspace));
}
