//! The keyspace in single scenes, during a scan, and from several threads. See `model_tests` for the rest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::Probe;
use crate::value::{Encoding, StringRef, Value, ValueRef};

pub(super) const DBS: u32 = 3;

pub(super) fn keyspace(shards: u32) -> Keyspace {
    Keyspace::new(KeyspaceOptions {
        dbs: DBS,
        shards,
        hash_seed: (1, 2),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 400 }, ..ProptestConfig::default() })]

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
    access.take_expired(&mut |db, what| {
        assert_eq!((db, what), (0, Expired::Key(b"k")));
        told.push(db);
    });
    assert_eq!(told.len(), 1);
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
    access.take_expired(&mut |db, _| told.push(db));
    assert_eq!(told.len(), 2);
}

/// For results that do not matter.
pub(super) fn forget<T>(_: T) {}

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
        !changed(&|access| forget(access.flush(None, false))),
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
    assert!(changed(&|access| forget(access.flush(Some(0), false))));
    assert!(!changed(&|access| forget(access.flush(Some(0), false))));
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

/// Whether a lent structure was changed is known only afterwards; what happens to its key is a change at once.
#[test]
fn watchers_of_a_structure_are_told_when_it_is_settled() {
    let keyspace = keyspace(4);
    let key = keyspace.key(b"k");
    let flag = WatchFlag::new();
    let mut access = keyspace.open(Footprint::ALL, 1000);
    let push = |access: &mut Access<'_>, bytes: &[u8]| {
        let mut db = access.db_mut(0);
        db.update_or_insert(key, Probe::default, |probe| {
            probe.bytes.extend_from_slice(bytes)
        })
        .unwrap();
    };
    let was_told = || {
        let was_set = flag.is_set();
        flag.clear();
        was_set
    };
    access.db_mut(0).watch(key, &flag);
    push(&mut access, b"new");
    assert!(was_told());
    assert!(!access.has_lent());
    push(&mut access, b"more");
    assert!(access.has_lent() && !was_told());
    access.settle_lent(true);
    assert!(was_told());
    push(&mut access, b"");
    access.settle_lent(false);
    assert!(!access.has_lent() && !was_told());
    push(&mut access, b"dropped unsettled");
    drop(access);
    assert!(was_told());

    let mut access = keyspace.open(Footprint::ALL, 1000);
    let emptied = |probe: &mut Probe| probe.bytes.clear();
    assert_eq!(access.db_mut(0).update(key, emptied), Ok(Some(())));
    access.settle_lent(false);
    assert!(was_told(), "the key is gone");
    assert_eq!(access.db_mut(0).update(key, emptied), Ok(None));
    assert!(!access.has_lent() && !was_told());
    access.db_mut(0).unwatch(key, &flag);
}

#[test]
fn many_fields_due_at_once_are_worked_off_in_steps() {
    let keyspace = keyspace(1);
    let count = if cfg!(miri) { 50 } else { 10_000 };
    let mut access = keyspace.open(Footprint::ALL, 0);
    for (name, rest) in [(b"emptied", ""), (b"remains", "something")] {
        let mut probe = Probe::default();
        probe.bytes.extend_from_slice(rest.as_bytes());
        probe.deadlines.extend(5_000..5_000 + count as i64);
        let key = access.keyspace().key(name);
        access
            .db_mut(0)
            .set_value(key, Value::from(probe), Expire::Clear);
    }
    drop(access);
    let none = keyspace.expire_step(0, 4_000, 100, &mut |_, _| {});
    assert_eq!(none.expired_fields, 0);
    let (mut fields, mut emptied, mut steps) = (0, Vec::new(), 0);
    loop {
        let progress = keyspace.expire_step(0, 100_000, 100, &mut |_, expired| match expired {
            Expired::Field { .. } => fields += 1,
            Expired::Fields { key, removed: true } => emptied.push(key.to_vec()),
            Expired::Fields { .. } => {}
            Expired::Key(key) => panic!("{key:?} has no deadline"),
        });
        assert!(progress.steps <= 108);
        assert_eq!(progress.expired, 0);
        steps += progress.steps;
        if !progress.more {
            break;
        }
    }
    assert_eq!(fields, 2 * count);
    assert_eq!(emptied, [b"emptied"]);
    assert!(steps < 3 * count, "{steps}");
    assert_eq!((keyspace.len(0), keyspace.sub_expires_len(0)), (1, 0));
}

/// Whoever changes a structure sees nothing that has expired, and the log has it before.
#[test]
fn an_update_removes_what_has_expired_first() {
    let keyspace = keyspace(1);
    let key = keyspace.key(b"k");
    let mut probe = Probe::default();
    probe.deadlines.extend([10, 20]);
    let mut access = keyspace.open(Footprint::ALL, 15);
    access
        .db_mut(0)
        .set_value(key, Value::from(probe), Expire::Clear);
    assert!(access.db(0).contains(key));
    let seen = access
        .db_mut(0)
        .update(key, |probe: &mut Probe| probe.deadlines.len());
    assert_eq!(seen, Ok(Some(1)));
    let mut told = Vec::new();
    access.take_expired(&mut |_, expired| told.push(format!("{expired:?}")));
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("Field {") && told[1].ends_with("removed: false }"),
        "{told:?}"
    );
    drop(access);
    let mut access = keyspace.open(Footprint::ALL, 25);
    let seen = access
        .db_mut(0)
        .update(key, |probe: &mut Probe| probe.deadlines.len());
    assert_eq!(seen, Ok(None));
    let mut told = Vec::new();
    access.take_expired(&mut |_, expired| told.push(format!("{expired:?}")));
    assert!(told[1].ends_with("removed: true }"), "{told:?}");
    assert!(!access.db(0).contains(key));
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

    keyspace.clock().set_mode(true, true);
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
                    for home in [a, b].map(|key| keyspace.prefetch(&turn, 0, key.hash)) {
                        home.and_then(Home::prefetch_entry)
                            .and_then(Home::prefetch_entry);
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
                            forget(keyspace.open(Footprint::ALL, round).flush(Some(0), false))
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

/// Emptying a db takes no longer for many keys: their memory is given back afterwards, step by step.
#[test]
fn what_is_emptied_is_freed_in_steps() {
    let keyspace = keyspace(1);
    for number in 0..10_000 {
        let name = format!("key:{number}");
        let key = keyspace.key(name.as_bytes());
        let mut access = keyspace.open(Footprint::ALL, 0);
        access.db_mut(0).set_string(key, &[b'x'; 40], Expire::Clear);
    }
    let used = || {
        keyspace.idle_step(0, 0);
        let access = keyspace.open(Footprint::ALL, 0);
        access.state(0).arena().used_bytes()
    };
    let before = used();
    assert_eq!(
        keyspace.open(Footprint::ALL, 0).flush(Some(0), false),
        10_000
    );
    assert_eq!(keyspace.open(Footprint::ALL, 0).db(0).len(), 0);
    assert_eq!(used(), before, "nothing was freed yet");
    let mut steps = 0;
    while keyspace.expire_step(0, 1, 1000, &mut |_, _| {}).more {
        steps += 1;
        assert!(steps < 1000);
    }
    assert!(steps > 5);
    assert_eq!(used(), 0);
}
