//! The count that the registers stand for: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, section 4.
//!
//! The arithmetic is in the order that Redis does it in, so that the counts agree to the last digit.

use super::{REGISTERS, Registers};

/// Bits of the hash that runs are counted in.
const RUN_BITS: usize = 50;
/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The number of different elements.
pub(super) fn count(registers: &Registers) -> u64 {
    // Four tables, so that equal neighbours do not wait for one another.
    let mut tables = [[0_u32; 64]; 4];
    for four in registers.chunks_exact(4) {
        for (register, table) in four.iter().zip(&mut tables) {
            table[usize::from(register & 63)] += 1;
        }
    }
    let histogram: [u32; 64] =
        std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum());
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[RUN_BITS + 1])) / m);
    for value in histogram[1..=RUN_BITS].iter().rev() {
        z += f64::from(*value);
        z *= 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
