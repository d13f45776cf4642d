use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMITS: HashLimits = HashLimits {
    max_listpack_entries: 8,
    max_listpack_value: 12,
};

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, FieldExpire),
    SetMany(u8, u8),
    Remove(u8),
    SetExpire(u8, Option<UnixMillis>),
    /// Time goes on.
    Pass(i64),
    RemoveExpired(usize),
    Clone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 1..60i64;
    let expire = prop_oneof![
        3 => Just(FieldExpire::Clear),
        2 => Just(FieldExpire::Keep),
        2 => at.clone().prop_map(FieldExpire::At),
    ];
    let step = prop_oneof![
        8 => (0..14u8, 0..40u8, expire).prop_map(|(field, value, expire)| Step::Set(field, value, expire)),
        1 => (0..100u8, 0..100u8).prop_map(|(first, count)| Step::SetMany(first, count)),
        3 => (0..14u8).prop_map(Step::Remove),
        4 => (0..14u8, proptest::option::weighted(0.7, at)).prop_map(|(field, at)| Step::SetExpire(field, at)),
        3 => (0..15i64).prop_map(Step::Pass),
        2 => (0..5usize).prop_map(Step::RemoveExpired),
        1 => Just(Step::Clone),
    ];
    proptest::collection::vec(step, 1..50)
}

/// Integers, short texts, one that is too long for a packed hash.
fn text(number: u8) -> Vec<u8> {
    match number {
        13 => b"a field that is too long".to_vec(),
        0..7 | 14..20 => number.to_string().into_bytes(),
        _ => format!("t{number}").into_bytes(),
    }
}

/// The clock of a machine may be set back.
#[test]
fn counts_what_is_past_whichever_way_the_clock_goes() {
    let mut hash = Hash::new();
    for number in 1..=100 {
        let field = format!("f{number}");
        let expire = FieldExpire::At(number);
        hash.put(field.as_bytes(), b"v", expire, 0, LIMITS);
    }
    for now in [10, 50, 50, 20, 0, 99, 30, 1000] {
        assert_eq!(hash.len(now), 100 - (now - 1).clamp(0, 100) as usize);
        hash.check_invariants();
    }
    hash.set_expire(b"f70", None, 40);
    hash.set_expire(b"f80", Some(35), 40);
    assert_eq!(hash.len(40), 60);
    assert_eq!(hash.len(1000), 1);
    hash.check_invariants();
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<UnixMillis>)>;

struct Pair {
    hash: Hash,
    model: Model,
    now: UnixMillis,
}

impl Pair {
    /// What is past its deadline is not there for whoever writes.
    fn forget(&mut self, field: &[u8]) {
        if self
            .model
            .get(field)
            .is_some_and(|(_, at)| is_past(*at, self.now))
        {
            self.model.remove(field);
        }
    }

