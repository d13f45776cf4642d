//! Bitmaps: strings looked at as arrays of bits. Bit 0 is the highest bit of the first byte.

mod bitcount;
mod bitfield;
mod bitop;
mod bitpos;
mod fields;
mod getbit;
mod range;
mod setbit;

use super::prelude::*;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &bitcount::SPEC,
    &bitfield::BITFIELD,
    &bitfield::BITFIELD_RO,
    &bitop::SPEC,
    &bitpos::SPEC,
    &getbit::SPEC,
    &setbit::SPEC,
];

/// The number of a bit; `bits` is the width that `#n` counts in, where that is allowed.
fn bit_offset(engine: &crate::Engine, arg: &[u8], bits: Option<u64>) -> Result<u64, CommandError> {
    let (digits, unit) = match (arg, bits) {
        ([b'#', digits @ ..], Some(bits)) => (digits, bits),
        (digits, _) => (digits, 1),
    };
    djr_storage::value::parse_integer(digits)
        .and_then(|number| u64::try_from(number).ok()?.checked_mul(unit))
        .filter(|offset| offset / 8 < engine.settings.string_len_max.get())
        .filter(|offset| i64::try_from(*offset).is_ok())
        .ok_or(CommandError::text(
            "ERR bit offset is not an integer or out of range",
        ))
}

/// A string that bits of are changed.
struct Grown<R> {
    /// Whether it is new or longer than before.
    grown: bool,
    /// Whether it is kept otherwise than before.
    converted: bool,
    /// What the change returned.
    result: R,
}

/// The effect of a change that has left the string as it was: what it is kept as may still be another.
fn unchanged(converted: bool) -> Effect {
    if converted {
        Effect::Verbatim
    } else {
        Effect::None
    }
}

/// Changes the string of a key, of which nobody is told. It is made `len` bytes long first where it is missing or shorter.
fn change_bits<R>(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    len: usize,
    change: impl FnOnce(&mut [u8]) -> R,
) -> Result<Grown<R>, CommandError> {
    let mut db = context.db();
    if db.contains(key) {
        return db.quietly(key, |db| {
            let mut entry = db.get_mut(key).ok_or(CommandError::WrongType)?;
            let before = string_of(entry.entry().value())?.len();
            let encoding = entry.entry().encoding();
            let result = entry.overwrite(len, change);
            Ok(Grown {
                grown: before < len,
                converted: encoding != entry.entry().encoding(),
                result,
            })
        });
    }
    let mut bytes = vec![0; len];
    let result = change(&mut bytes);
    let value = Value::String(StringValue::Bytes { bytes, raw: true });
    context.set_value(key, value, Expire::Clear);
    Ok(Grown {
        grown: true,
        converted: false,
        result,
    })
}
