//! `djr-server check-rdb FILE`: goes through an RDB file and says what is in it, and what is wrong with it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use djr_storage::disk::{Disk, OsDisk};
use djr_storage::rdb::{Entry, FileError, FileReader, Item, ValueLimits, printable};

use super::Bar;
use crate::clock;

/// Damaged values are told one by one up to so many.
const DAMAGE_SHOWN_MAX: usize = 100;
/// Keys between two looks at whether the bar is to be drawn anew.
const KEYS_PER_LOOK: u64 = 1000;

/// What there is of one type.
#[derive(Default)]
struct OfType {
    keys: u64,
    expires: u64,
    /// Bytes in the file, keys excluded.
    bytes: u64,
    /// The greatest value and its key.
    greatest: (u64, String),
}

#[derive(Default)]
struct Findings {
    types: BTreeMap<&'static str, OfType>,
    keys: u64,
    expires: u64,
    expired: u64,
    functions: u64,
    damaged: Vec<FileError>,
    damaged_count: u64,
}

/// Checks the file, all of it: structure, every value, checksum. Writes what it finds to `out`, line by line, and how far it is to `bar`, if there is a
/// terminal for it. Returns whether the file is whole. An error is one of `out`.
pub fn check_rdb(
    path: &Path,
    out: &mut dyn Write,
    bar: Option<&mut dyn Write>,
) -> io::Result<bool> {
    let bytes = match OsDisk.contents(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            writeln!(out, "Cannot open file {}: {error}", path.display())?;
            return Ok(false);
        }
    };
    let shown = path.display().to_string();
    let end = check_preamble(&shown, &bytes, out, &mut Bar::new(bar))?;
    let behind = end.map_or(0, |end| bytes.len() as u64 - end);
    if behind > 0 {
        writeln!(
            out,
            "[info] {behind} bytes follow the RDB (an AOF with an RDB preamble has its commands there)"
        )?;
    }
    Ok(end.is_some())
}

/// Checks the RDB file that stands at the beginning of `bytes`. Returns where it ends; `None`: it is damaged.
pub(super) fn check_preamble(
    shown: &str,
    bytes: &[u8],
    out: &mut dyn Write,
    bar: &mut Bar<'_>,
) -> io::Result<Option<u64>> {
    writeln!(out, "[offset 0] Checking RDB file {shown}")?;
    let mut findings = Findings::default();
    let result = go_through(bytes, out, bar, &mut findings);
    bar.clear()?;
    if !findings.damaged.is_empty() {
        writeln!(out, "--- RDB ERROR DETECTED ---")?;
    }
    for error in &findings.damaged {
        tell_damage(out, shown, error)?;
    }
    let end = match result? {
        Ok(end) => Some(end),
        Err(error) => {
            writeln!(out, "--- RDB ERROR DETECTED ---")?;
            tell_damage(out, shown, &error)?;
            None
        }
    };
    if findings.damaged_count > findings.damaged.len() as u64 {
        let more = findings.damaged_count - findings.damaged.len() as u64;
        writeln!(out, "... and {more} damaged values more")?;
    }
    let whole = end.is_some() && findings.damaged_count == 0;
    if let Some(end) = end {
        writeln!(out, "[offset {end}] Checksum OK")?;
        if whole {
            writeln!(out, "[offset {end}] \\o/ RDB looks OK! \\o/")?;
        }
    }
    tell_summary(out, &findings)?;
    Ok(end.filter(|_| whole))
}

/// How far it came: where the file ends, or what is in the way.
type End = Result<u64, FileError>;

fn go_through(
    bytes: &[u8],
    out: &mut dyn Write,
    bar: &mut Bar<'_>,
    findings: &mut Findings,
) -> io::Result<End> {
    let mut reader = match FileReader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err(error)),
    };
    writeln!(out, "[offset 9] RDB version {}", reader.version())?;
    let limits = ValueLimits::default();
    let now = clock::unix_millis();
    loop {
        let item = match reader.next_item() {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(Ok(reader.position())),
            Err(error) => return Ok(Err(error)),
        };
        let offset = reader.position();
        match item {
            Item::Aux { name, value } => writeln!(
                out,
                "[offset {offset}] AUX FIELD {} = '{}'",
                printable(&name),
                printable(&value)
            )?,
            Item::Select(db) => writeln!(out, "[offset {offset}] Selecting DB ID {db}")?,
            Item::Function(_) => findings.functions += 1,
            Item::Module(name) => writeln!(out, "[offset {offset}] MODULE AUX for: {name}")?,
            Item::Entry(entry) => {
                findings.take(&entry, &limits, now);
                if findings.keys.is_multiple_of(KEYS_PER_LOOK) {
                    bar.draw(offset, bytes.len() as u64, findings.keys, "keys")?;
                }
            }
            _ => {}
        }
    }
}

