//! What the tests share: a log with a model beside it.

use djr_storage::aof::{
    AofConfig, FsyncPolicy, Log, LogError, Offset, OpenState, Recovered, RecoveryError,
    RecoveryMode, ReplayedCommand, recover,
};
use djr_storage::disk::{Disk, SimDisk};
use std::path::PathBuf;
use std::sync::Arc;

/// A command with its db.
pub(crate) type Command = (u32, Vec<Vec<u8>>);

/// SplitMix64, so that a failing run is a seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(crate) fn encode(args: &[impl AsRef<[u8]>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
        out.extend_from_slice(arg.as_ref());
        out.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn encoded(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(args, &mut out);
    out
}

pub(crate) fn config(policy: FsyncPolicy) -> AofConfig {
    AofConfig {
        policy,
        preallocate_step: 2048,
        ..AofConfig::new("data")
    }
}

pub(crate) fn incr(config: &AofConfig, seq: u64) -> PathBuf {
    config.path(&format!("appendonly.aof.{seq}.incr.aof"))
}

/// Recovers and collects the commands.
pub(crate) fn recover_all(
    disk: &Arc<dyn Disk>,
    config: &AofConfig,
    mode: RecoveryMode,
) -> Result<(Recovered, Vec<Command>), RecoveryError> {
    let mut commands = Vec::new();
    let mut take = |command: &ReplayedCommand<'_>| {
        commands.push((
            command.db,
            command.args.iter().map(|arg| arg.to_vec()).collect(),
        ));
        Ok(())
    };
    let recovered = recover(disk, config, mode, true, &mut take)?;
    Ok((recovered, commands))
}

pub(crate) fn recover_sim(
    disk: &SimDisk,
    config: &AofConfig,
    mode: RecoveryMode,
) -> Result<(Recovered, Vec<Command>), RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    recover_all(&disk, config, mode)
}

pub(crate) fn open_sim(
    disk: &SimDisk,
    config: &AofConfig,
    state: OpenState,
) -> Result<Log, LogError> {
    Log::open(
        Arc::new(disk.clone()),
        config.clone(),
        state,
        Box::new(|_| ()),
    )
}

/// A log with the batches that went into it.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) history: Vec<(Offset, Vec<Command>)>,
}

impl World {
    /// Recovers what the disk holds (strictly) and goes on.
    pub(crate) fn open(disk: &SimDisk, config: &AofConfig) -> Result<World, RecoveryError> {
        let (recovered, commands) = recover_sim(disk, config, RecoveryMode::Refuse)?;
        let history = if commands.is_empty() {
            Vec::new()
        } else {
            vec![(recovered.state_end(), commands)]
        };
        Ok(World {
            log: open_sim(disk, config, recovered.state)?,
            history,
        })
    }

    /// Appends one command.
    pub(crate) fn set(&mut self, db: u32, key: &str, value: &[u8]) -> Offset {
        let args = vec![b"SET".to_vec(), key.as_bytes().to_vec(), value.to_vec()];
        let offset = self.log.append(db, &encoded(&args));
        self.history.push((offset, vec![(db, args)]));
        offset
    }

    /// Appends one batch of a few random commands.
    pub(crate) fn random_batch(&mut self, random: &mut Random) {
        let number = self.history.len();
        let db = if random.below(3) == 0 {
            random.below(12) as u32
        } else {
            1
        };
        let count = if random.below(4) == 0 {
            2 + random.below(3)
        } else {
            1
        };
        let mut commands = Vec::new();
        for index in 0..count {
            let len = match random.below(12) {
                0 => random.below(1500),
                1 => 0,
                _ => random.below(60),
            };
            // Values that look like the file's own syntax, to lead a careless reader astray.
            let value: Vec<u8> = match random.below(4) {
                0 => b"\r\n#DJR *1\r\n$4\r\nEXEC\r\n"
                    .iter()
                    .copied()
                    .cycle()
                    .take(len as usize)
                    .collect(),
                _ => (0..len).map(|_| random.next() as u8).collect(),
            };
            commands.push((
                db,
                vec![
                    b"SET".to_vec(),
                    format!("k{number}.{index}").into_bytes(),
                    value,
                ],
            ));
        }
        let offset = self.log.append_with(db, |batch| {
            if commands.len() > 1 {
                batch.push(&encoded(&["MULTI"]));
            }
            commands
                .iter()
                .for_each(|(_, args)| batch.push(&encoded(args)));
            if commands.len() > 1 {
                batch.push(&encoded(&["EXEC"]));
            }
        });
        self.history.push((offset, commands));
    }

    /// Rewrites the log: the new base holds the whole history.
    pub(crate) fn rewrite(&mut self) -> Result<(), LogError> {
        let mut rewrite = self.log.begin_rewrite()?;
        for (db, args) in self.commands() {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            rewrite.write_command(db, &args)?;
        }
        rewrite.finish()
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        self.history
            .iter()
            .flat_map(|(_, commands)| commands.clone())
            .collect()
    }

    /// How many batches end at or before an offset.
    pub(crate) fn batches_until(&self, offset: Offset) -> usize {
        self.history
            .iter()
            .filter(|(end, _)| *end <= offset)
            .count()
    }

    /// If `commands` are the first batches, whole: how many batches.
    pub(crate) fn prefix_len(&self, commands: &[Command]) -> Option<usize> {
        let mut taken = 0;
        for (index, (_, batch)) in self.history.iter().enumerate() {
            if taken == commands.len() {
                return Some(index);
            }
            if commands.get(taken..taken + batch.len()) != Some(batch) {
                return None;
            }
            taken += batch.len();
        }
        (taken == commands.len()).then_some(self.history.len())
    }
}

pub(crate) trait StateEnd {
    fn state_end(&self) -> Offset;
}

impl StateEnd for Recovered {
    fn state_end(&self) -> Offset {
        self.report.end
    }
}
