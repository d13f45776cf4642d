//! Reads an append-only file item by item: commands, comment lines, the end, or what can't be read.
//!
//! Strict where Redis's loader is: `*` and a count, for each argument `$`, a length, that many bytes; stricter in that
//! the CRLF behind an argument must be one. No length is believed before the file is known to be that long.

use super::annotation::decimal;
use crate::disk::DiskFile;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A comment line longer than this is none. (Redis's loader takes 127.)
const COMMENT_LEN_MAX: usize = 1024;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// One item of a file. `end` is the file position after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A whole command; its arguments are in [`FileReader::args`].
    Command { end: u64 },
    /// A line that begins with `#`; at the end of the file perhaps without its line end.
    Comment { end: u64 },
    /// The file ends here.
    End,
    /// The file ends in the middle of a command.
    CutOff,
    /// Neither a command nor a comment.
    Invalid,
}

/// What a piece of RESP is.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    Command(usize),
    /// Not all there; at least so many bytes are needed.
    More(usize),
    Invalid,
}

/// A file with a window of it in memory.
#[derive(Debug)]
pub(super) struct FileReader {
    file: Arc<dyn DiskFile>,
    /// Where the commands begin: behind a snapshot in RDB format, if the file begins with one.
    start: u64,
    size: u64,
    window: Vec<u8>,
    window_start: u64,
    args: Vec<Range<usize>>,
}

impl FileReader {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> io::Result<FileReader> {
        let size = file.size()?;
        Ok(FileReader {
            file,
            start: 0,
            size,
            window: Vec::new(),
            window_start: 0,
            args: Vec::new(),
        })
    }

    /// The same file, whose commands begin there.
    pub(super) fn starting_at(self, start: u64) -> FileReader {
        FileReader { start, ..self }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The byte at a position, if there is one.
    pub(super) fn byte(&self, position: u64) -> io::Result<Option<u8>> {
        let mut byte = None;
        if position < self.size {
            self.read(position..position + 1, |bytes| {
                byte = bytes.first().copied()
            })?;
        }
        Ok(byte)
    }

    /// Looks at the item that begins at `position`.
    pub(super) fn item(&mut self, position: u64) -> io::Result<Item> {
        let mut at_least = 1;
        loop {
            self.load(position, at_least)?;
            let rest = self.size.saturating_sub(position);
            let bytes = tail(&self.window, self.window_start, position);
            let whole = bytes.len() as u64 == rest;
            match bytes.first() {
                None => return Ok(Item::End),
                Some(b'#') => {
                    let line = &bytes[..bytes.len().min(COMMENT_LEN_MAX)];
                    if let Some(at) = line.iter().position(|&byte| byte == b'\n') {
                        return Ok(Item::Comment {
                            end: position + at as u64 + 1,
                        });
                    }
                    if line.len() == COMMENT_LEN_MAX {
                        return Ok(Item::Invalid);
                    }
                    if whole {
                        return Ok(Item::Comment { end: self.size });
                    }
                    at_least = COMMENT_LEN_MAX;
                }
                Some(_) => {
                    self.args.clear();
                    match scan_command(bytes, &mut self.args) {
                        Scan::Command(len) => {
                            return Ok(Item::Command {
                                end: position + len as u64,
                            });
                        }
                        Scan::Invalid => return Ok(Item::Invalid),
                        Scan::More(needed) if whole || needed as u64 > rest => {
                            return Ok(Item::CutOff);
                        }
                        // Doubling keeps a command of many arguments from being scanned over and over.
                        Scan::More(needed) => {
                            at_least = needed.max(bytes.len() * 2).min(rest as usize)
                        }
                    }
                }
            }
        }
    }

    /// The arguments of the command that [`FileReader::item`] found last at `position`.
    pub(super) fn args(&self, position: u64) -> impl ExactSizeIterator<Item = &[u8]> {
        let bytes = tail(&self.window, self.window_start, position);
        self.args
            .iter()
            .map(move |range| bytes.get(range.clone()).unwrap_or_default())
    }

    /// The bytes of the item that [`FileReader::item`] found last.
    pub(super) fn bytes(&self, range: Range<u64>) -> &[u8] {
        let bytes = tail(&self.window, self.window_start, range.start);
        bytes
            .get(..(range.end - range.start) as usize)
            .unwrap_or_default()
    }

    /// CRC-32 of any part of the file.
    pub(super) fn crc32(&self, range: Range<u64>) -> io::Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        if range.start >= self.window_start && !self.bytes(range.clone()).is_empty() {
            hasher.update(self.bytes(range));
        } else {
            self.read(range, |bytes| hasher.update(bytes))?;
        }
        Ok(hasher.finalize())
    }

