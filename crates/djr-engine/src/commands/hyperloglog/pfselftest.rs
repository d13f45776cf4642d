//! PFSELFTEST

use super::super::prelude::*;
use super::{HEADER, REGISTERS, dense, estimate, hash};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pfselftest",
    since: "2.8.9",
    group: Group::HyperLogLog,
    summary: "Checks the HyperLogLogs of this server: packing, both forms against each other, and the error of the counts.",
    complexity: "O(1), but it takes a while",
    flags: Flags::ADMIN,
    run: Run::Read(pfselftest),
    ..CommandSpec::DEFAULT
};

/// How many elements are added.
const ELEMENTS: u64 = 200_000;
/// What counts may be wrong by: five times the standard error.
const ERROR_MAX: f64 = 5.0 * 1.04 / 128.0;

fn pfselftest(
    _: &mut ReadContext<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let failed = |what: String| Err(CommandError::format(format!("TESTFAILED {what}")));
    let mut registers = [0; REGISTERS];
    for (index, register) in registers.iter_mut().enumerate() {
        *register = (index as u32).wrapping_mul(2_654_435_761).rotate_left(7) as u8 & 63;
    }
    let packed = dense::pack(&[0; HEADER], &registers);
    for (index, register) in registers.iter().enumerate() {
        let got = dense::get(&packed[HEADER..], index);
        if got != *register {
            return failed(format!(
                "Register {index} should be {register} but is {got}"
            ));
        }
    }
    let (mut packed, mut plain) = (super::empty(), [0; REGISTERS]);
    for element in 1..=ELEMENTS {
        let (index, value) = hash::place(&element.to_le_bytes());
        plain[index] = value.max(plain[index]);
        super::raise(&mut packed, index, value, 3000)?;
        if element.is_power_of_two() || element == ELEMENTS {
            let (one, other) = (super::count(&packed)?, estimate::count(&plain));
            if one != other {
                return failed(format!(
                    "{element} elements are counted as {one} and as {other}"
                ));
            }
            if one.abs_diff(element) as f64 > (element as f64 * ERROR_MAX).max(2.0) {
                return failed(format!("{element} elements are counted as {one}"));
            }
        }
    }
    reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn all_is_well() {
        check("PFSELFTEST", "OK");
    }
}
