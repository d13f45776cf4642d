//! Counts replies without keeping them.

use bytes::{Buf, BytesMut};
use djr_client::{ClientError, Limits, Value};
use djr_protocol::ReplyDecoder;

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Replies {
    decoder: ReplyDecoder,
    /// Whether the decoder is in the middle of a reply.
    is_partial: bool,
    pub(super) count: u64,
    pub(super) errors: u64,
}

impl Replies {
    /// Counts the whole replies in `input` and takes them out of it. `on_error` gets the texts of errors; `true` from
    /// `is_last`, which sees each bulk string, ends the count, that reply left out.
    pub(super) fn take(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
        mut on_error: impl FnMut(&[u8]),
        is_last: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, ClientError> {
        loop {
            if !self.is_partial {
                let (taken, count) = short_replies(input);
                input.advance(taken);
                self.count += count;
            }
            // Half a short one: the decoder must not see it, for it remembers how far it looked.
            if !self.is_partial && matches!(input.first(), None | Some(b'+' | b':')) {
                return Ok(false);
            }
            let Some(value) = self.decoder.decode(input, limits)? else {
                self.is_partial = true;
                return Ok(false);
            };
            self.is_partial = false;
            match value {
                Value::Error(text) => {
                    self.errors += 1;
                    on_error(&text);
                }
                Value::Bulk(text) if is_last(&text) => return Ok(true),
                // Nobody asked for it.
                Value::Push(_) => continue,
                _ => {}
            }
            self.count += 1;
        }
    }
}

/// How many bytes at the beginning are `+…` and `:…` lines, and how many lines they are.
fn short_replies(input: &[u8]) -> (usize, u64) {
    let (mut taken, mut count) = (0, 0);
    let mut rest = input;
    loop {
        rest = match rest {
            [b'+', b'O', b'K', b'\r', b'\n', rest @ ..] => {
                taken += 5;
                rest
            }
            [b'+' | b':', line @ ..] => {
                let Some(len) = line.iter().position(|&byte| byte == b'\n') else {
                    return (taken, count);
                };
                taken += len + 2;
                line.get(len + 1..).unwrap_or_default()
            }
            _ => return (taken, count),
        };
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLIES: &[&[u8]] = &[
        b"+OK\r\n",
        b":12\r\n",
        b"+QUEUED\r\n",
        b"$3\r\na\nb\r\n",
        b"$-1\r\n",
        b"*2\r\n:1\r\n*1\r\n$2\r\n\r\n\r\n",
        b"-ERR x\r\n",
        b"%1\r\n+a\r\n#t\r\n",
        b"_\r\n",
        b"*0\r\n",
    ];

    proptest! {
        /// However the bytes are cut, the count is that of the replies.
        #[test]
        fn counts(picks in proptest::collection::vec(0..REPLIES.len(), 0..40), cut in 1..30usize) {
            let bytes: Vec<u8> = picks.iter().flat_map(|&pick| REPLIES[pick].to_vec()).collect();
            let (mut replies, mut input) = (Replies::default(), BytesMut::new());
            let mut texts = 0;
            for part in bytes.chunks(cut) {
                input.extend_from_slice(part);
                replies.take(&mut input, &Limits::default(), |_| texts += 1, |_| false).unwrap();
            }
            prop_assert_eq!(replies.count, picks.len() as u64);
            prop_assert_eq!(replies.errors, picks.iter().filter(|&&pick| pick == 6).count() as u64);
            prop_assert_eq!(replies.errors, texts);
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn ends_at_the_last() {
        let mut input = BytesMut::from(&b"+OK\r\n$1\r\na\r\n$1\r\nb\r\n"[..]);
        let mut replies = Replies::default();
        assert!(
            replies
                .take(&mut input, &Limits::default(), |_| {}, |text| text == b"b")
                .unwrap()
        );
        assert_eq!(replies.count, 2);
    }
}
