//! The repair of damaged files: everything outside the damaged parts stays, their bytes are put aside.
//!
//! A repaired file is a copy that takes the old one's name in one step. Where bytes were taken out stand a `select 0` with
//! its annotation (the part that is gone may have changed the db, and a group that does not say its db is in db 0) and a
//! line that tells how the offset goes on; see [`super::super::annotation`].

use super::super::annotation::{Annotation, Repaired};
use super::super::batch::encode_select;
use super::super::scan::{FileReader, Item};
use super::super::survey::{FileSurvey, Role, Survey};
use super::super::{AofConfig, LogError};
use super::files::DataFile;
use super::report::DamagedRange;
use crate::disk::{Disk, DiskFile};
use std::io;
use std::ops::Range;
use std::path::Path;

/// How many keys are named, of how many bytes at most.
const KEYS_MAX: usize = 8;
const KEY_LEN_MAX: usize = 64;
/// How many bytes are searched for them.
const SEARCHED_MAX: u64 = 1 << 20;

/// Rewrites every file that has damage. `ranges` gets to know where the bytes went.
pub(super) fn repair(
    disk: &dyn Disk,
    config: &AofConfig,
    data: &[DataFile],
    files: &[(Role, FileReader)],
    found: &Survey,
    ranges: &mut [DamagedRange],
) -> Result<(), LogError> {
    for ((file, (_, reader)), survey) in data.iter().zip(files).zip(&found.files) {
        if survey.damage.is_empty() {
            continue;
        }
        for damage in ranges
            .iter_mut()
            .filter(|damage| damage.file == file.path && damage.bytes > 0)
        {
            damage.quarantine = Some(quarantine(disk, config, file, reader, damage)?);
        }
        let torn = found.torn.is_some_and(|torn| {
            data.get(torn.file)
                .is_some_and(|torn| torn.name == file.name)
        });
        let temp = config.path(&format!("temp-repair-{}", file.name));
        write_copy(disk, &temp, file.role, reader, survey, torn)
            .map_err(|error| LogError::io("write", &temp, &error))?;
        let dir = config.aof_dir();
        disk.sync_dir(&dir)
            .map_err(|error| LogError::io("fsync", &dir, &error))?;
        disk.rename(&temp, &file.path)
            .map_err(|error| LogError::io("rename", &temp, &error))?;
        disk.sync_dir(&dir)
            .map_err(|error| LogError::io("fsync", &dir, &error))?;
    }
    Ok(())
}

/// Copies the damaged bytes to a file of their own.
fn quarantine(
    disk: &dyn Disk,
    config: &AofConfig,
    file: &DataFile,
    reader: &FileReader,
    damage: &DamagedRange,
) -> Result<std::path::PathBuf, LogError> {
    let dir = config.aof_dir();
    let taken = disk
        .list(&dir)
        .map_err(|error| LogError::io("list", &dir, &error))?;
    let mut name = format!("{}.damaged-{}", file.name, damage.position);
    let mut count = 1;
    while taken.contains(&name) {
        count += 1;
        name = format!("{}.damaged-{}-{count}", file.name, damage.position);
    }
    let path = config.path(&name);
    let copied = disk.create(&path).and_then(|target| {
        copy(
            reader,
            damage.position..damage.position + damage.bytes,
            &*target,
            0,
        )?;
        target.sync_data()
    });
    copied.map_err(|error| LogError::io("write", &path, &error))?;
    Ok(path)
}

fn write_copy(
    disk: &dyn Disk,
    temp: &Path,
    role: Role,
    reader: &FileReader,
    survey: &FileSurvey,
    torn: bool,
) -> io::Result<()> {
    let target = disk.create(temp)?;
    let mut from = 0;
    let mut position = 0;
    for damage in &survey.damage {
        position = copy(reader, from..damage.range.start, &*target, position)?;
        from = damage.range.end;
        let mut seam = Vec::new();
        encode_select(&mut seam, 0);
        let len = seam.len() as u64;
        let start = damage.offsets.start;
        let end = start.saturating_add(len);
        Annotation {
            crc32: crc32fast::hash(&seam),
            len,
            end,
            synced: start,
        }
        .encode(&mut seam);
        let to = damage.offsets.end;
        Repaired { from: end, to }.encode(&mut seam);
        if role == Role::Base && from == reader.size() {
            Annotation::mark(to, to).encode(&mut seam);
        }
        target.write_at(position, &seam)?;
        position += seam.len() as u64;
    }
    // A torn tail is copied too: it is not this function's to judge.
    let rest = if torn {
        reader.size()
    } else {
        survey.content_end.max(from)
    };
    copy(reader, from..rest, &*target, position)?;
    target.sync_data()
}

/// Copies bytes; returns the position behind them in the target.
fn copy(reader: &FileReader, range: Range<u64>, target: &dyn DiskFile, to: u64) -> io::Result<u64> {
    let mut at = to;
    let mut outcome = Ok(());
    reader.read(range, |bytes| {
        if outcome.is_ok() {
            outcome = target.write_at(at, bytes);
        }
        at += bytes.len() as u64;
    })?;
    outcome.map(|()| at)
}

/// The first keys that can be made out in a part of a file, damaged as it is.
pub(super) fn keys(reader: &FileReader, range: Range<u64>) -> io::Result<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    let mut reader = reader.until(range.end.min(range.start.saturating_add(SEARCHED_MAX)));
    let mut position = range.start;
    while position < reader.size() && keys.len() < KEYS_MAX {
        match reader.item(position)? {
            Item::Command { end } => {
                let mut args = reader.args(position);
                let name = args.next().unwrap_or_default();
                let key = args
                    .next()
                    .filter(|_| !name.eq_ignore_ascii_case(b"select"));
                if let Some(key) = key {
                    let text = key
                        .get(..KEY_LEN_MAX)
                        .unwrap_or(key)
                        .escape_ascii()
                        .to_string();
                    if !keys.contains(&text) {
                        keys.push(text);
                    }
                }
                position = end;
            }
            Item::Comment { end } => position = end,
            Item::End => break,
            // Go on at the next place that looks like a command's beginning.
            Item::CutOff | Item::Invalid => match reader.find(position, *b"\n*")? {
                Some(at) => position = at + 1,
                None => break,
            },
        }
    }
    Ok(keys)
}
