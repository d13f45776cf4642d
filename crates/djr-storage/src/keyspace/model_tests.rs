//! Random changes against a model, with virtual time; then invariants and figures.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{DBS, forget, keyspace};
use super::*;
use crate::types::Probe;
use crate::value::{EMBSTR_SIZE_MAX, Encoding, Kind, StringRef, Value, ValueRef, parse_integer};

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

/// A value as the model has it.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Text(Text),
    Probe(Vec<u8>, BTreeSet<i64>),
}

impl Content {
    fn is_vacant(&self) -> bool {
        matches!(self, Self::Probe(bytes, deadlines) if bytes.is_empty() && deadlines.is_empty())
    }
}

type ModelDb = BTreeMap<Vec<u8>, (Content, Option<i64>)>;

#[derive(Clone, Debug)]
enum Op {
    Set(u32, u8, Size, StringForm, Ttl),
    SetInteger(u32, u8, i64, Ttl),
    Append(u32, u8, Size),
    SetRange(u32, u8, u16, Size),
    Truncate(u32, u8, u16),
    EntryInteger(u32, u8, i64),
    SetProbe(u32, u8, Size, Option<i32>, Ttl),
    /// What to append, or nothing left; a deadline to add, or all taken away.
    Update(u32, u8, Option<Size>, Option<i32>),
    UpdateOrInsert(u32, u8, Size, Option<i32>),
    Expire(u32, u8, Option<i32>),
    Remove(u32, u8),
    Move(u32, u8, u32, u8),
    Copy(u32, u8, u32, u8),
    Get(u32, u8),
    Swap(u32, u32),
    Flush(Option<u32>),
    ExpireSteps(u8),
    Pass(u32),
    /// Begins a snapshot, or gives one up.
    Cut,
    /// Goes on with the snapshot by so many buckets.
    Walk(u8),
    /// Goes on with moving things together by so many steps; or gives it up.
    Defrag(u8),
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
        2 => (db(), key(), size(), prop::option::of(ttl_ms()), ttl()).prop_map(|(d, k, s, p, t)| Op::SetProbe(d, k, s, p, t)),
        4 => (db(), key(), prop::option::of(size()), prop::option::of(ttl_ms())).prop_map(|(d, k, s, p)| Op::Update(d, k, s, p)),
        3 => (db(), key(), size(), prop::option::of(ttl_ms())).prop_map(|(d, k, s, p)| Op::UpdateOrInsert(d, k, s, p)),
        4 => (db(), key(), prop::option::of(ttl_ms())).prop_map(|(d, k, t)| Op::Expire(d, k, t)),
        3 => (db(), key()).prop_map(|(d, k)| Op::Remove(d, k)),
        2 => (db(), key(), db(), key()).prop_map(|(a, k, b, l)| Op::Move(a, k, b, l)),
        1 => (db(), key(), db(), key()).prop_map(|(a, k, b, l)| Op::Copy(a, k, b, l)),
        4 => (db(), key()).prop_map(|(d, k)| Op::Get(d, k)),
        1 => (db(), db()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => prop::option::weighted(0.9, db()).prop_map(Op::Flush),
        2 => any::<u8>().prop_map(Op::ExpireSteps),
        1 => Just(Op::Cut),
        8 => (1u8..20).prop_map(Op::Walk),
        4 => prop_oneof![1u8..80, Just(0)].prop_map(Op::Defrag),
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

struct World<'k> {
    keyspace: &'k Keyspace,
    model: Vec<ModelDb>,
    now: i64,
    snapshot: Option<SnapshotRun<'k>>,
    defrag: Defrag,
    /// The shard that is being defragmented.
    defrag_shard: u32,
}

/// A snapshot, and what it must be.
struct SnapshotRun<'k> {
    snapshot: Snapshot<'k>,
    portion: Portion,
    expected: Vec<ModelDb>,
}

/// Has the model follow what the keyspace tells.
fn expired(model: &mut [ModelDb], now: i64, db: u32, expired: Expired<'_>) {
    let db = &mut model[db as usize];
    match expired {
        Expired::Key(key) => {
            let (_, at) = db.remove(key).expect("told a key that was not there");
            assert!(
                at.is_some_and(|at| at < now),
                "told a key that had not expired"
            );
        }
        Expired::Field { key, field } => {
            let Some((Content::Probe(_, deadlines), _)) = db.get_mut(key) else {
                panic!("told a field of nothing")
            };
            let at: i64 = String::from_utf8_lossy(field).parse().unwrap();
            assert!(
                at < now && deadlines.remove(&at),
                "told a field that had not expired"
            );
        }
        Expired::Fields { key, removed } => {
            assert_eq!(db[key].0.is_vacant(), removed);
            if removed {
                db.remove(key);
            }
        }
    }
}

