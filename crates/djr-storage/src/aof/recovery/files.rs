//! Which files make up the log, and what is done to them as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::manifest::{Manifest, ManifestFile, is_file_name};
use super::super::scan::{FileReader, Item};
use super::super::search::content_len;
use super::super::survey::{Role, Survey};
use super::super::{AofConfig, LogError};
use super::{RecoveryError, Replay};
use crate::disk::{Contents, Disk, DiskFile, read_all};
use crate::rdb::{LoadError, is_rdb};

/// One file of the data set, as the manifest names it.
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) role: Role,
    /// Where its commands begin.
    pub(super) start: u64,
}

/// A base that begins with a snapshot in RDB format.
pub(super) struct RdbBase {
    pub(super) path: PathBuf,
    contents: Contents,
    /// Where it ends and commands begin, in an AOF of Redis before version 7.
    pub(super) commands: Option<u64>,
}

impl RdbBase {
    pub(super) fn open(disk: &dyn Disk, path: PathBuf) -> Result<Self, RecoveryError> {
        let contents = disk
            .contents(&path)
            .map_err(|error| LogError::io("read", &path, &error))?;
        let mut commands = None;
        if path.extension().is_none_or(|extension| extension != "rdb") {
            // All of it is read, so that damage is known before anything is applied.
            let end = end_of_rdb(&contents).map_err(|error| refused_base(&path, &error))?;
            commands = Some(end).filter(|end| *end < contents.len() as u64);
        }
        Ok(Self {
            path,
            contents,
            commands,
        })
    }

    pub(super) fn load(self, replay: &mut dyn Replay) -> Result<(), RecoveryError> {
        let Self {
            path,
            contents,
            commands,
        } = self;
        let end = replay
            .rdb_base(&path, &contents)
            .map_err(|error| refused_base(&path, &error))?;
        if end != commands.unwrap_or(contents.len() as u64) {
            return Err(RecoveryError::Apply {
                file: path,
                position: end,
                message: "there are bytes behind the end of the RDB file".to_owned(),
            });
        }
        Ok(())
    }
}

fn refused_base(path: &Path, error: &LoadError) -> RecoveryError {
    RecoveryError::Apply {
        file: path.to_owned(),
        position: error.offset().unwrap_or(0),
        message: error.to_string(),
    }
}

pub(super) fn end_of_rdb(bytes: &[u8]) -> Result<u64, LoadError> {
    let mut reader = crate::rdb::FileReader::new(bytes)?;
    while reader.next_item()?.is_some() {}
    Ok(reader.position())
}

/// Makes the one AOF of a Redis before version 7 the base of a new manifest, as Redis 7 does: first the manifest, then the
/// file is moved, and if a crash came in between, the move is made up for.
pub(super) fn adopt_single_file(disk: &dyn Disk, config: &AofConfig) -> Result<(), RecoveryError> {
    let old = config.dir.join(&config.file_name);
    let fail = |operation, path: &Path| {
        let path = path.to_owned();
        move |error| LogError::io(operation, &path, &error)
    };
    let names = disk.list(&config.dir).map_err(fail("list", &config.dir))?;
    if !names.contains(&config.file_name) {
        return Ok(());
    }
    let dir = config.aof_dir();
    let in_dir = disk.list(&dir).map_err(fail("list", &dir))?;
    let name = config.file_name.clone();
    let base = Manifest {
        base: Some(ManifestFile { name, seq: 1 }),
        ..Manifest::default()
    };
    let manifest = config.manifest_path();
    match disk.open(&manifest) {
        Ok(file) => {
            let bytes = read_all(&*file).map_err(fail("read", &manifest))?;
            // Some other file of that name, beside a log that has its own: nobody's business.
            if Manifest::parse(&bytes).as_ref() != Ok(&base) || in_dir.contains(&config.file_name) {
                return Ok(());
            }
        }
        Err(_) => {
            disk.create_dir(&dir).map_err(fail("create", &dir))?;
            disk.sync_dir(&config.dir)
                .map_err(fail("fsync", &config.dir))?;
            config.publish_manifest(disk, &base)?;
        }
    }
    let new = config.path(&config.file_name);
    disk.rename(&old, &new).map_err(fail("rename", &old))?;
    disk.sync_dir(&dir).map_err(fail("fsync", &dir))?;
    disk.sync_dir(&config.dir)
        .map_err(fail("fsync", &config.dir))?;
    Ok(())
}

