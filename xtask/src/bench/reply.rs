//! Counts replies and checks that they are the ones expected, cheaply.

use super::request::VALUE;
use anyhow::{Result, bail};

/// What a load's command answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// `+OK`
    Ok,
    /// The 64-byte value of the data set.
    Value,
    /// Any reply that is not an error: for commands whose reply varies.
    Any,
}

impl Expected {
    /// The exact bytes, where all replies are the same; this is also what the null server sends.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Expected::Ok => Some(b"+OK\r\n".to_vec()),
            Expected::Value => {
                let mut bytes = format!("${}\r\n", VALUE.len()).into_bytes();
                bytes.extend(VALUE);
                bytes.extend(b"\r\n");
                Some(bytes)
            }
            Expected::Any => None,
        }
    }
}

/// Recognises replies of one load.
pub(crate) struct Replies {
    /// Empty if any reply will do.
    exact: Vec<u8>,
}

impl Replies {
    pub(crate) fn new(expected: Expected) -> Self {
        Replies {
            exact: expected.bytes().unwrap_or_default(),
        }
    }

    /// Counts the whole replies at the start of `input`: how many bytes they take, and how many there
    /// are. The rest is the beginning of the next reply.
    ///
    /// An error for an error reply, for one that is not the expected one, and for what is no RESP.
    pub(crate) fn count(&self, input: &[u8]) -> Result<(usize, usize)> {
        let mut at = 0;
        let mut count = 0;
        loop {
            let rest = &input[at..];
            if !self.exact.is_empty() {
                if rest.starts_with(&self.exact) {
                    at += self.exact.len();
                    count += 1;
                    continue;
                }
                if self.exact.starts_with(rest) {
                    return Ok((at, count));
                }
            }
            let Some(len) = reply_len(rest)? else {
                return Ok((at, count));
            };
            if rest[0] == b'-' || !self.exact.is_empty() {
                bail!(
                    "unexpected reply: {}",
                    String::from_utf8_lossy(&rest[..len.min(200)]).trim_end()
                );
            }
            at += len;
            count += 1;
        }
    }
}

/// The length of the RESP2 reply at the start of `input`, or `None` if it is not whole yet.
fn reply_len(input: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    let mut elements = 1_usize;
    while elements > 0 {
        let rest = &input[at..];
        let Some(line_end) = rest.iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let line = rest[..line_end].strip_suffix(b"\r");
        let Some((&kind, text)) = line.and_then(|line| line.split_first()) else {
            bail!("not a RESP reply")
        };
        let number = || {
            std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
        };
        at += line_end + 1;
        elements -= 1;
        match (kind, number()) {
            (b'+' | b'-' | b':', _) => {}
            (b'$', Some(-1)) | (b'*', Some(-1)) => {}
            (b'$', Some(len @ 0..=0x2000_0000)) => at += len as usize + 2,
            (b'*', Some(count @ 0..=0x10_0000)) => elements += count as usize,
            _ => bail!(
                "not a RESP2 reply: {:?}",
                String::from_utf8_lossy(&rest[..line_end.min(64)])
            ),
        }
        if at > input.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_exact_replies_and_leaves_the_unfinished_one() {
        let replies = Replies::new(Expected::Ok);
        assert_eq!(
            replies.count(b"+OK\r\n+OK\r\n+O").expect("well formed"),
            (10, 2)
        );
        assert_eq!(replies.count(b"").expect("well formed"), (0, 0));
    }

    #[test]
    fn every_split_of_a_stream_counts_the_same() {
        let stream =
            b"$3\r\nabc\r\n*3\r\n:1\r\n$-1\r\n*2\r\n+a\r\n$0\r\n\r\n:7\r\n*-1\r\n*0\r\n".as_slice();
        let replies = Replies::new(Expected::Any);
        assert_eq!(
            replies.count(stream).expect("well formed"),
            (stream.len(), 5)
        );
        for cut in 0..stream.len() {
            let (used, first) = replies.count(&stream[..cut]).expect("well formed");
            let (_, second) = replies.count(&stream[used..]).expect("well formed");
            assert_eq!(first + second, 5, "cut at {cut}");
        }
    }

    #[test]
    fn error_and_wrong_replies_end_the_run() {
        let text = |expected, input: &[u8]| {
            Replies::new(expected)
                .count(input)
                .expect_err("must fail")
                .to_string()
        };
        assert_eq!(
            text(Expected::Ok, b"+OK\r\n-MISCONF disk\r\n"),
            "unexpected reply: -MISCONF disk"
        );
        assert_eq!(
            text(Expected::Any, b"-ERR no\r\n"),
            "unexpected reply: -ERR no"
        );
        assert_eq!(text(Expected::Value, b"$-1\r\n"), "unexpected reply: $-1");
        assert!(text(Expected::Any, b"hello\r\n").starts_with("not a RESP2 reply"));
        assert!(text(Expected::Any, b"$99999999999\r\n").starts_with("not a RESP2 reply"));
    }
}
