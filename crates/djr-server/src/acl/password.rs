//! Passwords: only their SHA-256 is kept, and comparing takes the same time whatever is compared.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// From 64 lower-case hexadecimal digits.
    pub(super) fn parse(hex: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = hex.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(digest))
    }

    /// Whether any of these is the digest: looks at all of them.
    pub(super) fn is_among(&self, known: &[Digest]) -> bool {
        let found = known.iter().fold(subtle::Choice::from(0), |found, known| {
            found | known.0.ct_eq(&self.0)
        });
        found.into()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_there_and_back() {
        let digest = Digest::of(b"p");
        let hex = "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940";
        assert_eq!(digest.to_string(), hex);
        assert_eq!(Digest::parse(hex.as_bytes()), Some(digest));
        assert_eq!(Digest::parse(hex.to_uppercase().as_bytes()), None);
        assert_eq!(Digest::parse(&hex.as_bytes()[1..]), None);
        assert_eq!(Digest::parse(b""), None);
    }

    #[test]
    fn found_among_many_or_not() {
        let known = [Digest::of(b"a"), Digest::of(b"b")];
        assert!(Digest::of(b"a").is_among(&known));
        assert!(Digest::of(b"b").is_among(&known));
        assert!(!Digest::of(b"c").is_among(&known));
        assert!(!Digest::of(b"").is_among(&[]));
    }
}
