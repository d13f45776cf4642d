//! A worker's own subscribers by name.

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

use super::Kind;

/// The connections of one worker that have subscribed to a name, by their numbers.
#[derive(Default)]
pub(crate) struct Subscribers {
    kinds: [IndexMap<Bytes, IndexSet<usize>>; 3],
}

impl Subscribers {
    /// Adds a connection. The name as it is kept from now on, and how many connections have it.
    pub(super) fn add(&mut self, kind: Kind, name: &[u8], connection: usize) -> (Bytes, usize) {
        let names = &mut self.kinds[kind.index()];
        let index = match names.get_index_of(name) {
            Some(index) => index,
            None => {
                names
                    .insert_full(Bytes::copy_from_slice(name), IndexSet::new())
                    .0
            }
        };
        match names.get_index_mut(index) {
            Some((name, connections)) => {
                connections.insert(connection);
                (name.clone(), connections.len())
            }
            None => (Bytes::copy_from_slice(name), 0),
        }
    }

    /// Removes a connection. How many others have the name.
    pub(super) fn remove(&mut self, kind: Kind, name: &[u8], connection: usize) -> usize {
        let names = &mut self.kinds[kind.index()];
        let Some(connections) = names.get_mut(name) else {
            return 0;
        };
        connections.swap_remove(&connection);
        let left = connections.len();
        if left == 0 {
            names.swap_remove(name);
        }
        left
    }

    /// The connections that have subscribed to a name.
    pub(super) fn of(&self, kind: Kind, name: &[u8]) -> Option<&IndexSet<usize>> {
        let names = &self.kinds[kind.index()];
        // Most workers have no subscribers, and an empty map still hashes what it is asked for.
        if names.is_empty() {
            return None;
        }
        names.get(name)
    }

    /// All patterns and who has subscribed to them.
    pub(super) fn patterns(&self) -> &IndexMap<Bytes, IndexSet<usize>> {
        &self.kinds[Kind::Pattern.index()]
    }
}
