//! DEBUG PROTOCOL type, ERROR string, LOG message: for tests of clients.

use djr_engine::{CommandError, Reply};
use djr_protocol::RespVersion;

use super::Sub;

pub(super) static SUBS: &[Sub] = &[
    Sub {
        name: "protocol",
        syntax: "<type>",
        summary: "Reply with a test value of the specified type. <type> can be: string, integer, double, bignum, null, array, set, map, \
                  attrib, push, verbatim, true, false.",
        words: 3..=3,
        run: |_, _, args, reply| protocol(args.get(2), reply),
    },
    Sub {
        name: "error",
        syntax: "<string>",
        summary: "Return an error with <string> as message.",
        words: 3..=3,
        run: |_, _, args, _| {
            // An error is one line.
            let text = String::from_utf8_lossy(args.get(2)).replace(['\r', '\n'], " ");
            Err(CommandError::format(text))
        },
    },
    Sub {
        name: "log",
        syntax: "<message>",
        summary: "Write <message> to the server log.",
        words: 3..=3,
        run: |_, _, args, reply| {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)));
            reply.ok();
            Ok(())
        },
    },
];

/// The values are those of Redis: clients' tests expect them.
#[expect(clippy::approx_constant, reason = "it is no approximation of pi")]
fn protocol(kind: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match &kind.to_ascii_lowercase()[..] {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(3.141),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if reply.attribute(1) {
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            // As if the attribute did not concern those who can't have it.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if reply.version() == RespVersion::V2 => {
            return Err(CommandError::text(
                "ERR RESP2 is not supported by this command",
            ));
        }
        b"push" => {
            // A push stands beside replies, so there is no other one.
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => {
            return Err(CommandError::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