    /// Passes a part of the file on, piece by piece, from the disk.
    pub(super) fn read(&self, range: Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK.min((range.end - range.start) as usize)];
        let mut at = range.start;
        while at < range.end {
            let wanted = chunk.len().min((range.end - at) as usize);
            let count = self.file.read_at(at, &mut chunk[..wanted])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take(&chunk[..count]);
            at += count as u64;
        }
        Ok(())
    }

    /// A reader of the file's beginning, as if it ended at `end`.
    pub(super) fn until(&self, end: u64) -> FileReader {
        FileReader {
            file: self.file.clone(),
            start: self.start,
            size: end.min(self.size),
            window: Vec::new(),
            window_start: 0,
            args: Vec::new(),
        }
    }

    /// The first place from `position` on where these two bytes stand.
    pub(super) fn find(&self, position: u64, pair: [u8; 2]) -> io::Result<Option<u64>> {
        let (mut found, mut at, mut before) = (None, position, None);
        self.read(position..self.size, |bytes| {
            for &byte in bytes {
                if found.is_none() && before == Some(pair[0]) && byte == pair[1] {
                    found = Some(at - 1);
                }
                before = Some(byte);
                at += 1;
            }
        })?;
        Ok(found)
    }

    /// Makes the window hold at least so many bytes from `position`, or all to the end of the file.
    fn load(&mut self, position: u64, at_least: usize) -> io::Result<()> {
        let window_end = self.window_start + self.window.len() as u64;
        let needed_end = position.saturating_add(at_least as u64).min(self.size);
        if position >= self.window_start && needed_end <= window_end {
            return Ok(());
        }
        if position >= self.window_start && position <= window_end {
            self.window.drain(..(position - self.window_start) as usize);
        } else {
            self.window.clear();
        }
        self.window_start = position;
        let wanted = at_least
            .max(CHUNK)
            .min(self.size.saturating_sub(position) as usize);
        let mut filled = self.window.len();
        self.window.resize(wanted.max(filled), 0);
        while filled < self.window.len() {
            let count = self
                .file
                .read_at(position + filled as u64, &mut self.window[filled..])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += count;
        }
        Ok(())
    }
}

/// The part of the window from a file position on.
fn tail(window: &[u8], window_start: u64, position: u64) -> &[u8] {
    let start = position
        .checked_sub(window_start)
        .and_then(|start| usize::try_from(start).ok());
    start
        .and_then(|start| window.get(start..))
        .unwrap_or_default()
}

/// Reads one command at the beginning of `bytes`; the places of its arguments go to `args`.
fn scan_command(bytes: &[u8], args: &mut Vec<Range<usize>>) -> Scan {
    let (count, mut at) = match header(bytes, 0, b'*') {
        Ok(found) => found,
        Err(scan) => return scan,
    };
    if count == 0 || count > i32::MAX as u64 {
        return Scan::Invalid;
    }
    for _ in 0..count {
        let (len, start) = match header(bytes, at, b'$') {
            Ok(found) => found,
            Err(scan) => return scan,
        };
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| start.checked_add(len)?.checked_add(2));
        let Some(end) = end else { return Scan::Invalid };
        match bytes.get(end - 2..end) {
            Some(b"\r\n") => {}
            Some(_) => return Scan::Invalid,
            None => return Scan::More(end),
        }
        args.push(start..end - 2);
        at = end;
    }
    Scan::Command(at)
}

