//! How many nodes Redis has in the radix tree in which it keeps the blocks of a stream: `XINFO STREAM` tells it.

use super::StreamId;

/// Bytes of a key: both halves of an id, most significant byte first.
const KEY_LEN: u32 = 16;

/// The number of nodes of the radix tree with these keys, which ascend.
///
/// A node is either a fork, which holds the next byte of each of its ways, or a run of bytes without a fork, or the end of a key.
pub(super) fn radix_nodes(ids: impl Iterator<Item = StreamId>) -> u64 {
    // The depths of the forks on the way to the last key.
    let mut forks: Vec<u32> = Vec::new();
    let mut nodes = 0;
    let mut before: Option<u128> = None;
    // The way from a fork (or the root) down to a node: its first byte is in the fork, the others are a run.
    let run = |from: Option<&u32>, to: u32| u64::from(to > from.map_or(0, |fork| fork + 1));
    for id in ids {
        let key = u128::from(id.ms) << 64 | u128::from(id.seq);
        nodes += 1; // its end
        if let Some(before) = before {
            let depth = (before ^ key).leading_zeros() / 8;
            // Ways that no further key takes are finished.
            let mut end = KEY_LEN;
            while let Some(fork) = forks.pop_if(|fork| *fork > depth) {
                nodes += run(Some(&fork), end) + 1;
                end = fork;
            }
            if forks.last() != Some(&depth) {
                forks.push(depth);
            }
            nodes += run(Some(&depth), end);
        }
        before = Some(key);
    }
    if before.is_none() {
        return 1; // the empty root
    }
    let mut end = KEY_LEN;
    while let Some(fork) = forks.pop() {
        nodes += run(Some(&fork), end) + 1;
        end = fork;
    }
    nodes + run(None, end)
}

impl super::Entries {
    /// How many nodes the radix tree has in which Redis keeps these blocks.
    pub fn radix_nodes(&self) -> u64 {
        radix_nodes(self.block_ids())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ids: &[(u64, u64)]) -> u64 {
        radix_nodes(ids.iter().map(|(ms, seq)| StreamId::new(*ms, *seq)))
    }

    #[test]
    fn counts_by_hand() {
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[(1, 1)]), 2);
        // A common run, a fork in the last byte, two ends.
        assert_eq!(count(&[(1, 1), (1, 2)]), 4);
        // A fork in the byte before: a run behind each way.
        assert_eq!(count(&[(1, 1), (1, 256)]), 6);
        // A fork in the first byte.
        assert_eq!(count(&[(1, 1), (1 << 56, 1)]), 5);
        assert_eq!(count(&[(1, 1), (1, 2), (1, 3)]), 5);
        assert_eq!(count(&[(1, 1), (1, 2), (1, 256)]), 7);
    }
}
