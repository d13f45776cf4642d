//! HyperLogLog: how many different elements were added, to within 0.81 %, in at most 12 KiB.
//!
//! A HyperLogLog is a string in Redis's format, so that each loads the other's:
//!
//! ```text
//!   0      4          5       8              16
//!   ┌──────┬──────────┬───────┬──────────────┬────────────────────────┐
//!   │ HYLL │ encoding │ zeros │ cached count │ 16384 registers 0 to 63│   encoding: 0 dense, 1 sparse
//!   └──────┴──────────┴───────┴──────────────┴────────────────────────┘
//!                               u64, little-endian; its top bit says that it is out of date
//! ```
//!
//! An element's hash says which register it belongs to and how long a run of zeros it has; the register keeps the longest. The registers are
//! packed six bits each (`dense`), or as runs of equal ones (`sparse`).

mod dense;
mod estimate;
mod hash;
mod pfadd;
mod pfcount;
mod pfdebug;
mod pfmerge;
mod pfselftest;
mod sparse;

use super::prelude::*;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &pfadd::SPEC,
    &pfcount::SPEC,
    &pfdebug::SPEC,
    &pfmerge::SPEC,
    &pfselftest::SPEC,
];

/// How many registers there are.
const REGISTERS: usize = 1 << 14;
/// The length of what comes before the registers, in bytes.
const HEADER: usize = 16;
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// Every register in a byte of its own.
type Registers = [u8; REGISTERS];

/// Runs of registers that are not as many as there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corrupt;

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> Self {
        CommandError::text("INVALIDOBJ Corrupted HLL object detected")
    }
}

const NOT_ONE: CommandError =
    CommandError::text("WRONGTYPE Key is not a valid HyperLogLog string value.");

/// The bytes of a HyperLogLog: at least a header, and a whole one if dense.
fn hll_of(value: djr_storage::value::ValueRef<'_>) -> Result<&[u8], CommandError> {
    let StringRef::Bytes(bytes) = string_of(value)? else {
        return Err(NOT_ONE);
    };
    match bytes {
        [b'H', b'Y', b'L', b'L', DENSE, ..] if bytes.len() == dense::SIZE => Ok(bytes),
        [b'H', b'Y', b'L', b'L', SPARSE, ..] if bytes.len() >= HEADER => Ok(bytes),
        _ => Err(NOT_ONE),
    }
}

/// An empty one.
fn empty() -> Vec<u8> {
    let mut bytes = b"HYLL".to_vec();
    bytes.push(SPARSE);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(&sparse::ZEROS);
    bytes
}

fn is_dense(bytes: &[u8]) -> bool {
    bytes[ENCODING_AT] == DENSE
}

/// Raises a register. Returns whether it was lower. A sparse one that gets longer than `sparse_max` becomes dense. After an error nothing has
/// changed.
fn raise(bytes: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        return Ok(dense::raise(&mut bytes[HEADER..], index, value));
    }
    sparse::raise(bytes, index, value, sparse_max)
}

/// Whether [`raise`] would change something.
fn would_raise(bytes: &[u8], index: usize, value: u8) -> Result<bool, Corrupt> {
    let old = if is_dense(bytes) {
        dense::get(&bytes[HEADER..], index)
    } else {
        sparse::get(bytes, index)?
    };
    Ok(old < value)
}

/// Raises each register to at least what it is in a HyperLogLog.
fn merge(bytes: &[u8], registers: &mut Registers) -> Result<(), Corrupt> {
    if is_dense(bytes) {
        dense::merge(&bytes[HEADER..], registers);
        return Ok(());
    }
    sparse::merge(bytes, registers)
}

/// The number of different elements that were added.
fn count(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut registers = [0; REGISTERS];
    merge(bytes, &mut registers)?;
    Ok(estimate::count(&registers))
}

/// The cached count, if it is up to date.
fn cached_count(bytes: &[u8]) -> Option<u64> {
    let count = u64::from_le_bytes(std::array::from_fn(|at| bytes[HEADER - 8 + at]));
    (count >> 63 == 0).then_some(count)
}

fn set_cached_count(bytes: &mut [u8], count: u64) {
    bytes[HEADER - 8..HEADER].copy_from_slice(&count.to_le_bytes());
}

/// Says that the cached count is out of date.
fn invalidate_count(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= 0x80;
}

/// The live setting `hll-sparse-max-bytes`.
fn sparse_max(engine: &crate::Engine) -> usize {
    engine.settings.hll_sparse_max_bytes.get() as usize
}

/// Puts a HyperLogLog in where there was none.
fn store_new(context: &mut WriteContext<'_, '_>, key: Key<'_>, bytes: Vec<u8>) {
    let value = Value::String(StringValue::Bytes { bytes, raw: true });
    context.set_value(key, value, Expire::Clear);
}