impl Findings {
    fn take(&mut self, entry: &Entry<'_>, limits: &ValueLimits, now: i64) {
        self.keys += 1;
        let kind = entry.value_kind().map_or("module", |kind| kind.name());
        let of_type = self.types.entry(kind).or_default();
        of_type.keys += 1;
        let size = entry.body.len() as u64;
        of_type.bytes += size;
        if size > of_type.greatest.0 {
            of_type.greatest = (size, printable(&entry.key).into_owned());
        }
        if let Some(at) = entry.expire_at {
            self.expires += 1;
            of_type.expires += 1;
            self.expired += u64::from(at < now);
        }
        // What a module wrote can't be looked into.
        if kind != "module"
            && let Err(error) = entry.value(limits)
        {
            self.damaged_count += 1;
            if self.damaged.len() < DAMAGE_SHOWN_MAX {
                self.damaged.push(error);
            }
        }
    }
}

fn tell_damage(out: &mut dyn Write, shown: &str, error: &FileError) -> io::Result<()> {
    writeln!(out, "[offset {}] {}", error.offset, error.why)?;
    write!(out, "[additional info] File {shown}")?;
    if let Some(key) = &error.key {
        write!(out, ", key '{}'", printable(key))?;
    }
    writeln!(out)
}

fn tell_summary(out: &mut dyn Write, findings: &Findings) -> io::Result<()> {
    writeln!(out, "[info] {} keys read", findings.keys)?;
    writeln!(out, "[info] {} expires", findings.expires)?;
    writeln!(out, "[info] {} already expired", findings.expired)?;
    writeln!(out, "[info] {} functions", findings.functions)?;
    for (kind, of_type) in &findings.types {
        let OfType {
            keys,
            expires,
            bytes,
            greatest: (size, key),
        } = of_type;
        writeln!(
            out,
            "[info] {kind}: {keys} keys, {expires} of them expire, {bytes} bytes; the greatest has {size}: '{key}'"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use djr_storage::rdb::{EntryFacts, FileHeader, FileWriter};

    use super::*;

    fn check(bytes: &[u8]) -> (bool, String) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("dump.rdb");
        std::fs::write(&path, bytes).expect("it is written");
        let (mut out, mut bar) = (Vec::new(), Vec::new());
        let whole = check_rdb(&path, &mut out, Some(&mut bar)).expect("vectors take everything");
        let text = String::from_utf8(out).expect("it is text");
        (whole, text.replace(&path.display().to_string(), "FILE"))
    }

    fn file() -> Vec<u8> {
        let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).expect("it fits");
        file.select_db(0, 2, 1).expect("it fits");
        let facts = EntryFacts::default();
        file.raw_entry(b"word", 0, b"\x05hello", &facts)
            .expect("it fits");
        let facts = EntryFacts::expiring(Some(1));
        // A list with an element.
        file.raw_entry(b"list", 1, b"\x01\x07element", &facts)
            .expect("it fits");
        file.finish().expect("it fits")
    }

    #[test]
    fn a_whole_file_is_summed_up() {
        let (whole, text) = check(&file());
        assert!(whole, "{text}");
        for line in [
            "[offset 0] Checking RDB file FILE\n",
            "AUX FIELD redis-bits = '64'\n",
            "Selecting DB ID 0\n",
            "\\o/ RDB looks OK! \\o/\n",
            "[info] 2 keys read\n[info] 1 expires\n[info] 1 already expired\n[info] 0 functions\n",
            "[info] list: 1 keys, 1 of them expire, 9 bytes; the greatest has 9: 'list'\n",
            "[info] string: 1 keys, 0 of them expire, 6 bytes; the greatest has 6: 'word'\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing in\n{text}");
        }
        let (whole, text) = check(&[&file()[..], b"*1\r\n$4\r\nPING\r\n"].concat());
        assert!(whole && text.contains("14 bytes follow the RDB"), "{text}");
    }

    #[test]
    fn damage_is_named_by_offset_and_key() {
        let mut bytes = file();
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
        let (whole, text) = check(&bytes);
        assert!(!whole);
        assert!(
            text.contains("--- RDB ERROR DETECTED ---\n[offset "),
            "{text}"
        );
        let bytes = file();
        let (whole, text) = check(&bytes[..bytes.len() - 12]);
        assert!(!whole && text.contains("File FILE, key 'list'"), "{text}");
        let (whole, text) = check(b"something else");
        assert!(!whole && text.contains("not an RDB file"), "{text}");
        let mut out = Vec::new();
        let missing = Path::new("/nowhere/dump.rdb");
        assert!(!check_rdb(missing, &mut out, None).expect("vectors take everything"));
        assert!(out.starts_with(b"Cannot open file /nowhere/dump.rdb"));
    }

    #[test]
    fn values_are_looked_into_and_the_rest_is_read_all_the_same() {
        let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).expect("it fits");
        let facts = EntryFacts::default();
        // An intset that is none.
        file.raw_entry(b"bad", 11, b"\x03abc", &facts)
            .expect("it fits");
        file.raw_entry(b"good", 0, b"\x05hello", &facts)
            .expect("it fits");
        let (whole, text) = check(&file.finish().expect("it fits"));
        assert!(!whole);
        assert!(text.contains("[info] 2 keys read"), "{text}");
        assert!(text.contains("File FILE, key 'bad'"), "{text}");
        assert!(!text.contains("looks OK"), "{text}");
    }
}
