//! The dense form: six bits a register, the low bits of a byte first.

use super::{DENSE, ENCODING_AT, HEADER, REGISTERS, Registers};

/// The length of a dense HyperLogLog, header included, in bytes.
pub(super) const SIZE: usize = HEADER + REGISTERS * 6 / 8;

/// A register; `packed` are all of them.
pub(super) fn get(packed: &[u8], index: usize) -> u8 {
    let at = index * 6 / 8;
    let low = packed[at];
    let high = packed.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([low, high]) >> (index * 6 % 8) & 63) as u8
}

/// Sets a register to a value of six bits.
fn set(packed: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index * 6 / 8, index * 6 % 8);
    let (mask, bits) = (63_u16 << shift, u16::from(value) << shift);
    packed[at] = packed[at] & !(mask as u8) | bits as u8;
    if shift > 2 {
        packed[at + 1] = packed[at + 1] & !((mask >> 8) as u8) | (bits >> 8) as u8;
    }
}

/// Raises a register. Returns whether it was lower.
pub(super) fn raise(packed: &mut [u8], index: usize, value: u8) -> bool {
    let lower = get(packed, index) < value;
    if lower {
        set(packed, index, value);
    }
    lower
}

/// Raises each register to at least what it is here. Four registers are three bytes.
pub(super) fn merge(packed: &[u8], registers: &mut Registers) {
    for (three, four) in packed.chunks_exact(3).zip(registers.chunks_exact_mut(4)) {
        let word = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        for (index, register) in four.iter_mut().enumerate() {
            *register = (*register).max((word >> (6 * index) & 63) as u8);
        }
    }
}

/// A dense HyperLogLog of these registers, with the rest of the header as it is in another one.
pub(super) fn pack(header: &[u8], registers: &Registers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SIZE);
    bytes.extend_from_slice(&header[..HEADER]);
    bytes[ENCODING_AT] = DENSE;
    for four in registers.chunks_exact(4) {
        let word = four
            .iter()
            .rev()
            .fold(0, |word, register| word << 6 | u32::from(*register));
        bytes.extend_from_slice(&word.to_le_bytes()[..3]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_independent() {
        let mut rng = crate::Rng::new(1);
        let mut model = [0; REGISTERS];
        let mut bytes = pack(&[0; HEADER], &model);
        assert_eq!(bytes.len(), SIZE);
        for _ in 0..50_000 {
            let (index, value) = (rng.below(REGISTERS as u64) as usize, rng.below(64) as u8);
            assert_eq!(
                raise(&mut bytes[HEADER..], index, value),
                model[index] < value
            );
            model[index] = model[index].max(value);
            assert_eq!(get(&bytes[HEADER..], index), model[index]);
        }
        let mut merged = [0; REGISTERS];
        merge(&bytes[HEADER..], &mut merged);
        assert!(merged == model);
        assert_eq!(pack(&[0; HEADER], &model), bytes);
    }
}
