//! Which register an element belongs to, and what it raises it to.

/// Redis's seed: counts of the same elements must agree.
const SEED: u64 = 0xadc8_3b19;

/// The register of an element, and the length of its run of zeros, counted from 1.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, SEED);
    let index = hash as usize % super::REGISTERS;
    // The bit above the 50 that are left ends every run.
    let run = hash >> 14 | 1 << 50;
    (index, run.trailing_zeros() as u8 + 1)
}

/// MurmurHash2, 64-bit version A, by Austin Appleby. Not for hash tables: collisions are easily made.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let word = u64::from_le_bytes(std::array::from_fn(|at| word[at])).wrapping_mul(M);
        hash = (hash ^ (word ^ word >> R).wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_elements_where_redis_does() {
        // PFADD of each to an empty key, then PFDEBUG DECODE, in Redis 7.0.
        assert_eq!(place(b"a"), (12711, 2));
        assert_eq!(place(b"c"), (8436, 1));
        assert_eq!(place(b"b"), (15780, 1));
    }
}
