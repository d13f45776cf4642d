//! What SRANDMEMBER, HRANDFIELD and ZRANDMEMBER have in common: how many elements are drawn, and how many times the same one may be answered.

use super::prelude::*;
use crate::Engine;

/// Between two looks at how long the reply has become, so many elements are drawn.
const PORTION: usize = 1024;
/// The shortest element of a reply: an empty string.
const ELEMENT_LEN_MIN: u64 = 6;

/// How many elements are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    /// So many.
    pub(super) count: usize,
    /// The same one may be drawn again: then it is exactly so many. Else it is at most so many.
    pub(super) repeat: bool,
}

impl Draws {
    /// Reads the count, which is word 2: a negative one means that elements may repeat.
    pub(super) fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        match args.integer(2)? {
            i64::MIN => Err(CommandError::text(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            )),
            count => Ok(Self {
                count: usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
                repeat: count < 0,
            }),
        }
    }

    /// Reads the count and, behind it, whether something is wanted with each element: `WITHVALUES`, `WITHSCORES`.
    pub(super) fn parse_with(
        args: &Args<'_>,
        token: &'static str,
    ) -> Result<(Self, bool), CommandError> {
        const LIMIT: usize = i64::MAX as usize / 2;
        let draws = Self::parse(args)?;
        let with = args.len() > 3;
        if with && (args.len() > 4 || !args.is(3, token)) {
            return Err(CommandError::Syntax);
        }
        // So many replies, and each twice.
        if with && draws.count > LIMIT {
            return Err(CommandError::OutOfRange);
        }
        Ok((draws, with))
    }

    /// Answers with an array of elements that may repeat, each `len` long (2: with its value, and not as a pair). `draw` answers with
    /// so many elements.
    ///
    /// A short request can ask for a reply that no memory holds, of however small a key. So the reply is no longer than the longest
    /// string may be, or it is an error. Nothing has been written then.
    pub(super) fn answer_repeated(
        self,
        engine: &Engine,
        reply: &mut Reply<'_>,
        len: usize,
        mut draw: impl FnMut(&mut Reply<'_>, usize),
    ) -> Result<(), CommandError> {
        let (start, limit) = (reply.len(), engine.settings.string_len_max.get());
        let elements = (self.count as u64).saturating_mul(len as u64);
        if elements.saturating_mul(ELEMENT_LEN_MIN) > limit {
            return Err(CommandError::OutOfRange);
        }
        reply.array(elements as usize);
        let mut left = self.count;
        while left > 0 {
            let portion = left.min(PORTION);
            draw(reply, portion);
            left -= portion;
            if (reply.len() - start) as u64 > limit {
                reply.truncate(start);
                return Err(CommandError::OutOfRange);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::Bench;

    /// A few bytes of a request are no way to fill the memory.
    #[test]
    fn the_reply_has_an_end() {
        let mut bench = Bench::new();
        bench.engine.settings.string_len_max.set(1 << 20);
        let long = "x".repeat(1000);
        bench.line(&format!("SADD s {long}"));
        bench.line("SADD i 1");
        bench.line(&format!("HSET h {long} 1"));
        bench.line(&format!("ZADD z 1 {long}"));
        let error = "ERR value is out of range";
        for name in [
            "SRANDMEMBER s",
            "SRANDMEMBER i",
            "HRANDFIELD h",
            "ZRANDMEMBER z",
        ] {
            for count in ["-9223372036854775807", "-1000000"] {
                assert_eq!(bench.line(&format!("{name} {count}")), error, "{name}");
            }
            let drawn = bench.line(&format!("{name} -1000"));
            assert_eq!(drawn.split(' ').count(), 1000, "{name}");
        }
        for name in [
            "HRANDFIELD h -1000000 WITHVALUES",
            "ZRANDMEMBER z -2000 WITHSCORES",
        ] {
            assert_eq!(bench.line(name), error, "{name}");
        }
    }
}
