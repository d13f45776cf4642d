//! How a log begins: where recovery stopped, or anew while the server runs.

use super::super::annotation::{ANNOTATION_LEN_MAX, Annotation};
use super::super::batch::Pending;
use super::super::log_file::LogFile;
use super::super::manifest::{Manifest, ManifestFile};
use super::super::{AofConfig, FsyncPolicy, LogError, Offset};
use super::{Files, Log, OnDurable, OpenState, Padded, Wake, Writer};
use crate::disk::Disk;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, OnceLock};

impl Log {
    /// Goes on where recovery stopped. Creates the files of a new log.
    ///
    /// When it returns, everything recovered is durable.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: AofConfig,
        state: OpenState,
        on_durable: OnDurable,
    ) -> Result<Log, LogError> {
        let step = if config.policy == FsyncPolicy::Always {
            config.preallocate_step
        } else {
            0
        };
        let mut manifest = state.manifest;
        let dir = config.aof_dir();
        disk.create_dir(&dir)
            .map_err(|error| LogError::io("create", &dir, &error))?;
        disk.sync_dir(&config.dir)
            .map_err(|error| LogError::io("fsync", &config.dir, &error))?;

        // A process that was killed may have left files, even published ones, that no sync has covered.
        for name in manifest
            .base
            .iter()
            .chain(&manifest.incrs)
            .map(|file| &file.name)
        {
            let path = config.path(name);
            let file = disk
                .open(&path)
                .map_err(|error| LogError::io("open", &path, &error))?;
            file.sync_data()
                .map_err(|error| LogError::io("fsync", &path, &error))?;
        }

        // Nor their names, the manifest's among them.
        disk.sync_dir(&dir)
            .map_err(|error| LogError::io("fsync", &dir, &error))?;

        let had_history = !manifest.history.is_empty();
        let (name, created) = match manifest.incrs.last() {
            Some(last) => (last.name.clone(), false),
            None => {
                let seq = manifest.incr_seq_next();
                let name = config.incr_name(seq);
                manifest.incrs.push(ManifestFile {
                    name: name.clone(),
                    seq,
                });
                (name, true)
            }
        };
        let path = config.path(&name);
        let opened = if created {
            disk.create(&path)
        } else {
            disk.open(&path)
        };
        let file = opened.map_err(|error| LogError::io("open", &path, &error))?;
        let mut current = LogFile::new(file, path, state.last_size);
        if created || !state.marked {
            if let Some(cover) = state.cover {
                current.write_line(&cover, 0)?;
            }
            current.pad_to_sector(ANNOTATION_LEN_MAX as u64)?;
            current.write_line(&Annotation::mark(state.end, state.end), step)?;
            current.sync()?;
        }
        let history = manifest.take_history();
        if created || had_history {
            config.publish_manifest(&*disk, &manifest)?;
        }
        for name in &history {
            // Not worth refusing to start for: the file is not in the manifest any more.
            let _ = disk.remove(&config.path(name));
        }
        for name in disk.list(&dir).unwrap_or_default() {
            if name.starts_with("temp-") && name.contains(&config.file_name) {
                let _ = disk.remove(&config.path(&name));
            }
        }

        let size = state.size.saturating_sub(state.last_size) + current.position();
        let files = Files {
            base_seq: manifest.base_seq_next(),
            manifest,
            rewriting: false,
            replaces: None,
        };
        Ok(Log::with(
            disk, config, on_durable, current, state.end, size, files,
        ))
    }

    /// Begins a log while the server runs (`CONFIG SET appendonly yes`), at offset `end`. It is of no use until a rewrite has
    /// ended ([`Log::is_complete`]): only then the manifest names its files, and those of an earlier log are removed. Until then
    /// they stay as they are, and what a crash leaves of the new ones nobody reads.
    ///
    /// All writers must append to it before the rewrite's cut is made.
    pub fn open_new(
        disk: Arc<dyn Disk>,
        config: AofConfig,
        end: Offset,
        on_durable: OnDurable,
    ) -> Result<Log, LogError> {
        let dir = config.aof_dir();
        disk.create_dir(&dir)
            .map_err(|error| LogError::io("create", &dir, &error))?;
        disk.sync_dir(&config.dir)
            .map_err(|error| LogError::io("fsync", &config.dir, &error))?;
        let earlier = config.read_manifest(&*disk)?;
        let names = disk
            .list(&dir)
            .map_err(|error| LogError::io("list", &dir, &error))?;
        // Whatever lies there, named by a manifest or not, is not ours to overwrite.
        let seq = config.seq_behind(&names);
        let name = config.incr_name(seq);
        let path = config.path(&name);
        let file = disk
            .create(&path)
            .map_err(|error| LogError::io("create", &path, &error))?;
        let mut current = LogFile::new(file, path, 0);
        current.write_line(&Annotation::mark(end, end), 0)?;
        current.sync()?;
        let size = current.position();
        let manifest = Manifest {
            incrs: vec![ManifestFile { name, seq }],
            ..Manifest::default()
        };
        let files = Files {
            base_seq: seq,
            manifest,
            rewriting: false,
            replaces: Some(earlier),
        };
        Ok(Log::with(
            disk, config, on_durable, current, end, size, files,
        ))
    }

    fn with(
        disk: Arc<dyn Disk>,
        config: AofConfig,
        on_durable: OnDurable,
        current: LogFile,
        end: Offset,
        size: u64,
        files: Files,
    ) -> Log {
        Log {
            pending: Padded(Mutex::new(Pending {
                buffer: Vec::with_capacity(1 << 16),
                end,
                db: None,
            })),
            end: AtomicU64::new(end),
            written: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            policy: AtomicU8::new(config.policy as u8),
            failed: OnceLock::new(),
            complete: AtomicBool::new(files.replaces.is_none()),
            timestamps: AtomicBool::new(false),
            time: AtomicU64::new(0),
            syncing: Mutex::new(()),
            wake: Mutex::new(Wake {
                work: false,
                stop: false,
            }),
            woken: Condvar::new(),
            on_durable,
            size: AtomicU64::new(size),
            size_at_rewrite: AtomicU64::new(size),
            files: Mutex::new(files),
            writer: Mutex::new(Writer {
                current,
                spare: Vec::with_capacity(1 << 16),
                retired: Vec::new(),
                unsynced: false,
                marked: true,
                time: 0,
            }),
            disk,
            config,
        }
    }
}