/// Does with a structure, and returns how many bytes it has then.
fn update(probe: &mut Probe, bytes: Option<&Size>, deadline: Option<i64>) -> usize {
    match bytes {
        Some(size) => probe.bytes.extend(size.bytes()),
        None => probe.bytes = Vec::new(),
    }
    match deadline {
        Some(at) => forget(probe.deadlines.insert(at)),
        None => probe.deadlines.clear(),
    }
    probe.bytes.len()
}

impl<'k> World<'k> {
    fn new(keyspace: &'k Keyspace) -> Self {
        let model = vec![ModelDb::new(); DBS as usize];
        Self {
            keyspace,
            model,
            now: 1_700_000_000_123,
            snapshot: None,
            defrag: Defrag::of_everything(),
            defrag_shard: 0,
        }
    }

    fn live(&mut self, db: u32, key: &[u8]) -> Option<&mut (Content, Option<i64>)> {
        let now = self.now;
        self.model[db as usize]
            .get_mut(key)
            .filter(|(_, at)| at.is_none_or(|at| at >= now))
    }

    fn open<R>(&mut self, footprint: Footprint, run: impl FnOnce(&mut Access<'_>) -> R) -> R {
        let mut access = self.keyspace.open(footprint, self.now);
        let result = run(&mut access);
        access.purge_expired();
        access.take_expired(&mut |db, what| expired(&mut self.model, self.now, db, what));
        result
    }

    fn with<R>(&mut self, db: u32, name: &[u8], run: impl FnOnce(DbMut<'_>, Key<'_>) -> R) -> R {
        let hash = self.keyspace.key(name).hash;
        self.open(self.keyspace.footprint(hash), |access| {
            run(access.db_mut(db), Key { bytes: name, hash })
        })
    }

    fn put(&mut self, db: u32, key: &[u8], content: Content, expire: Expire) -> bool {
        let old = self.live(db, key).map(|(_, at)| *at);
        let at = match expire {
            Expire::Clear => None,
            Expire::Keep => old.flatten(),
            Expire::At(at) => Some(at),
        };
        self.model[db as usize].insert(key.to_vec(), (content, at));
        old.is_some()
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Set(db, key, ref size, form, ttl) => {
                let (name, bytes, expire) = (key_name(key), size.bytes(), ttl.at(self.now));
                let was = self.with(db, &name, |mut db, key| {
                    db.set_string_as(key, &bytes, form, expire)
                });
                assert_eq!(
                    was,
                    self.put(db, &name, Content::Text(Text { bytes, form }), expire)
                );
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
                assert_eq!(was, self.put(db, &name, Content::Text(text), expire));
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
                if let Some((content, _)) = self.live(db, &name) {
                    *content = Content::Text(Text {
                        bytes: integer.to_string().into_bytes(),
                        form: StringForm::Auto,
                    });
                }
            }
            Op::SetProbe(db, key, ref size, deadline, ttl) => {
                let (name, expire) = (key_name(key), ttl.at(self.now));
                let deadline = deadline.map(|ms| self.now + i64::from(ms));
                let mut probe = Probe::default();
                update(&mut probe, Some(size), deadline);
                let content = Content::Probe(probe.bytes.clone(), probe.deadlines.clone());
                let was = self.with(db, &name, |mut db, key| {
                    db.set_value(key, Value::from(probe), expire)
                });
                if content.is_vacant() {
                    assert_eq!(was, self.live(db, &name).is_some());
                    self.model[db as usize].remove(&name);
                } else {
                    assert_eq!(was, self.put(db, &name, content, expire));
                }
            }
            Op::Update(db, key, ref size, deadline) => {
                let name = key_name(key);
                let deadline = deadline.map(|ms| self.now + i64::from(ms));
                let result = self.with(db, &name, |mut db, key| {
                    let result = db.update(key, |probe| update(probe, size.as_ref(), deadline));
                    (result, db.was_removed())
                });
                self.updated(db, name, result, size.as_ref(), deadline, None);
            }
            Op::UpdateOrInsert(db, key, ref size, deadline) => {
                let name = key_name(key);
                let deadline = deadline.map(|ms| self.now + i64::from(ms));
                let result = self.with(db, &name, |mut db, key| {
                    let change = |probe: &mut _| update(probe, Some(size), deadline);
                    let result = db.update_or_insert(key, Probe::default, change);
                    (result.map(Some), db.was_removed())
                });
                let new = Some(Content::Probe(Vec::new(), BTreeSet::new()));
                self.updated(db, name, result, Some(size), deadline, new);
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
                let expected = self.live(db, &name).map(|entry| shown(entry));
                assert_eq!(found, expected);
            }
            Op::Swap(a, b) => {
                self.open(Footprint::ALL, |access| access.swap_dbs(a, b));
                self.model.swap(a as usize, b as usize);
            }
            Op::Flush(db) => {
                let removed = self.open(Footprint::ALL, |access| {
                    let removed = access.flush(db, false);
                    for shard in access.footprint().shards() {
                        while access.state_mut(shard).free_step(1) {}
                    }
                    removed
                });
                let dbs = db.map_or(0..DBS as usize, |db| db as usize..db as usize + 1);
                let expected: usize = self.model[dbs.clone()].iter().map(|db| db.len()).sum();
                assert_eq!(removed, expected);
                self.model[dbs].iter_mut().for_each(|db| db.clear());
            }
            Op::ExpireSteps(limit) => {
                for shard in 0..self.keyspace.shards() {
                    let (model, now) = (&mut self.model, self.now);
                    let progress =
                        self.keyspace
                            .expire_step(shard, now, limit.into(), &mut |db, what| {
                                expired(model, now, db, what)
                            });
                    assert!(progress.steps <= usize::from(limit) + 16);
                }
            }
            Op::Pass(ms) => self.now += i64::from(ms),
            Op::Cut => {
                let had_one = self.snapshot.take().is_some();
                if !had_one {
                    self.snapshot = Some(SnapshotRun {
                        snapshot: self
                            .open(Footprint::ALL, |access| {
                                access.begin_snapshot().expect("none is under way")
                            })
                            .walk(self.keyspace),
                        portion: Portion::default(),
                        expected: self.model.clone(),
                    });
                }
            }
            Op::Walk(buckets) => {
                (0..buckets).for_each(|_| _ = self.walk());
            }
            Op::Defrag(0) => {
                assert!(
                    self.keyspace
                        .end_defrag(self.defrag_shard, &mut self.defrag)
                );
            }
            Op::Defrag(steps) => {
                for _ in 0..steps {
                    match self
                        .keyspace
                        .defrag_step(self.defrag_shard, &mut self.defrag)
                    {
                        DefragStep::More => {}
                        DefragStep::Done => {
                            self.defrag_shard = (self.defrag_shard + 1) % self.keyspace.shards();
                        }
                        DefragStep::Busy => unreachable!("nobody else is there"),
                    }
                }
            }
        }
    }

