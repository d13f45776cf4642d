//! The hash of a member: SipHash-1-3 with a seed of the process.

use std::sync::OnceLock;

use siphasher::sip::SipHasher13;

static HASHER: OnceLock<SipHasher13> = OnceLock::new();

/// Sets the seed of all dictionaries of this process: random in production, so that nobody can choose members that collide. Returns
/// false, and changes nothing, if a member was hashed before; without a call the seed is a fixed one, for tests.
pub fn seed_member_hashes(seed: (u64, u64)) -> bool {
    HASHER
        .set(SipHasher13::new_with_keys(seed.0, seed.1))
        .is_ok()
}

/// The hash by which dictionaries file a member: the same in all of them as long as the process lives.
#[inline]
pub fn member_hash(member: &[u8]) -> u64 {
    HASHER
        .get_or_init(|| SipHasher13::new_with_keys(0x6d65_6d62_6572, 0x7365_6564))
        .hash(member)
}
