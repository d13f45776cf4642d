//! Memory classes: which keys share a limit and an eviction policy.
//!
//! A key belongs to the class with the longest prefix of it (of those with the same prefix, to one that names the key's db), else to
//! the class of its db, else to the default class, which is number 0 and takes `maxmemory-policy`.
//!
//! What a class of whole dbs takes follows from the dbs' own counters. What the keys of a prefix take is counted as they change, but
//! only while there is a class with a prefix: [`Classes::has_prefixes`].

use std::sync::Arc;

use super::access::Access;
use super::hash::Footprint;
use super::keyspace::Keyspace;

/// The number of a class: 0 is the default class, the others follow in the order of their configuration.
pub type ClassId = usize;

/// So many classes there may be, the default one included.
pub const CLASSES_MAX: usize = 32;

/// What is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionOrder {
    /// What was not used for longest.
    Lru,
    /// What is used least often.
    Lfu,
    /// Anything.
    Random,
    /// What expires next.
    Ttl,
}

/// What may be evicted, and what of it first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictionPolicy {
    /// `None`: nothing is evicted.
    pub order: Option<EvictionOrder>,
    /// Only keys with a deadline are.
    pub volatile_only: bool,
}

/// Every policy under its name, in the order of `maxmemory-policy`'s values.
pub const EVICTION_POLICIES: [(&str, EvictionPolicy); 8] = {
    use EvictionOrder::{Lfu, Lru, Random, Ttl};
    const fn policy(order: EvictionOrder, volatile_only: bool) -> EvictionPolicy {
        EvictionPolicy {
            order: Some(order),
            volatile_only,
        }
    }
    [
        ("volatile-lru", policy(Lru, true)),
        ("volatile-lfu", policy(Lfu, true)),
        ("volatile-random", policy(Random, true)),
        ("volatile-ttl", policy(Ttl, true)),
        ("allkeys-lru", policy(Lru, false)),
        ("allkeys-lfu", policy(Lfu, false)),
        ("allkeys-random", policy(Random, false)),
        ("noeviction", NO_EVICTION),
    ]
};

/// `noeviction`.
const NO_EVICTION: EvictionPolicy = EvictionPolicy {
    order: None,
    volatile_only: false,
};

impl EvictionPolicy {
    /// The policy of this name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        let is_it = |known: &&(&str, Self)| name.eq_ignore_ascii_case(known.0.as_bytes());
        EVICTION_POLICIES
            .iter()
            .find(is_it)
            .map(|(_, policy)| *policy)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = EVICTION_POLICIES.iter().find(|(_, known)| *known == self);
        found.map_or("noeviction", |(name, _)| *name)
    }

    /// Whether it needs the counters of accesses.
    pub fn is_lfu(self) -> bool {
        self.order == Some(EvictionOrder::Lfu)
    }
}

/// Keys that share a limit and an eviction policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryClass {
    /// Its name.
    pub name: String,
    /// The dbs that it is for; none: all of them.
    pub dbs: Vec<u32>,
    /// What its keys begin with, one of these; none: with anything.
    pub prefixes: Vec<Box<[u8]>>,
    /// Bytes that its keys may take; 0: only `maxmemory` limits them.
    pub limit: u64,
    /// What is evicted when that is too little.
    pub policy: EvictionPolicy,
}

/// All classes but the default one, and how a key finds its own.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    list: Vec<MemoryClass>,
    /// Prefix, db (`None`: any) and class; longest prefixes first, those with a db before those without.
    prefixes: Vec<(Box<[u8]>, Option<u32>, ClassId)>,
    /// The class of each db that has one of its own.
    dbs: Vec<(u32, ClassId)>,
    /// The policy of the keys that belong to none.
    default_policy: EvictionPolicy,
}

impl Classes {
    /// These classes, and `default_policy` for the keys that belong to none. At most [`CLASSES_MAX`]` - 1`: others are ignored.
    pub fn new(mut list: Vec<MemoryClass>, default_policy: EvictionPolicy) -> Self {
        list.truncate(CLASSES_MAX - 1);
        let (mut prefixes, mut dbs) = (Vec::new(), Vec::new());
        for (class, id) in list.iter().zip(1..) {
            for prefix in &class.prefixes {
                if class.dbs.is_empty() {
                    prefixes.push((prefix.clone(), None, id));
                }
                let of_dbs = class.dbs.iter();
                prefixes.extend(of_dbs.map(|db| (prefix.clone(), Some(*db), id)));
            }
            if class.prefixes.is_empty() {
                dbs.extend(class.dbs.iter().map(|db| (*db, id)));
            }
        }
        prefixes.sort_by_key(|(prefix, db, _)| (std::cmp::Reverse(prefix.len()), db.is_none()));
        Self {
            list,
            prefixes,
            dbs,
            default_policy,
        }
    }

    /// The class that a key belongs to.
    pub fn class_of(&self, db: u32, key: &[u8]) -> ClassId {
        self.prefix_class_of(db, key)
            .unwrap_or_else(|| self.class_of_db(db))
    }

    /// The class that the key belongs to for what it begins with.
    pub fn prefix_class_of(&self, db: u32, key: &[u8]) -> Option<ClassId> {
        let of_key = |(prefix, of, _): &&(Box<[u8]>, Option<u32>, ClassId)| {
            of.is_none_or(|of| of == db) && key.starts_with(prefix)
        };
        self.prefixes.iter().find(of_key).map(|(_, _, id)| *id)
    }