    fn set(&mut self, field: Vec<u8>, value: Vec<u8>, expire: FieldExpire) {
        self.forget(&field);
        let is_new = self.hash.put(&field, &value, expire, self.now, LIMITS);
        let before = self.model.get(&field).map(|(_, at)| *at);
        let at = match expire {
            FieldExpire::Clear => None,
            FieldExpire::Keep => before.flatten(),
            FieldExpire::At(at) => Some(at),
        };
        assert_eq!(is_new, before.is_none());
        self.model.insert(field, (value, at));
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Set(field, value, expire) => self.set(text(field), text(value), expire),
            Step::SetMany(first, count) => {
                self.hash.prepare(usize::from(count), 2, LIMITS);
                for number in first..first.saturating_add(count) {
                    self.set(text(number), text(number), FieldExpire::Keep);
                }
            }
            Step::Remove(field) => {
                let field = text(field);
                self.forget(&field);
                assert_eq!(
                    self.hash.remove(&field, self.now),
                    self.model.remove(&field).is_some()
                );
            }
            Step::SetExpire(field, at) => {
                let field = text(field);
                self.forget(&field);
                let found = self.hash.set_expire(&field, at, self.now);
                assert_eq!(found, self.model.contains_key(&field));
                if let Some((_, expire_at)) = self.model.get_mut(&field) {
                    *expire_at = at;
                }
            }
            Step::Pass(time) => self.now += time,
            Step::RemoveExpired(max) => {
                let mut removed = Vec::new();
                let count = self
                    .hash
                    .expire_parts(self.now, max, &mut |field| removed.push(field.to_vec()));
                assert_eq!(count, removed.len());
                let mut past = Vec::new();
                for field in removed {
                    past.push(self.model.remove(&field).and_then(|(_, at)| at));
                }
                assert!(past.is_sorted());
                assert!(past.iter().all(|at| is_past(*at, self.now)));
                let left = self.model.values().any(|(_, at)| is_past(*at, self.now));
                assert!(count == max || !left);
            }
            Step::Clone => self.hash = self.hash.clone(),
        }
    }

    fn live(&self) -> Model {
        let mut live = self.model.clone();
        live.retain(|_, (_, at)| !is_past(*at, self.now));
        live
    }

    fn check(&self) {
        let (hash, now) = (&self.hash, self.now);
        hash.check_invariants();
        assert_eq!(hash.total_len(), self.model.len());
        assert_eq!(hash.is_vacant(), self.model.is_empty());
        let first = self.model.values().filter_map(|(_, at)| *at).min();
        assert_eq!(hash.next_expire(), first);
        let live = self.live();
        assert_eq!(hash.len(now), live.len());
        assert_eq!(all(hash, now), live);
        for (field, (value, at)) in &live {
            let found = hash.get(field, now).unwrap();
            assert_eq!(
                (found.value.to_vec(), found.expire_at),
                (value.clone(), *at)
            );
        }
        for number in 0..20 {
            assert_eq!(
                hash.contains(&text(number), now),
                live.contains_key(&text(number))
            );
        }
        let (mut cursor, mut scanned) = (0, Model::new());
        loop {
            cursor = hash.scan(cursor, 3, now, |field, value| {
                let before =
                    scanned.insert(field.to_vec(), (value.value.to_vec(), value.expire_at));
                assert_eq!(before, None);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, live);
    }

    fn check_samples(&self, seed: u64) {
        let live = self.live();
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let drawn = self.hash.random(self.now, &mut random);
        assert_eq!(drawn.is_some(), !live.is_empty());
        for count in [
            0,
            1,
            2,
            live.len() / 4,
            live.len() / 2,
            live.len(),
            live.len() + 3,
        ] {
            let mut sample = Model::new();
            self.hash
                .sample(count, self.now, &mut random, |(field, value)| {
                    let before =
                        sample.insert(field.to_vec(), (value.value.to_vec(), value.expire_at));
                    assert_eq!(before, None, "different fields");
                });
            assert_eq!(sample.len(), count.min(live.len()));
            assert!(
                sample
                    .iter()
                    .all(|(field, value)| live.get(field) == Some(value))
            );
            let mut drawn = 0;
            self.hash
                .sample_repeating(count, self.now, &mut random, |(field, _)| {
                    assert!(live.contains_key(&field.to_vec()));
                    drawn += 1;
                });
            assert_eq!(drawn, if live.is_empty() { 0 } else { count });
        }
    }
}

fn all(hash: &Hash, now: UnixMillis) -> Model {
    hash.iter(now)
        .map(|(field, value)| (field.to_vec(), (value.value.to_vec(), value.expire_at)))
        .collect()
}

proptest! {
    #[test]
    fn behaves_like_a_map(steps in steps(), seed: u64) {
        let mut pair = Pair { hash: Hash::new(), model: Model::new(), now: 0 };
        for step in &steps {
            pair.apply(step);
            pair.check();
        }
        pair.check_samples(seed);
    }

    /// The commands that are written for a hash make it again, in the same order.
    #[test]
    fn written_commands_make_the_hash_again(steps in steps()) {
        let mut pair = Pair { hash: Hash::new(), model: Model::new(), now: 0 };
        steps.iter().for_each(|step| pair.apply(step));
        let mut again = Hash::new();
        pair.hash.rewrite(b"key", &mut |args| match args {
            [b"HSET", b"key", rest @ ..] => rest.chunks(2).for_each(|field| {
                again.put(field[0], field[1], FieldExpire::Clear, i64::MIN, LIMITS);
            }),
            [b"HPEXPIREAT", b"key", at, b"FIELDS", b"1", field] => {
                let at = std::str::from_utf8(at).unwrap().parse().unwrap();
                assert!(again.set_expire(field, Some(at), i64::MIN));
            }
            _ => panic!("{args:?}"),
        });
        prop_assert_eq!(all(&again, i64::MIN), pair.model);
        if pair.hash.encoding() != Encoding::Hashtable && again.encoding() != Encoding::Hashtable {
            let order = |hash: &Hash| hash.iter(i64::MIN).map(|(field, _)| field.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(order(&again), order(&pair.hash));
        }
    }
}

fn names(hash: &Hash) -> String {
    let names: Vec<_> = hash
        .iter(0)
        .map(|(field, _)| String::from_utf8(field.to_vec()).unwrap())
        .collect();
    names.join(" ")
}

/// The order in which Redis 8 lists the fields of such a hash.
#[test]
fn deadlines_order_the_fields_of_a_packed_hash() {
    let mut hash = Hash::new();
    for field in [b"a", b"b", b"c", b"d"] {
        hash.put(field, b"1", FieldExpire::Clear, 0, LIMITS);
    }
    assert_eq!(hash.encoding(), Encoding::Listpack);
    for field in [b"d", b"b", b"c"] {
        hash.set_expire(field, Some(70), 0);
    }
    assert_eq!(hash.encoding(), Encoding::ListpackEx);
    assert_eq!(names(&hash), "c b d a");
    hash.put(b"b", b"9", FieldExpire::Clear, 0, LIMITS);
    assert_eq!(names(&hash), "c d a b");
    hash.put(b"c", b"9", FieldExpire::Keep, 0, LIMITS);
    hash.set_expire(b"a", Some(60), 0);
    assert_eq!(names(&hash), "a c d b");
    hash.set_expire(b"c", None, 0);
    assert_eq!(names(&hash), "a d b c");
    assert_eq!(hash.next_expire(), Some(60));
}

#[test]
fn limits_make_a_table() {
    let set = |hash: &mut Hash, field: &[u8], value: &[u8]| {
        hash.put(field, value, FieldExpire::Clear, 0, LIMITS);
        hash.encoding()
    };
    let mut hash = Hash::new();
    for number in 0..8 {
        assert_eq!(set(&mut hash, &[b'a' + number], b"1"), Encoding::Listpack);
    }
    assert_eq!(set(&mut hash, b"a", b"exactly  12b"), Encoding::Listpack);
    assert_eq!(set(&mut hash, b"new", b"1"), Encoding::Hashtable);
    let mut hash = Hash::new();
    assert_eq!(set(&mut hash, b"f", b"13 bytes long"), Encoding::Hashtable);
    let mut hash = Hash::new();
    hash.prepare(9, 3, LIMITS);
    assert_eq!(hash.encoding(), Encoding::Hashtable);
}