/// Reads the manifest; also says whether the base is an RDB file.
pub(super) fn read_manifest(
    disk: &dyn Disk,
    config: &AofConfig,
) -> Result<(Manifest, Option<PathBuf>), RecoveryError> {
    let path = config.manifest_path();
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            no_commands_without_manifest(disk, config)?;
            return Ok((Manifest::default(), None));
        }
        Err(error) => return Err(LogError::io("open", &path, &error).into()),
    };
    let bytes = read_all(&*file).map_err(|error| LogError::io("read", &path, &error))?;
    let manifest =
        Manifest::parse(&bytes).map_err(|error| RecoveryError::Manifest { path, error })?;
    let Some(base) = &manifest.base else {
        return Ok((manifest, None));
    };
    let path = config.path(&base.name);
    let file = open(disk, &path)?;
    let mut magic = [0; 5];
    let count = file
        .read_at(0, &mut magic)
        .map_err(|error| LogError::io("read", &path, &error))?;
    let magic = magic.get(..count).unwrap_or_default();
    let rdb = is_rdb(magic) || base.name.ends_with(".rdb");
    Ok((manifest, rdb.then_some(path)))
}

/// A first start that a crash interrupted may leave an increment without commands. Anything more must not be overlooked.
fn no_commands_without_manifest(disk: &dyn Disk, config: &AofConfig) -> Result<(), RecoveryError> {
    let dir = config.aof_dir();
    let names = disk
        .list(&dir)
        .map_err(|error| LogError::io("list", &dir, &error))?;
    let prefix = format!("{}.", config.file_name);
    for name in names
        .iter()
        .filter(|name| name.starts_with(&prefix) && is_file_name(name))
    {
        if !name.ends_with(".incr.aof")
            && !name.ends_with(".base.aof")
            && !name.ends_with(".base.rdb")
        {
            continue;
        }
        let path = config.path(name);
        let file = open(disk, &path)?;
        let fail = |error| LogError::io("read", &path, &error);
        let mut reader = FileReader::new(file).map_err(fail)?;
        let mut position = 0;
        while let Item::Comment { end } = reader.item(position).map_err(fail)? {
            position = end;
        }
        // Zeros and filler: its size survived a crash, its bytes did not.
        if content_len(&reader, position).map_err(fail)? > 0 {
            return Err(RecoveryError::MissingManifest {
                manifest: config.manifest_path(),
                file: path,
            });
        }
    }
    Ok(())
}

pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, RecoveryError> {
    disk.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RecoveryError::MissingFile {
            path: path.to_owned(),
        },
        _ => LogError::io("open", path, &error).into(),
    })
}

pub(super) fn open_all(
    disk: &dyn Disk,
    data: &[DataFile],
) -> Result<Vec<(Role, FileReader)>, RecoveryError> {
    let reader = |file: &DataFile| {
        let reader = FileReader::new(open(disk, &file.path)?);
        let reader = reader.map_err(|error| LogError::io("read", &file.path, &error))?;
        Ok((file.role, reader.starting_at(file.start)))
    };
    data.iter().map(reader).collect()
}

/// Cuts off the torn tail, and the filler of the last increment.
pub(super) fn cut_tails(
    disk: &dyn Disk,
    data: &[DataFile],
    found: &Survey,
) -> Result<(), RecoveryError> {
    let last = data.len().saturating_sub(1);
    for (index, (file, survey)) in data.iter().zip(&found.files).enumerate() {
        let torn = found.torn.is_some_and(|torn| index >= torn.file);
        if !torn && (index != last || file.role != Role::Incr) {
            continue;
        }
        let handle = open(disk, &file.path)?;
        let fail = |operation| move |error| LogError::io(operation, &file.path, &error);
        if handle.size().map_err(fail("read"))? > survey.content_end {
            handle
                .set_size(survey.content_end)
                .map_err(fail("truncate"))?;
            // Else a later crash could bring the tail back, behind what is appended from now on.
            handle.sync_data().map_err(fail("fsync"))?;
        }
    }
    Ok(())
}