    /// Goes on with the snapshot by a bucket, and compares it at its end. Returns whether there is more.
    fn walk(&mut self) -> bool {
        let Some(run) = &mut self.snapshot else {
            return false;
        };
        if run.snapshot.step_of(1, &mut run.portion) {
            return true;
        }
        let mut found = BTreeMap::new();
        for item in run.portion.items() {
            let SnapshotItem::Entry(entry) = item else {
                panic!("a probe comes at once")
            };
            let content = (entry.value.to_vec(), entry.expire_at);
            assert!(
                found
                    .insert((entry.db, entry.key.to_vec()), content)
                    .is_none(),
                "an entry twice"
            );
        }
        let expected = run.expected.iter().enumerate().flat_map(|(db, entries)| {
            entries.iter().map(move |(key, (content, at))| {
                ((db as u32, key.clone()), (written(content), *at))
            })
        });
        assert_eq!(found, expected.collect::<BTreeMap<_, _>>());
        self.snapshot = None;
        false
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
            let entry = db.get_mut(key);
            let entry = entry.filter(|entry| entry.entry().kind() == Kind::String);
            entry.map(|mut entry| {
                let len = change(&mut entry);
                assert_eq!(
                    entry.entry().key(),
                    name,
                    "the entry is found after its block has moved"
                );
                len
            })
        });
        let expected = match self.live(db, &name) {
            Some((Content::Text(text), _)) => {
                model(&mut text.bytes);
                text.form = StringForm::Raw;
                Some(text.bytes.len())
            }
            _ => None,
        };
        assert_eq!(len, expected);
    }

    /// The model after an update, and what the update must have returned.
    fn updated(
        &mut self,
        db: u32,
        name: Vec<u8>,
        result: (Result<Option<usize>, WrongKind>, bool),
        size: Option<&Size>,
        deadline: Option<i64>,
        new: Option<Content>,
    ) {
        let now = self.now;
        let content = match (self.live(db, &name), new) {
            (Some((content, _)), _) => content,
            (None, Some(new)) => {
                let entry = (new, None);
                self.model[db as usize].insert(name.clone(), entry);
                &mut self.live(db, &name).unwrap().0
            }
            (None, None) => return assert_eq!(result, (Ok(None), false)),
        };
        let Content::Probe(bytes, deadlines) = content else {
            return assert_eq!(result.0, Err(WrongKind));
        };
        assert!(
            deadlines.iter().all(|at| *at >= now),
            "expired parts go before"
        );
        let existed = !(bytes.is_empty() && deadlines.is_empty());
        match size {
            Some(size) => bytes.extend(size.bytes()),
            None => bytes.clear(),
        }
        match deadline {
            Some(at) => forget(deadlines.insert(at)),
            None => deadlines.clear(),
        }
        assert_eq!(result.0, Ok(Some(bytes.len())));
        let is_vacant = content.is_vacant();
        assert_eq!(result.1, is_vacant && existed);
        if is_vacant {
            self.model[db as usize].remove(&name);
        }
    }

    /// Everything that the keyspace holds, and the figures it keeps, against the model.
    fn check(&mut self) {
        let mut probes = 0;
        for db in 0..DBS {
            let (mut entries, mut bytes, mut expires, mut sub_expires) = (BTreeMap::new(), 0, 0, 0);
            let access = self.keyspace.open(Footprint::ALL, i64::MIN); // nothing has expired then
            access.db(db).for_each(|entry| {
                bytes += entry.memory_bytes();
                expires += usize::from(entry.expire_at().is_some());
                let probe = entry.object::<Probe>();
                sub_expires += usize::from(probe.is_some_and(|probe| !probe.deadlines.is_empty()));
                probes += usize::from(probe.is_some());
                assert!(
                    entries.insert(entry.key().to_vec(), read(&entry)).is_none(),
                    "a key twice"
                );
            });
            let expected = self.model[db as usize].iter();
            let expected = expected.map(|(key, entry)| (key.clone(), shown(entry)));
            assert_eq!(entries, expected.collect::<BTreeMap<_, _>>());
            assert_eq!(self.keyspace.len(db), entries.len());
            assert_eq!(self.keyspace.expires_len(db), expires);
            assert_eq!(self.keyspace.sub_expires_len(db), sub_expires);
            assert_eq!(self.keyspace.entry_bytes(db), bytes);
            access
                .footprint()
                .shards()
                .for_each(|shard| access.state(shard).check_invariants(self.keyspace));
        }
        assert_eq!(Probe::living(), probes, "each is dropped once");
    }
}

