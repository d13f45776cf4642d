//! ACL GENPASS [bits]

use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::FLAGS;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "genpass",
    since: "6.0.0",
    group: Group::Server,
    summary: "Makes a password that can't be guessed, in hexadecimal digits.",
    syntax: &[Arg::integer("bits").optional()],
    flags: FLAGS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// As many bits as a digest has.
const BITS: i64 = 256;
const BITS_MAX: i64 = 4096;

pub(super) fn run(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len() > 3 {
        return Err(CommandError::text(
            "ERR unknown subcommand or wrong number of arguments for 'GENPASS'. Try ACL HELP.",
        ));
    }
    let bits = match args.len() {
        2 => BITS,
        _ => args.integer(2)?,
    };
    if !(1..=BITS_MAX).contains(&bits) {
        return Err(CommandError::text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    fill(&mut bytes).map_err(|error| {
        CommandError::format(format!("ERR the system gives no random numbers: {error}"))
    })?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    reply.bulk(text.as_bytes());
    Ok(())
}

/// Random bytes from the system.
fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        done += rustix::rand::getrandom(&mut bytes[done..], flags)?;
    }
    Ok(())
}
