//! SWAPDB index1 index2

use super::super::prelude::*;
use super::copy::db_number;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "swapdb",
    since: "4.0.0",
    group: Group::Server,
    summary: "Exchanges two dbs, for everyone at once.",
    syntax: &[Arg::integer("index1"), Arg::integer("index2")],
    flags: Flags::WRITE.with(Flags::FAST),
    acl: &["keyspace", "dangerous"],
    reach: Reach::Whole,
    run: Run::Write(swapdb),
    ..CommandSpec::DEFAULT
};

fn swapdb(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let number =
        |index, error: &'static str| args.integer32(index).map_err(|_| CommandError::text(error));
    let a = number(1, "ERR invalid first DB index")?;
    let b = number(2, "ERR invalid second DB index")?;
    let (a, b) = (db_number(context, a)?, db_number(context, b)?);
    reply.ok();
    if a == b {
        return Ok(Effect::None);
    }
    context.access.swap_dbs(a, b);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn exchanges_dbs() {
        check(
            "SET k 0 | SWAPDB 0 1 | EXISTS k | SELECT 1 | GET k | SWAPDB 1 1 | GET k",
            "OK | OK | 0 | OK | 0 | OK | 0",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "SWAPDB x y | SWAPDB 0 x | SWAPDB 0 16 | SWAPDB -1 0 | SWAPDB 9999999999 0",
            "ERR invalid first DB index | ERR invalid second DB index | ERR DB index is out of range | ERR DB index is out of range | \
             ERR invalid first DB index",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects("SET k 0 | SWAPDB 0 1 | SWAPDB 0 0", "SET k 0 | SWAPDB 0 1");
    }
}
