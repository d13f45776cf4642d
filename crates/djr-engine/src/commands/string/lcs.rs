//! LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]

use djr_storage::keyspace::EntryRef;

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lcs",
    since: "7.0.0",
    group: Group::String,
    summary: "Finds the longest common subsequence of the strings stored at two keys.",
    complexity: "O(n*m) for n and m bytes of the strings",
    syntax: &[
        Arg::key("key1", Access::READ),
        Arg::key("key2", Access::READ),
        Arg::token("len", "LEN").optional(),
        Arg::token("idx", "IDX").optional(),
        Arg::integer("min-match-len")
            .after("MINMATCHLEN")
            .optional(),
        Arg::token("withmatchlen", "WITHMATCHLEN").optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(lcs),
    ..CommandSpec::DEFAULT
};

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    match_len_min: usize,
    with_match_len: bool,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            if args.is(index, "LEN") {
                options.len = true;
            } else if args.is(index, "IDX") {
                options.idx = true;
            } else if args.is(index, "WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.is(index, "MINMATCHLEN") && index + 1 < args.len() {
                index += 1;
                options.match_len_min = usize::try_from(args.integer(index)?).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        if options.len && options.idx {
            return Err(CommandError::text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

fn lcs(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (a, b) = (
        context.get(context.key(args, 1)),
        context.get(context.key(args, 2)),
    );
    let mut buffers = [[0; INTEGER_TEXT_SIZE_MAX]; 2];
    let [buffer_a, buffer_b] = &mut buffers;
    let (a, b) = (string_or_empty(a)?, string_or_empty(b)?);
    let (a, b) = (a.to_bytes(buffer_a), b.to_bytes(buffer_b));
    let options = Options::parse(args)?;
    let table = Table::new(a, b, context.engine.settings.string_len_max.get())?;
    if options.len {
        reply.integer(table.len() as i64);
    } else if options.idx {
        reply_matches(&table, &options, reply);
    } else {
        let mut common = vec![0; table.len()];
        let mut end = common.len();
        for run in table.runs() {
            let start = end - run.len;
            common[start..end].copy_from_slice(&a[run.a..run.a + run.len]);
            end = start;
        }
        reply.bulk(&common);
    }
    Ok(())
}

fn string_or_empty(entry: Option<EntryRef<'_>>) -> Result<StringRef<'_>, CommandError> {
    match entry {
        Some(entry) => entry.as_string().ok_or(CommandError::text(
            "ERR The specified keys must contain string values",
        )),
        None => Ok(StringRef::Bytes(b"")),
    }
}

fn reply_matches(table: &Table<'_>, options: &Options, reply: &mut Reply<'_>) {
    let runs: Vec<Stretch> = table
        .runs()
        .filter(|run| run.len >= options.match_len_min)
        .collect();
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(runs.len());
    for run in runs {
        reply.array(if options.with_match_len { 3 } else { 2 });
        for start in [run.a, run.b] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + run.len - 1) as i64);
        }
        if options.with_match_len {
            reply.integer(run.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(table.len() as i64);
}

/// A stretch of the common subsequence that is contiguous in both strings.
struct Stretch {
    /// Where it begins in the first string.
    a: usize,
    /// Where it begins in the second string.
    b: usize,
    len: usize,
}

/// The lengths of the longest common subsequences of all pairs of prefixes.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    /// Row by row: a row for each prefix of `a`, in it a cell for each prefix of `b`, the empty ones included.
    lens: Vec<u32>,
}

impl<'a> Table<'a> {
    /// Errors where the table would take more than `size_max` bytes.
    fn new(a: &'a [u8], b: &'a [u8], size_max: u64) -> Result<Self, CommandError> {
        let width = b.len() + 1;
        let cells = (a.len() as u128 + 1) * width as u128;
        if cells * size_of::<u32>() as u128 > u128::from(size_max) {
            return Err(CommandError::text(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let mut lens = Vec::new();
        lens.try_reserve_exact(cells as usize).map_err(|_| {
            CommandError::text(
                "ERR Insufficient memory, failed allocating transient memory for LCS",
            )
        })?;
        lens.resize(cells as usize, 0_u32);
        for (i, x) in a.iter().enumerate() {
            let (above, row) = lens[i * width..(i + 2) * width].split_at_mut(width);
            for (j, y) in b.iter().enumerate() {
                row[j + 1] = if x == y {
                    above[j] + 1
                } else {
                    above[j + 1].max(row[j])
                };
            }
        }
        Ok(Self { a, b, lens })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lens[i * (self.b.len() + 1) + j]
    }

    fn len(&self) -> usize {
        self.at(self.a.len(), self.b.len()) as usize
    }

    /// The stretches of the subsequence, from the last to the first. Where there is a choice it is Redis's.
    fn runs(&self) -> impl Iterator<Item = Stretch> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            let mut len = 0;
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    len += 1;
                } else if len > 0 {
                    break;
                } else if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            (len > 0).then_some(Stretch { a: i, b: j, len })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_with_string_len_max};

    #[test]
    fn finds_the_example_of_the_documents() {
        check(
            "MSET a ohmytext b mynewtext | LCS a b | LCS a b LEN | LCS a b IDX | LCS a b IDX MINMATCHLEN 4 | \
             LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN | LCS a b MINMATCHLEN -1 WITHMATCHLEN | @resp 3 | LCS a b IDX",
            "OK | mytext | 6 | [matches [[[4 7] [5 8]] [[2 3] [0 1]]] len 6] | [matches [[[4 7] [5 8]]] len 6] | \
             [matches [[[4 7] [5 8] 4]] len 6] | mytext | ok | {matches: [[[4 7] [5 8]] [[2 3] [0 1]]] len: 6}",
        );
    }

    #[test]
    fn nothing_in_common() {
        check(
            "SET a abc | SET n 123 | LCS a none | LCS a n IDX | LCS none none LEN | SET m 913 | LCS n m",
            "OK | OK |  | [matches [] len 0] | 0 | OK | 13",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "LCS a b LEN IDX | LCS a b x | LCS a b MINMATCHLEN | LCS a b MINMATCHLEN x",
            "ERR If you want both the length and indexes, please just use IDX. | ERR syntax error | ERR syntax error | \
             ERR value is not an integer or out of range",
        );
    }

    #[test]
    fn respects_the_limit() {
        check_with_string_len_max(
            48,
            "MSET a ab b abc c abcd | LCS a b | LCS a c",
            "OK | ab | ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        );
    }
}
