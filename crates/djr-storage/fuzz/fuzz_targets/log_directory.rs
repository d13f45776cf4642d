//! Any directory of a log is recovered, repaired or refused. What is refused stays as it is; what was recovered is recovered again, with what
//! was appended meanwhile.
//!
//! The input is the bytes of the files one behind the other, with directions between them ([`lay_out`]); one of them appends the right checksum
//! line of a group, which a fuzzer would hardly find.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use djr_storage::aof::annotation::Annotation;
use djr_storage::aof::{
    AofConfig, Log, Recovered, RecoveryError, RecoveryMode, Replay, ReplayedCommand, recover,
};
use djr_storage::disk::SimDisk;
use djr_storage::rdb::{FileReader, Item, LoadError};

/// What begins a direction.
const DIRECTION: u8 = 0xff;
/// In the log's directory, but for the first one.
const NAMES: [&str; 8] = [
    "../appendonly.aof",
    "appendonly.aof.manifest",
    "appendonly.aof",
    "appendonly.aof.1.base.aof",
    "appendonly.aof.1.base.rdb",
    "appendonly.aof.1.incr.aof",
    "appendonly.aof.2.incr.aof",
    "temp-appendonly.aof.manifest",
];
const APPENDED: &[u8] = b"*3\r\n$3\r\nSET\r\n$3\r\nnew\r\n$3\r\none\r\n";

type Files = Vec<(PathBuf, Option<Vec<u8>>)>;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let config = AofConfig {
        preallocate_step: 0,
        ..AofConfig::new("data")
    };
    let found = lay_out(input, &config);
    let is_adopted = found.contents(&config.dir.join(NAMES[2])).is_some();

    let disk = found.after_kill();
    let before = files(&disk);
    match read(&disk, &config, RecoveryMode::Refuse) {
        Ok((recovered, commands)) => goes_on(&disk, &config, recovered, commands),
        // The single file of an old server gets a manifest before anything of it is read.
        Err(_) => assert!(
            is_adopted || files(&disk) == before,
            "refused, and yet changed"
        ),
    }

    let disk = found.after_kill();
    if let Ok((recovered, commands)) = read(&disk, &config, RecoveryMode::Repair) {
        goes_on(&disk, &config, recovered, commands);
    }
});

/// A disk with the files of the input.
///
/// After a byte 255: a digit chooses the file that what follows goes to; `g` ends a group, `m` puts a line that covers nothing, `z` a sector's
/// filler of zeros; anything else is itself.
fn lay_out(input: &[u8], config: &AofConfig) -> SimDisk {
    let mut contents: [Vec<u8>; NAMES.len()] = Default::default();
    let (mut file, mut group, mut end) = (1, 0, 0);
    let mut bytes = input.iter();
    while let Some(&byte) = bytes.next() {
        let content = &mut contents[file];
        let direction = match byte {
            DIRECTION => bytes.next().copied().unwrap_or(DIRECTION),
            byte => {
                content.push(byte);
                continue;
            }
        };
        match direction {
            b'0'..=b'7' => {
                file = usize::from(direction - b'0');
                group = contents[file].len();
            }
            b'g' => {
                let covered = content.get(group..).unwrap_or_default();
                let (crc32, len) = (crc32fast::hash(covered), covered.len() as u64);
                end += len;
                let synced = end - len;
                Annotation {
                    crc32,
                    len,
                    end,
                    synced,
                }
                .encode(content);
                group = content.len();
            }
            b'm' => {
                Annotation::mark(end, end).encode(content);
                group = content.len();
            }
            b'z' => content.extend([0; 512]),
            other => content.push(other),
        }
    }
    let disk = SimDisk::new();
    for (name, content) in NAMES.iter().zip(contents) {
        if !content.is_empty() {
            let path = match name.strip_prefix("../") {
                Some(name) => config.dir.join(name),
                None => config.path(name),
            };
            disk.put(&path, content);
        }
    }
    disk
}

fn files(disk: &SimDisk) -> Files {
    let with_content = |path: PathBuf| {
        let content = disk.contents(&path);
        (path, content)
    };
    disk.paths().into_iter().map(with_content).collect()
}

/// The commands of a log, and the entries of its base.
#[derive(Default)]
struct Told(Vec<(u32, Vec<Vec<u8>>)>);

impl Replay for Told {
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String> {
        let args = command.args.iter().map(|arg| arg.to_vec());
        self.0.push((command.db, args.collect()));
        Ok(())
    }

    fn rdb_base(&mut self, _: &Path, bytes: &[u8]) -> Result<u64, LoadError> {
        let mut reader = FileReader::new(bytes)?;
        while let Some(item) = reader.next_item()? {
            if let Item::Entry(entry) = item {
                self.0.push((entry.db, vec![entry.key.to_vec()]));
            }
        }
        Ok(reader.position())
    }
}

fn read(
    disk: &SimDisk,
    config: &AofConfig,
    mode: RecoveryMode,
) -> Result<(Recovered, Told), RecoveryError> {
    let mut told = Told::default();
    let recovered = recover(&(Arc::new(disk.clone()) as _), config, mode, true, &mut told)?;
    Ok((recovered, told))
}

/// What was recovered is a log like any other.
fn goes_on(disk: &SimDisk, config: &AofConfig, recovered: Recovered, mut told: Told) {
    let log = Log::open(
        Arc::new(disk.clone()),
        config.clone(),
        recovered.state,
        Box::new(|_| ()),
    );
    // Refused for what can be refused: a name that is in the way, a number that has no next one.
    let Ok(log) = log else { return };
    log.append(7, APPENDED);
    if log.sync().is_err() || log.close().is_err() {
        panic!("a sound disk refused");
    }
    told.0
        .push((7, [&b"SET"[..], b"new", b"one"].map(<[u8]>::to_vec).into()));
    match read(disk, config, RecoveryMode::Refuse) {
        Ok((recovered, again)) => {
            assert!(recovered.report.torn.is_none(), "torn by a clean end");
            assert!(again.0 == told.0, "not what was there and was appended");
        }
        Err(error) => panic!("recovered once, and not again: {error}"),
    }
}
