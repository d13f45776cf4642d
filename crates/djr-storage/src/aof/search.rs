//! Searches raw bytes, where reading item by item is not possible any more.

use super::annotation::{ANNOTATION_LEN_MAX, Annotation, Repaired};
use super::filler;
use super::scan::FileReader;
use std::io;
use std::ops::Range;

/// A line of ours that tells an offset.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    Annotation(Annotation),
    Repaired(Repaired),
}

/// Finds everything from `from` on that reads as a line of ours, in values too.
pub(super) fn lines(
    reader: &FileReader,
    from: u64,
    mut found: impl FnMut(Line, Range<u64>) -> io::Result<()>,
) -> io::Result<()> {
    const BLOCK: u64 = 1 << 20;
    let mut before = b'\n';
    let mut block = Vec::new();
    let mut start = from;
    while start < reader.size() {
        let end = (start + BLOCK).min(reader.size());
        // Lines that begin in this block may end in the next.
        let read_to = (end + ANNOTATION_LEN_MAX as u64).min(reader.size());
        block.clear();
        reader.read(start..read_to, |bytes| block.extend_from_slice(bytes))?;
        let beginnings = block.iter().take((end - start) as usize).enumerate();
        for (at, _) in beginnings.filter(|&(_, &byte)| byte == b'#') {
            let previous = if at == 0 { before } else { block[at - 1] };
            let rest = &block[at..(at + ANNOTATION_LEN_MAX).min(block.len())];
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (b'\n', Some(end)) = (previous, end) else {
                continue;
            };
            let line = &rest[..=end];
            let parsed = Annotation::parse(line).map(Line::Annotation);
            if let Some(parsed) = parsed.or_else(|| Repaired::parse(line).map(Line::Repaired)) {
                let position = start + at as u64;
                found(parsed, position..position + line.len() as u64)?;
            }
        }
        before = block[(end - start) as usize - 1];
        start = end;
    }
    Ok(())
}

/// How many bytes there are from `from` to the last one that is not filler or a hole.
pub(super) fn content_len(reader: &FileReader, from: u64) -> io::Result<u64> {
    let (mut at, mut end) = (from, from);
    let mut expected = Vec::new();
    reader.read(from..reader.size(), |bytes| {
        expected.clear();
        filler::fill(at, at + bytes.len() as u64, &mut expected);
        let differs = |(byte, filler): (&u8, &u8)| byte != filler && *byte != 0;
        if let Some(last) = bytes.iter().zip(&expected).rposition(differs) {
            end = at + last as u64 + 1;
        }
        at += bytes.len() as u64;
    })?;
    Ok(end - from)
}

/// What is anywhere in a file.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// Something with which a command could begin.
    pub(super) command: bool,
    /// A line of filler, which only we write.
    pub(super) filler: bool,
}

/// Looks through a whole file.
pub(super) fn traces(reader: &FileReader) -> io::Result<Traces> {
    let mut traces = Traces::default();
    // `*`, digits, CRLF, `$`
    let mut matched = 0;
    let mut at = 0;
    let mut line = Vec::new();
    filler::fill(0, filler::LINE, &mut line);
    reader.read(0..reader.size(), |bytes| {
        let beginning = (filler::LINE - at % filler::LINE) % filler::LINE;
        let lines = bytes.get(beginning as usize..).unwrap_or_default();
        traces.filler |= lines.chunks_exact(line.len()).any(|other| other == line);
        at += bytes.len() as u64;
        for byte in bytes {
            matched = match (matched, byte) {
                (1 | 2, b'0'..=b'9') => 2,
                (2, b'\r') => 3,
                (3, b'\n') => 4,
                (4, b'$') => {
                    traces.command = true;
                    0
                }
                (_, b'*') => 1,
                _ => 0,
            };
        }
    })?;
    Ok(traces)
}
