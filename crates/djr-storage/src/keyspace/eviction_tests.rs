//! Memory classes count exactly, and what is evicted is what the policy says.

use proptest::prelude::*;

use super::{
    Access, Classes, Eviction, EvictionPolicy, EvictionTask, Expire, Footprint, Keyspace,
    KeyspaceOptions, MemoryClass, VictimPool,
};
use crate::types::List;
use crate::types::list::End;

const START: i64 = 1_700_000_000_000;

fn class(name: &str, dbs: &[u32], prefix: &str, policy: &str) -> MemoryClass {
    MemoryClass {
        name: name.into(),
        dbs: dbs.to_vec(),
        prefixes: [prefix]
            .into_iter()
            .filter(|prefix| !prefix.is_empty())
            .map(|prefix| prefix.as_bytes().into())
            .collect(),
        limit: 0,
        policy: policy_named(policy),
    }
}

fn policy_named(name: &str) -> EvictionPolicy {
    EvictionPolicy::named(name.as_bytes()).expect("a policy")
}

fn keyspace(shards: u32) -> Keyspace {
    Keyspace::new(KeyspaceOptions {
        dbs: 4,
        shards,
        hash_seed: (3, 4),
    })
}

fn set(access: &mut Access<'_>, db: u32, key: &str, len: usize, expire: Expire) {
    let mut db = access.db_mut(db);
    let key = db.key(key.as_bytes());
    db.set_string(key, &vec![b'x'; len], expire);
}

/// Evicts until nothing is left, or so many times. Returns the keys, in order, with their dbs.
fn evict(keyspace: &Keyspace, class: usize, now: i64, times: usize) -> Vec<(u32, String)> {
    let classes = keyspace.classes();
    let task = EvictionTask {
        classes: &classes,
        class,
        samples: 5,
        now,
    };
    let (mut pool, mut evicted, mut random) = (VictimPool::default(), Vec::new(), 1_u64);
    for _ in 0..100_000 {
        let before = keyspace.used_bytes();
        let eviction = keyspace.evict(
            &task,
            &mut pool,
            &mut || {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                random ^ random >> 31
            },
            &mut |db, key| evicted.push((db, String::from_utf8_lossy(key).into_owned())),
            &mut |_| {},
        );
        match eviction {
            Eviction::Done(bytes) => {
                assert!(bytes > 0 && keyspace.used_bytes() <= before - bytes + 4096)
            }
            Eviction::Searching => {}
            Eviction::Nothing => break,
        }
        if evicted.len() == times {
            break;
        }
    }
    evicted
}

