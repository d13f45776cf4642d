//! CRC-64 as Redis uses it (Jones's polynomial, reflected, from 0), with the processor's instructions.

use crc_fast::CrcAlgorithm::Crc64Redis;
use crc_fast::Digest;

/// The checksum of these bytes.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(Crc64Redis, bytes)
}

/// The checksum of bytes that come one after the other.
#[derive(Clone, Debug)]
pub(super) struct Checksum(Digest);

impl Checksum {
    pub(super) fn new() -> Self {
        Self(Digest::new(Crc64Redis))
    }

    #[inline]
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_redis() {
        // What `crc64` of Redis says of this text.
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let long: Vec<u8> = (0..100_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        for split in [0, 1, 15, 16, 4097, 99_999] {
            let mut parts = Checksum::new();
            parts.update(&long[..split]);
            parts.update(&long[split..]);
            assert_eq!(parts.value(), checksum(&long));
        }
    }
}
