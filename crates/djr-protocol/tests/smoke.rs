//! The checks of the fuzz targets on a seeded corpus: no fuzzer, no nightly toolchain needed.
//!
//! The streams are strung together from fragments, half right and half wrong, so that they get far into the decoders.

mod checks;

use djr_protocol::Limits;

const REQUEST_PARTS: &[&[u8]] = &[
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$64\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*11\r\n",
    b"*00012\r\n",
    b"*01\r\n",
    b"$05\r\n",
    b"*1234567\r\n",
    b"*4294967297\r\n",
    b"*",
    b"$",
    b"*1\r\n",
    b"*2\r\n",
    b"$0\r\n\r\n",
    b"$5\r\nhello\r\n",
    b"$10\r\n*1\r\n$1\r\nx\r\n\r\n",
    b"$-1\r\n",
    b"$300\r\n",
    b"$99999999999999999999\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"PING\r\n",
    b"SET k \"a b\\x41\\n\"\r\n",
    b"SET k 'a b\\''\n",
    b"\"",
    b"x",
    b"0",
    b"9",
    b"\xff",
];

const REPLY_PARTS: &[&[u8]] = &[
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":1\r\n",
    b":-9223372036854775808\r\n",
    b":x\r\n",
    b"$5\r\nhello\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n",
    b"*1000000000\r\n",
    b"%1\r\n",
    b"%0\r\n",
    b"~2\r\n",
    b">1\r\n",
    b"|1\r\n",
    b"|0\r\n",
    b"*?\r\n",
    b"%?\r\n",
    b".\r\n",
    b"$?\r\n",
    b";2\r\nab\r\n",
    b";0\r\n",
    b",1.5\r\n",
    b",-inf\r\n",
    b",nan\r\n",
    b"#t\r\n",
    b"#x\r\n",
    b"_\r\n",
    b"(123456789012345678901234567890\r\n",
    b"=8\r\ntxt:some\r\n",
    b"=3\r\ntxt\r\n",
    b"!10\r\nERR\r\nlines\r\n",
    b"$3\r\nab",
    b"\r",
    b"\n",
    b"1",
    b"\xff",
];

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    /// Fragments in a row, now and then with a byte changed.
    fn stream(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        let mut stream = Vec::new();
        for _ in 0..self.below(12) {
            // The first ones, which are right, more often, or else nearly every stream would end early.
            let end = if self.below(2) == 0 { parts.len() } else { 4 };
            stream.extend_from_slice(parts[self.below(end)]);
        }
        if !stream.is_empty() && self.below(3) == 0 {
            let place = self.below(stream.len());
            stream[place] = self.below(256) as u8;
        }
        stream
    }

    fn cuts(&mut self) -> Vec<u8> {
        (0..=self.below(4))
            .map(|_| 1 + self.below(40) as u8)
            .collect()
    }
}

fn limits(random: &mut Random) -> Limits {
    match random.below(4) {
        0 => Limits::unauthenticated(),
        1 => Limits {
            bulk_len_max: 100,
            inline_len_max: 20,
            args_max: 5,
            depth_max: 2,
            ..Limits::default()
        },
        _ => Limits::default(),
    }
}

#[test]
fn requests() {
    for seed in 0..40_000 {
        let mut random = Random(seed);
        let (stream, cuts, limits) = (
            random.stream(REQUEST_PARTS),
            random.cuts(),
            limits(&mut random),
        );
        checks::decode_split(&stream, &cuts, &limits);
    }
}

#[test]
fn replies() {
    for seed in 0..40_000 {
        let mut random = Random(seed);
        let (stream, cuts, limits) = (
            random.stream(REPLY_PARTS),
            random.cuts(),
            limits(&mut random),
        );
        checks::decode_reply(&stream, &cuts, &limits);
    }
}
