//! BITFIELD key [GET type offset | SET type offset value | INCRBY type offset increment | OVERFLOW WRAP|SAT|FAIL] ..., BITFIELD_RO

use super::super::prelude::*;
use super::fields::{FieldType, Overflow};
use super::{Grown, bit_offset, change_bits, unchanged};

const ENCODING: Arg = Arg::string("encoding");
const OFFSET: Arg = Arg::integer("offset");

pub(super) static BITFIELD: CommandSpec = CommandSpec {
    name: "bitfield",
    since: "3.2.0",
    group: Group::Bitmap,
    summary: "Reads and changes integers of any width, anywhere in the string stored at a key.",
    complexity: "O(1) for each operation",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE.with(Access::VARIABLE)),
        Arg::one_of(
            "operation",
            &[
                Arg::block("get-block", &[ENCODING, OFFSET]).after("GET"),
                Arg::block(
                    "write",
                    &[
                        Arg::one_of(
                            "overflow-block",
                            &[
                                Arg::token("wrap", "WRAP"),
                                Arg::token("sat", "SAT"),
                                Arg::token("fail", "FAIL"),
                            ],
                        )
                        .after("OVERFLOW")
                        .optional(),
                        Arg::one_of(
                            "write-operation",
                            &[
                                Arg::block("set-block", &[ENCODING, OFFSET, Arg::integer("value")])
                                    .after("SET"),
                                Arg::block(
                                    "incrby-block",
                                    &[ENCODING, OFFSET, Arg::integer("increment")],
                                )
                                .after("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(bitfield),
    ..CommandSpec::DEFAULT
};

pub(super) static BITFIELD_RO: CommandSpec = CommandSpec {
    name: "bitfield_ro",
    since: "6.0.0",
    summary: "Reads integers of any width, anywhere in the string stored at a key.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::block("get-block", &[ENCODING, OFFSET])
            .after("GET")
            .optional()
            .multiple_with_token(),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(bitfield_ro),
    ..BITFIELD
};

/// One operation on one field.
struct Operation {
    field: FieldType,
    offset: u64,
    action: Action,
    overflow: Overflow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

fn parse(engine: &crate::Engine, args: &Args<'_>) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut index = 2;
    while index < args.len() {
        let has = |more: usize| args.len() - 1 - index >= more;
        if args.is(index, "OVERFLOW") && has(1) {
            overflow = match () {
                () if args.is(index + 1, "WRAP") => Overflow::Wrap,
                () if args.is(index + 1, "SAT") => Overflow::Saturate,
                () if args.is(index + 1, "FAIL") => Overflow::Fail,
                () => return Err(CommandError::text("ERR Invalid OVERFLOW type specified")),
            };
            index += 2;
            continue;
        }
        let get = args.is(index, "GET") && has(2);
        let set = args.is(index, "SET") && has(3);
        let increment = args.is(index, "INCRBY") && has(3);
        if !(get || set || increment) {
            return Err(CommandError::Syntax);
        }
        let field = FieldType::parse(args.get(index + 1)).ok_or(CommandError::text(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))?;
        let offset = bit_offset(engine, args.get(index + 2), Some(u64::from(field.bits)))?;
        let action = match () {
            () if get => Action::Get,
            () if set => Action::Set(args.integer(index + 3)?),
            () => Action::Increment(args.integer(index + 3)?),
        };
        operations.push(Operation {
            field,
            offset,
            action,
            overflow,
        });
        index += if get { 3 } else { 4 };
    }
    Ok(operations)
}

fn bitfield(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let operations = parse(context.engine, args)?;
    let key = context.key(args, 1);
    let last_written = operations
        .iter()
        .filter(|operation| operation.action != Action::Get)
        .map(|operation| operation.offset + u64::from(operation.field.bits) - 1)
        .max();
    let Some(last_written) = last_written else {
        let string = context.counted_string(key)?;
        read(&operations, string, reply);
        return Ok(Effect::None);
    };
    let len = (last_written / 8 + 1) as usize;
    let mut written = false;
    let Grown {
        grown,
        converted,
        result,
    } = change_bits(context, key, len, |bytes| {
        reply.array(operations.len());
        let mut changed = false;
        for operation in &operations {
            match operation.run(bytes) {
                Some((answer, changes)) => {
                    reply.integer(answer);
                    written |= operation.action != Action::Get;
                    changed |= changes;
                }
                None => reply.null(),
            }
        }
        changed
    })?;
    if !grown && !result {
        return Ok(unchanged(converted));
    }
    // A string that has grown although every write failed is none that was written to. It is logged: the length stays.
    if written {
        context.db().tell_change(key);
        context.notify(Notify::STRING, "setbit", key.bytes);
    }
    Ok(Effect::Verbatim)
}

fn bitfield_ro(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let operations = parse(context.engine, args)?;
    if operations
        .iter()
        .any(|operation| operation.action != Action::Get)
    {
        return Err(CommandError::text(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    let string = context.string(context.key(args, 1))?;
    read(&operations, string, reply);
    Ok(())
}

fn read(operations: &[Operation], string: Option<StringRef<'_>>, reply: &mut Reply<'_>) {
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let bytes = match &string {
        Some(string) => string.to_bytes(&mut buffer),
        None => b"",
    };
    reply.array(operations.len());
    for Operation { field, offset, .. } in operations {
        reply.integer(field.get(bytes, *offset));
    }
}

impl Operation {
    /// Its answer, and whether it changed something; `None` if it failed.
    fn run(&self, bytes: &mut [u8]) -> Option<(i64, bool)> {
        let Self {
            field,
            offset,
            action,
            overflow,
        } = *self;
        let old = field.get(bytes, offset);
        let (new, answer) = match action {
            Action::Get => return Some((old, false)),
            Action::Set(value) => (field.assign(value, overflow)?, old),
            Action::Increment(increment) => {
                let new = field.add(old, increment, overflow)?;
                (new, new)
            }
        };
        field.set(bytes, offset, new);
        Some((answer, old != new))
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects, check_with_string_len_max};

    #[test]
    fn reads_and_changes_fields() {
        check(
            "BITFIELD k SET u8 0 255 GET u8 0 INCRBY i5 100 1 GET u4 0 | STRLEN k | BITFIELD k | BITFIELD k GET i8 #0 GET u8 #1 GET i64 4 | \
             BITFIELD_RO k GET u2 1 GET u63 0 | BITFIELD_RO none GET u8 0 | BITFIELD n SET i64 #1 -1 | STRLEN n | BITFIELD n INCRBY i64 #1 1",
            "[0 255 1 15] | 14 | [] | [-1 0 -1152921504606846976] | [3 9187343239835811840] | [0] | [0] | 16 | [0]",
        );
    }

    #[test]
    fn overflows_as_told() {
        check(
            "BITFIELD k INCRBY u2 0 5 OVERFLOW SAT INCRBY u2 2 5 OVERFLOW FAIL INCRBY u2 4 5 OVERFLOW WRAP INCRBY u2 6 5 | \
             BITFIELD k OVERFLOW SAT SET i4 8 -100 GET i4 8 SET i4 8 100 GET i4 8 OVERFLOW FAIL SET i4 8 100 SET u4 8 -1 | \
             BITFIELD k OVERFLOW SAT SET u63 64 9223372036854775807 INCRBY u63 64 1 INCRBY u63 64 -9223372036854775808 | \
             BITFIELD k OVERFLOW FAIL SET i64 64 9223372036854775807 INCRBY i64 64 1 | \
             BITFIELD k SET i64 64 9223372036854775807 INCRBY i64 64 1 OVERFLOW SAT INCRBY i64 64 -1",
            "[1 3 (nil) 1] | [0 -8 -8 7 (nil) (nil)] | [0 9223372036854775807 0] | [0 (nil)] | \
             [9223372036854775807 -9223372036854775808 -9223372036854775808]",
        );
    }

    #[test]
    fn checks_its_arguments() {
        let kind = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        let offset = "ERR bit offset is not an integer or out of range";
        check_with_string_len_max(
            4,
            "BITFIELD k GET u64 0 | BITFIELD k GET u8 x | BITFIELD k GET u8 | BITFIELD k SET u8 0 x | BITFIELD k OVERFLOW no | \
             BITFIELD k FOO | BITFIELD k GET u8 32 | BITFIELD k SET u8 #3 1 | BITFIELD k GET u8 #9223372036854775807 | BITFIELD k GET u8 -1 | \
             BITFIELD_RO k SET u8 0 1",
            &format!(
                "{kind} | {offset} | ERR syntax error | ERR value is not an integer or out of range | ERR Invalid OVERFLOW type specified | \
                 ERR syntax error | {offset} | [0] | {offset} | {offset} | ERR BITFIELD_RO only supports the GET subcommand"
            ),
        );
    }

    #[test]
    fn logs_what_changes() {
        check_effects(
            "BITFIELD k GET u8 0 | BITFIELD k SET u8 0 0 | BITFIELD k SET u8 0 0 | BITFIELD k OVERFLOW FAIL INCRBY u2 64 5 | \
             BITFIELD k INCRBY u8 0 1",
            "BITFIELD k SET u8 0 0 | BITFIELD k OVERFLOW FAIL INCRBY u2 64 5 | BITFIELD k INCRBY u8 0 1",
        );
    }
}