/// A line of one sign and a number. Returns the number and where the line ends.
fn header(bytes: &[u8], at: usize, sign: u8) -> Result<(u64, usize), Scan> {
    // Sign, 19 digits, CRLF.
    const LEN_MAX: usize = 22;
    let rest = bytes.get(at..).unwrap_or_default();
    let rest = &rest[..rest.len().min(LEN_MAX)];
    match rest.first() {
        None => return Err(Scan::More(at + 1)),
        Some(&first) if first != sign => return Err(Scan::Invalid),
        Some(_) => {}
    }
    // The usual: one or two digits.
    if let [_, digit @ b'0'..=b'9', b'\r', b'\n', ..] = rest {
        return Ok((u64::from(digit - b'0'), at + 4));
    }
    let Some((number, tail)) = decimal(&rest[1..]) else {
        return Err(if rest.len() == 1 {
            Scan::More(at + 2)
        } else {
            Scan::Invalid
        });
    };
    match tail {
        [b'\r', b'\n', ..] => Ok((number, at + rest.len() - tail.len() + 2)),
        [] | [b'\r'] if rest.len() < LEN_MAX => Err(Scan::More(at + rest.len() + 1)),
        _ => Err(Scan::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, SimDisk};
    use proptest::prelude::*;
    use std::path::Path;

    fn reader(bytes: &[u8]) -> FileReader {
        let disk = SimDisk::new();
        disk.put(Path::new("d/f"), bytes.to_vec());
        FileReader::new(disk.open(Path::new("d/f")).unwrap()).unwrap()
    }

    fn items(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, Item) {
        let mut reader = reader(bytes);
        let (mut position, mut commands) = (0, Vec::new());
        loop {
            match reader.item(position).unwrap() {
                Item::Command { end } => {
                    commands.push(reader.args(position).map(<[u8]>::to_vec).collect());
                    position = end;
                }
                Item::Comment { end } => position = end,
                last => return (commands, last),
            }
        }
    }

    fn encode(args: &[Vec<u8>], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
    }

    #[test]
    fn what_is_no_command_is_told_apart() {
        for (bytes, last) in [
            (&b""[..], Item::End),
            (b"*", Item::CutOff),
            (b"*1", Item::CutOff),
            (b"*1\r", Item::CutOff),
            (b"*1\r\n$", Item::CutOff),
            (b"*1\r\n$4\r\nPIN", Item::CutOff),
            (b"*1\r\n$4\r\nPING\r", Item::CutOff),
            (b"*1\r\n$4\r\nPING\r\n", Item::End),
            (b"*1\r\n$4\r\nPINGS\r\n", Item::Invalid),
            (b"*1\r\n$9223372036854775807\r\nPING\r\n", Item::CutOff),
            (b"*1\r\n$18446744073709551615\r\nPING\r\n", Item::Invalid),
            (b"*1\r\n$99999999999999999999999\r\nPING\r\n", Item::Invalid),
            (b"*1\r\n$-1\r\n", Item::Invalid),
            (b"*0\r\n", Item::Invalid),
            (b"*2147483648\r\n", Item::Invalid),
            (b"*01\r\n", Item::Invalid),
            (b"*1\n$4\r\nPING\r\n", Item::Invalid),
            (b"PING\r\n", Item::Invalid),
            (b"\0\0\0", Item::Invalid),
            (b"# comment", Item::End),
        ] {
            assert_eq!(
                items(bytes).1,
                last,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
        assert_eq!(
            items(format!("#{}\n", "x".repeat(1023)).as_bytes()).1,
            Item::Invalid
        );
    }

    #[test]
    fn items_larger_than_the_window_are_read() {
        let mut bytes = Vec::new();
        let big = vec![vec![b'x'; 3 * CHUNK + 1], b"\r\n*1\r\n".to_vec()];
        let many = vec![b"arg".to_vec(); 400_000];
        encode(&big, &mut bytes);
        bytes.extend_from_slice(b"#TS:1\r\n");
        encode(&many, &mut bytes);
        assert!(items(&bytes) == (vec![big, many], Item::End));
    }

    proptest! {
        #[test]
        fn commands_are_read_as_written(
            commands in proptest::collection::vec(proptest::collection::vec(any::<Vec<u8>>(), 1..5), 0..8),
            cut in 0..200usize,
        ) {
            let (mut bytes, mut ends) = (Vec::new(), vec![0]);
            for command in &commands {
                encode(command, &mut bytes);
                ends.push(bytes.len());
            }
            prop_assert_eq!(items(&bytes), (commands.clone(), Item::End));
            let cut = cut.min(bytes.len());
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            let last = if ends.contains(&cut) { Item::End } else { Item::CutOff };
            prop_assert_eq!(items(&bytes[..cut]), (commands[..whole].to_vec(), last));
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..64)) {
            items(&bytes);
        }
    }
}