#[derive(Clone, Debug)]
enum Step {
    Set(u32, u8, usize, bool),
    Append(u32, u8, usize),
    Push(u32, u8, usize),
    Expire(u32, u8, bool),
    Remove(u32, u8),
    Rename(u32, u8, u32, u8),
    Flush(u32),
    Swap(u32, u32),
    Evict(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let db = || 0..3_u32;
    let key = 0..24_u8;
    prop_oneof![
        6 => (db(), key.clone(), 0..3000_usize, any::<bool>()).prop_map(|(db, key, len, ttl)| Step::Set(db, key, len, ttl)),
        2 => (db(), key.clone(), 0..2000_usize).prop_map(|(db, key, len)| Step::Append(db, key, len)),
        4 => (db(), key.clone(), 0..300_usize).prop_map(|(db, key, len)| Step::Push(db, key, len)),
        2 => (db(), key.clone(), any::<bool>()).prop_map(|(db, key, on)| Step::Expire(db, key, on)),
        3 => (db(), key.clone()).prop_map(|(db, key)| Step::Remove(db, key)),
        1 => (db(), key.clone(), db(), key).prop_map(|(db, key, to, new)| Step::Rename(db, key, to, new)),
        1 => db().prop_map(Step::Flush),
        1 => (db(), db()).prop_map(|(a, b)| Step::Swap(a, b)),
        1 => (0..4_usize).prop_map(Step::Evict),
    ]
}

fn name(key: u8) -> String {
    let prefix = ["", "a:", "a:b:", "c:"][usize::from(key) % 4];
    format!("{prefix}{key}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn what_classes_take_is_counted_exactly(steps in proptest::collection::vec(step(), 1..120)) {
        let keyspace = keyspace(4);
        let classes = vec![
            class("one", &[1], "", "allkeys-lru"),
            class("a", &[], "a:", "allkeys-lfu"),
            class("ab", &[0, 2], "a:b:", "volatile-ttl"),
        ];
        keyspace.set_classes(Classes::new(classes.clone(), policy_named("allkeys-random")));
        for step in steps {
            let mut access = keyspace.open(Footprint::ALL, START);
            match step {
                Step::Set(db, key, len, ttl) => {
                    let expire = if ttl { Expire::At(START + 1000) } else { Expire::Clear };
                    set(&mut access, db, &name(key), len, expire);
                }
                Step::Append(db, key, len) => {
                    let (mut db, name) = (access.db_mut(db), name(key));
                    let key = db.key(name.as_bytes());
                    if let Some(mut entry) = db.get_mut(key) && entry.entry().as_string().is_some() {
                        entry.append(&vec![b'y'; len]);
                    }
                }
                Step::Push(db, key, len) => {
                    let (mut db, name) = (access.db_mut(db), name(key));
                    let key = db.key(name.as_bytes());
                    let limits = Default::default();
                    let _ = db.update_or_insert(key, List::default, |list: &mut List| {
                        list.push(End::Back, [&vec![b'z'; len][..]].into_iter(), limits);
                    });
                }
                Step::Expire(db, key, on) => {
                    let (mut db, name) = (access.db_mut(db), name(key));
                    let key = db.key(name.as_bytes());
                    db.set_expire(key, on.then_some(START + 5000));
                }
                Step::Remove(db, key) => {
                    let (mut db, name) = (access.db_mut(db), name(key));
                    let key = db.key(name.as_bytes());
                    db.remove(key);
                }
                Step::Rename(db, key, to, new) => {
                    let (mut db, old, new) = (access.db_mut(db), name(key), name(new));
                    let (old, new) = (db.key(old.as_bytes()), db.key(new.as_bytes()));
                    if let Some(entry) = db.take(old) {
                        db.other(to).put(new, entry);
                    }
                }
                Step::Flush(db) => {
                    access.flush(Some(db), false);
                }
                Step::Swap(a, b) => access.swap_dbs(a, b),
                Step::Evict(class) => {
                    drop(access);
                    evict(&keyspace, class, START, 2);
                }
            }
        }
        let counted: Vec<_> = (0..4).map(|id| keyspace.class_bytes(id)).collect();
        let total: usize = counted.iter().sum();
        prop_assert_eq!(total, keyspace.used_bytes());
        keyspace.set_classes(Classes::new(classes, policy_named("allkeys-random")));
        let anew: Vec<_> = (0..4).map(|id| keyspace.class_bytes(id)).collect();
        prop_assert_eq!(counted, anew);
    }
}

#[test]
fn only_keys_of_the_class_are_evicted_and_all_of_them() {
    let keyspace = keyspace(8);
    let classes = vec![
        class("cache", &[1], "", "allkeys-random"),
        class("rare", &[], "rare:", "allkeys-lru"),
    ];
    keyspace.set_classes(Classes::new(classes, policy_named("noeviction")));
    let mut access = keyspace.open(Footprint::ALL, START);
    for number in 0..3000 {
        set(&mut access, 0, &format!("k{number}"), 10, Expire::Clear);
    }
    for number in 0..50 {
        set(&mut access, 1, &format!("k{number}"), 10, Expire::Clear);
        set(&mut access, 1, &format!("rare:{number}"), 10, Expire::Clear);
    }
    // One in three thousand: draws do not find it, a search does.
    set(&mut access, 0, "rare:one", 10, Expire::Clear);
    drop(access);
    assert_eq!(evict(&keyspace, 0, START, usize::MAX), []);
    let cache = evict(&keyspace, 1, START, usize::MAX);
    assert_eq!(cache.len(), 50);
    assert!(
        cache
            .iter()
            .all(|(db, key)| *db == 1 && key.starts_with('k'))
    );
    let rare = evict(&keyspace, 2, START, usize::MAX);
    assert_eq!(rare.len(), 51);
    assert!(rare.iter().all(|(_, key)| key.starts_with("rare:")));
    assert_eq!((keyspace.len(0), keyspace.len(1)), (3000, 0));
    assert_eq!(keyspace.class_bytes(2), 0);
}

#[test]
fn volatile_policies_leave_keys_without_deadline_alone() {
    let keyspace = keyspace(4);
    keyspace.set_classes(Classes::new(Vec::new(), policy_named("volatile-ttl")));
    let mut access = keyspace.open(Footprint::ALL, START);
    for number in 0..500 {
        set(&mut access, 0, &format!("k{number}"), 10, Expire::Clear);
        set(
            &mut access,
            0,
            &format!("t{number}"),
            10,
            Expire::At(START + 1000 + number * 10),
        );
    }
    drop(access);
    let evicted = evict(&keyspace, 0, START, usize::MAX);
    assert_eq!(evicted.len(), 500);
    let numbers: Vec<usize> = evicted
        .iter()
        .map(|(_, key)| key[1..].parse().expect("t and a number"))
        .collect();
    // Not in exact order, but what expires soon goes first.
    let early = |half: &[usize]| half.iter().sum::<usize>() / half.len();
    assert!(early(&numbers[..100]) < 150, "{}", early(&numbers[..100]));
    assert!(early(&numbers[400..]) > 300);
}

#[test]
fn what_was_not_used_for_long_or_often_goes_first() {
    for policy in ["allkeys-lru", "allkeys-lfu"] {
        let keyspace = keyspace(4);
        keyspace.set_classes(Classes::new(Vec::new(), policy_named(policy)));
        let mut access = keyspace.open(Footprint::ALL, START);
        for number in 0..2000 {
            set(&mut access, 0, &format!("k{number}"), 10, Expire::Clear);
        }
        drop(access);
        // Half of them are used.
        let later = START + 30_000;
        let access = keyspace.open(Footprint::ALL, later);
        for number in 0..1000 {
            for _ in 0..50 {
                access
                    .db(0)
                    .get(keyspace.key(format!("k{number}").as_bytes()));
            }
        }
        drop(access);
        let evicted = evict(&keyspace, 0, later, 800);
        let used = evicted
            .iter()
            .filter(|(_, key)| key[1..].parse::<u32>().is_ok_and(|number| number < 1000));
        assert!(used.count() < 20, "{policy}");
    }
}