    /// The class of those keys of a db that belong to none for what they begin with.
    pub fn class_of_db(&self, db: u32) -> ClassId {
        let found = self.dbs.iter().find(|(of, _)| *of == db);
        found.map_or(0, |(_, id)| *id)
    }

    /// How many there are, the default one included.
    pub fn count(&self) -> usize {
        self.list.len() + 1
    }

    /// A class; `None` for the default one, and where there is none.
    pub fn get(&self, id: ClassId) -> Option<&MemoryClass> {
        self.list.get(id.checked_sub(1)?)
    }

    /// Whether these are the same classes and policies.
    pub fn is_same(&self, other: &Self) -> bool {
        self.list == other.list && self.default_policy == other.default_policy
    }

    /// All but the default one, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ClassId, &MemoryClass)> {
        (1..).zip(&self.list)
    }

    /// The policy of a class, the default one included.
    pub fn policy(&self, id: ClassId) -> EvictionPolicy {
        self.get(id)
            .map_or(self.default_policy, |class| class.policy)
    }

    /// Whether some class is one of a prefix, so that the memory of keys must be counted by their names.
    pub fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// Whether a key of this db may belong to the class.
    pub fn reaches(&self, id: ClassId, db: u32) -> bool {
        match self.get(id) {
            Some(class) => class.dbs.is_empty() || class.dbs.contains(&db),
            None => self.class_of_db(db) == 0,
        }
    }

    /// Whether keys of a db have to be looked at to know whether they belong to the class.
    pub(super) fn is_mixed(&self) -> bool {
        self.has_prefixes()
    }
}

impl Keyspace {
    /// The memory classes.
    pub fn classes(&self) -> Arc<Classes> {
        self.classes.read().clone()
    }

    /// Puts other memory classes in force. Shard by shard: what the keys of prefixes take is counted anew, each shard closed meanwhile.
    pub fn set_classes(&self, classes: Classes) {
        let classes = Arc::new(classes);
        let policies = || (0..classes.count()).map(|id| classes.policy(id).is_lfu());
        self.clock().set_mode(
            policies().all(|is_lfu| is_lfu),
            policies().any(|is_lfu| is_lfu),
        );
        *self.classes.write() = classes.clone();
        for shard in 0..self.shards() {
            let mut access = self.open(Footprint::of(shard), 0);
            access.set_classes_of(shard, &classes);
        }
    }

    /// Bytes that the keys of a class take: entries, and for classes of whole dbs their tables and expiry indexes as well.
    pub fn class_bytes(&self, id: ClassId) -> usize {
        let classes = self.classes();
        match classes.get(id) {
            Some(class) if class.prefixes.is_empty() => {
                let of_db = |db: &&u32| classes.class_of_db(**db) == id && **db < self.dbs();
                let dbs = class.dbs.iter().filter(of_db);
                dbs.map(|db| self.db_bytes_unclassed(*db)).sum()
            }
            Some(_) => self.prefix_bytes(id),
            None => {
                let others = (1..classes.count()).map(|id| self.class_bytes(id));
                self.used_bytes().saturating_sub(others.sum())
            }
        }
    }
}

impl Access<'_> {
    fn set_classes_of(&mut self, shard: u32, classes: &Arc<Classes>) {
        let keyspace = self.keyspace;
        let state = self.state_mut(shard);
        state.counts_classes = classes.has_prefixes();
        state.classes = classes.clone();
        state.count_classes_anew(keyspace, keyspace.shard(shard));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, dbs: &[u32], prefixes: &[&str]) -> MemoryClass {
        MemoryClass {
            name: name.into(),
            dbs: dbs.to_vec(),
            prefixes: prefixes
                .iter()
                .map(|prefix| prefix.as_bytes().into())
                .collect(),
            ..MemoryClass::default()
        }
    }

    #[test]
    fn a_key_belongs_to_its_longest_prefix_else_to_its_db() {
        let classes = Classes::new(
            vec![
                class("cache", &[1], &[]),
                class("c", &[], &["c:"]),
                class("cd", &[], &["c:d:", "x"]),
                class("c2", &[2], &["c:"]),
            ],
            EvictionPolicy::default(),
        );
        for (db, key, id) in [
            (0, "k", 0),
            (1, "k", 1),
            (1, "c:1", 2),
            (0, "c:d:", 3),
            (2, "c:1", 4),
            (2, "c:d:1", 3),
            (2, "xyz", 3),
            (2, "c", 0),
        ] {
            assert_eq!(classes.class_of(db, key.as_bytes()), id, "{db} {key}");
        }
        assert!(classes.reaches(0, 0) && !classes.reaches(0, 1) && classes.reaches(2, 1));
        assert!(!classes.reaches(4, 1));
    }

    #[test]
    fn policies_have_the_names_of_redis() {
        for (name, policy) in EVICTION_POLICIES {
            assert_eq!(
                EvictionPolicy::named(name.to_uppercase().as_bytes()),
                Some(policy)
            );
            assert_eq!(policy.name(), name);
        }
        assert_eq!(EvictionPolicy::named(b"lru"), None);
        assert_eq!(EvictionPolicy::default().name(), "noeviction");
    }
}