/// An entry as it is compared: bytes, deadlines of parts, encoding, deadline.
type Shown = (Vec<u8>, BTreeSet<i64>, Encoding, Option<i64>);

fn read(entry: &EntryRef<'_>) -> Shown {
    let (bytes, deadlines) = match (entry.value(), entry.object::<Probe>()) {
        (ValueRef::String(string), None) => (string.to_vec(), BTreeSet::new()),
        (ValueRef::Probe(_), Some(probe)) => (probe.bytes.clone(), probe.deadlines.clone()),
        (value, _) => panic!("{value:?}"),
    };
    (bytes, deadlines, entry.encoding(), entry.expire_at())
}

/// A value as a snapshot has it.
fn written(content: &Content) -> Vec<u8> {
    let mut out = Vec::new();
    match content {
        Content::Text(text) => {
            let string = ValueRef::String(StringRef::Bytes(&text.bytes));
            let mut plain = crate::rdb::Uncompressed::default();
            crate::rdb::write_value(&mut plain, string, 0);
            out = plain.0;
        }
        Content::Probe(bytes, deadlines) => {
            let mut probe = Probe::default();
            probe.bytes.clone_from(bytes);
            probe.deadlines.clone_from(deadlines);
            probe.describe(&mut out);
        }
    }
    out
}

fn shown((content, at): &(Content, Option<i64>)) -> Shown {
    match content {
        Content::Text(text) => (text.bytes.clone(), BTreeSet::new(), text.encoding(), *at),
        Content::Probe(bytes, deadlines) => {
            (bytes.clone(), deadlines.clone(), Encoding::Listpack, *at)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(shard_bits in 0u32..3, ops in prop::collection::vec(any_op(), 1..150)) {
        let keyspace = keyspace(1 << shard_bits);
        let mut world = World::new(&keyspace);
        for op in &ops {
            world.run(op);
        }
        while world.walk() {}
        world.check();
        // Whatever has a deadline is found by the active expiry alone.
        world.now += 1 << 50;
        for shard in 0..world.keyspace.shards() {
            while world.keyspace.expire_step(shard, world.now, 7, &mut |_, _| {}).more {}
        }
        world.model.iter_mut().for_each(|db| db.retain(|_, (content, at)| {
            if let Content::Probe(_, deadlines) = content {
                deadlines.clear();
            }
            at.is_none() && !content.is_vacant()
        }));
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
}
