//! A disk in memory that can lose power at any operation.
//!
//! For each file it keeps what is durable and the changes since; for the directory tree likewise. A power cut
//! takes for every sector one of the versions it had since the last sync, for the size one of the sizes, and any
//! subset of the renames, creations and removals that no `sync_dir` covered. All choices come from a seed.
//!
//! Operations that change something are numbered from 0, in the order they are called; a test sweeps the number at
//! which the power goes, or gives one operation a [`Fault`].

use super::{Disk, DiskFile, SECTOR};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and fails with this errno (`EIO` is 5, `ENOSPC` 28).
    Error(i32),
    /// A write takes only so many bytes, then fails with `ENOSPC`. Any other operation fails whole.
    ShortWrite(usize),
    /// A sync fails, and as on Linux the bytes it should have made durable count as clean afterwards: any part of them
    /// is lost, and no later sync brings them back. Any other operation fails with `EIO`.
    FailedSync,
}

/// The simulated disk. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

type Inode = usize;

#[derive(Debug, Default)]
struct State {
    operations: u64,
    cut_at: Option<u64>,
    off: bool,
    faults: BTreeMap<u64, Fault>,
    files: Vec<FileState>,
    names: BTreeMap<PathBuf, Inode>,
    names_durable: BTreeMap<PathBuf, Inode>,
    names_unsynced: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    dirs_durable: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    data: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(PathBuf, Inode),
    Rename(PathBuf, PathBuf, Inode),
    Remove(PathBuf),
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// How many numbered operations there have been.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Cuts the power at that operation: from then on every call fails.
    pub fn cut_power_at(&self, operation: u64) {
        self.state.lock().cut_at = Some(operation);
    }

    /// Lets one operation fail.
    pub fn inject(&self, operation: u64, fault: Fault) {
        self.state.lock().faults.insert(operation, fault);
    }

    /// Whether the power is gone.
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// What is found when the power comes back: a new disk. The old one goes on living, so one history can
    /// be reopened with many seeds.
    pub fn after_power_cut(&self, seed: u64) -> SimDisk {
        let state = self.state.lock();
        let mut random = Random(seed);
        let mut names = state.names_durable.clone();
        for change in &state.names_unsynced {
            if random.below(2) == 0 {
                change.apply(&mut names);
            }
        }
        let files = state
            .files
            .iter()
            .map(|file| {
                let data = file.after_power_cut(&mut random);
                FileState {
                    durable: data.clone(),
                    data,
                    unsynced: Vec::new(),
                }
            })
            .collect();
        let mut dirs = state.dirs_durable.clone();
        for dir in &state.dirs {
            if random.below(2) == 0 {
                dirs.insert(dir.clone());
            }
        }
        // A file whose directory is gone is gone too.
        names.retain(|path, _| {
            path.parent()
                .is_none_or(|dir| dirs.contains(dir) || !state.dirs.contains(dir))
        });
        SimDisk {
            state: Arc::new(Mutex::new(State {
                files,
                names_durable: names.clone(),
                names,
                dirs_durable: dirs.clone(),
                dirs,
                ..State::default()
            })),
        }
    }

    /// What is found when only the process died: everything written is there, durable or not.
    pub fn after_kill(&self) -> SimDisk {
        let state = self.state.lock();
        SimDisk {
            state: Arc::new(Mutex::new(State {
                files: state.files.clone(),
                names: state.names.clone(),
                names_durable: state.names_durable.clone(),
                names_unsynced: state.names_unsynced.clone(),
                dirs: state.dirs.clone(),
                dirs_durable: state.dirs_durable.clone(),
                ..State::default()
            })),
        }
    }

    /// A file's bytes as a reader sees them now, for tests that look inside.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state
            .names
            .get(path)
            .map(|&inode| state.files[inode].data.clone())
    }

    /// Puts a file there, durable at once, for tests that damage one.
    pub fn put(&self, path: &Path, data: Vec<u8>) {
        let mut state = self.state.lock();
        let inode = state.files.len();
        state.files.push(FileState {
            durable: data.clone(),
            data,
            unsynced: Vec::new(),
        });
        state.names.insert(path.to_owned(), inode);
        state.names_durable.insert(path.to_owned(), inode);
        if let Some(dir) = path.parent() {
            state.dirs.insert(dir.to_owned());
            state.dirs_durable.insert(dir.to_owned());
        }
    }

    /// All paths, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }
}

impl State {
    /// Counts an operation, and says what is to go wrong with it.
    fn operation(&mut self) -> io::Result<Option<Fault>> {
        let number = self.operations;
        if self.cut_at == Some(number) {
            self.off = true;
        }
        self.powered()?;
        self.operations += 1;
        Ok(self.faults.remove(&number))
    }

    /// As [`State::operation`], where a fault can only fail the whole.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation()? {
            None => Ok(()),
            Some(fault) => Err(fault.error()),
        }
    }

    fn powered(&self) -> io::Result<()> {
        if self.off {
            Err(io::Error::other("the power is off"))
        } else {
            Ok(())
        }
    }

    fn name_change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.names_unsynced.push(change);
    }
}

impl Fault {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Fault::Error(errno) => errno,
            Fault::ShortWrite(_) => 28,
            Fault::FailedSync => 5,
        })
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            NameChange::Create(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        match self {
            NameChange::Create(path, _) | NameChange::Remove(path) => path.parent() == Some(dir),
            NameChange::Rename(from, to, _) => {
                from.parent() == Some(dir) || to.parent() == Some(dir)
            }
        }
    }
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if data.len() < end {
                    data.resize(end, 0);
                }
                data[*offset..end].copy_from_slice(bytes);
            }
            Change::Size(size) => data.resize(*size, 0),
        }
    }

    /// Whether the change can alter the bytes of that sector.
    fn touches(&self, sector: usize, size_before: usize) -> bool {
        let size = SECTOR as usize;
        let range = match self {
            Change::Write { offset, bytes } => *offset.min(&size_before)..offset + bytes.len(),
            Change::Size(new) => *new.min(&size_before)..*new.max(&size_before),
        };
        range.start < (sector + 1) * size && range.end > sector * size
    }
}

impl FileState {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.data);
        self.unsynced.push(change);
    }

    fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        if self.unsynced.is_empty() {
            return self.durable.clone();
        }
        // Versions the file went through; which of them a sector shows is chosen sector by sector.
        let sector_size = SECTOR as usize;
        let mut sizes = vec![self.durable.len()];
        for change in &self.unsynced {
            let before = sizes[sizes.len() - 1];
            sizes.push(match change {
                Change::Write { offset, bytes } => before.max(offset + bytes.len()),
                Change::Size(size) => *size,
            });
        }
        let size_max = sizes.iter().copied().max().unwrap_or(0);
        let sectors = size_max.div_ceil(sector_size);
        // The version whose bytes each sector gets: 0 is the durable one.
        let everything = random.below(8);
        let chosen: Vec<usize> = (0..sectors)
            .map(|sector| {
                let versions: Vec<usize> = std::iter::once(0)
                    .chain(
                        (1..sizes.len())
                            .filter(|&v| self.unsynced[v - 1].touches(sector, sizes[v - 1])),
                    )
                    .collect();
                match everything {
                    0 => versions[versions.len() - 1],
                    _ => versions[random.below(versions.len() as u64) as usize],
                }
            })
            .collect();
        let mut out = vec![0; sectors * sector_size];
        let mut data = self.durable.clone();
        for version in 0..sizes.len() {
            if version > 0 {
                self.unsynced[version - 1].apply(&mut data);
            }
            for sector in (0..sectors).filter(|&sector| chosen[sector] == version) {
                let start = (sector * sector_size).min(data.len());
                let end = (start + sector_size).min(data.len());
                out[sector * sector_size..sector * sector_size + (end - start)]
                    .copy_from_slice(&data[start..end]);
            }
        }
        let mut size = sizes[random.below(sizes.len() as u64) as usize];
        if everything == 0 {
            size = sizes[sizes.len() - 1];
        } else if size > self.durable.len() && random.below(2) == 0 {
            // Written back page by page: the size may stop at a sector in between.
            let low = self.durable.len() / sector_size;
            let high = size / sector_size;
            size = ((low as u64 + random.below((high - low) as u64 + 1)) as usize * sector_size)
                .max(self.durable.len());
        }
        out.resize(size, 0);
        out
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        if let Some(&inode) = state.names.get(path) {
            state.files[inode].change(Change::Size(0));
            return Ok(Arc::new(SimFile {
                state: self.state.clone(),
                inode,
            }));
        }
        let inode = state.files.len();
        state.files.push(FileState::default());
        state.name_change(NameChange::Create(path.to_owned(), inode));
        Ok(Arc::new(SimFile {
            state: self.state.clone(),
            inode,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        state.powered()?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile {
            state: self.state.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.name_change(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.name_change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        state.dirs.insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        let state = &mut *state;
        let changes = std::mem::take(&mut state.names_unsynced);
        let (synced, rest) = changes
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.is_in(path));
        for change in synced {
            change.apply(&mut state.names_durable);
        }
        state.names_unsynced = rest;
        for dir in state.dirs.iter().filter(|dir| dir.parent() == Some(path)) {
            state.dirs_durable.insert(dir.clone());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        let in_dir = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.files[self.inode].data.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let state = self.state.lock();
        state.powered()?;
        let data = &state.files[self.inode].data;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(data.len());
        let count = out.len().min(data.len() - start);
        out[..count].copy_from_slice(&data[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut_here = state.cut_at == Some(state.operations) && !state.off;
        let fault = state.operation();
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let file = &mut state.files[self.inode];
        // A write that the power cut interrupts may have got anywhere: the sectors are chosen later.
        if cut_here {
            file.change(Change::Write {
                offset,
                bytes: bytes.to_vec(),
            });
        }
        match fault? {
            None => {
                file.change(Change::Write {
                    offset,
                    bytes: bytes.to_vec(),
                });
                Ok(())
            }
            Some(Fault::ShortWrite(count)) => {
                file.change(Change::Write {
                    offset,
                    bytes: bytes[..count.min(bytes.len())].to_vec(),
                });
                Err(Fault::ShortWrite(count).error())
            }
            Some(fault) => Err(fault.error()),
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.whole_operation()?;
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
        state.files[self.inode].change(Change::Size(size));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let number = state.operations;
        let fault = state.operation()?;
        let file = &mut state.files[self.inode];
        match fault {
            None => {
                // Not simply `data`: what an earlier failed sync lost stays lost.
                for change in std::mem::take(&mut file.unsynced) {
                    change.apply(&mut file.durable);
                }
                Ok(())
            }
            Some(Fault::FailedSync) => {
                file.durable = file.after_power_cut(&mut Random(number));
                file.unsynced.clear();
                Err(Fault::FailedSync.error())
            }
            Some(fault) => Err(fault.error()),
        }
    }
}

/// SplitMix64: small, and the same on every machine.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
