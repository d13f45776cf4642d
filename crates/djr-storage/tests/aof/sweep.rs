//! A log cut at every length, with every byte changed: a prefix, or damage that is named and can be repaired; never a panic,
//! and never silently without what a later annotation says was durable.

use crate::world::*;
use djr_storage::aof::annotation::Annotation;
use djr_storage::aof::{AofConfig, FsyncPolicy, RecoveryError, RecoveryMode};
use djr_storage::disk::SimDisk;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A disk image with the batches that went into it.
struct Image {
    disk: SimDisk,
    config: AofConfig,
    world: World,
}

fn image(policy: FsyncPolicy, with_base: bool) -> Image {
    let (disk, config) = (SimDisk::new(), config(policy));
    let mut world = World::open(&disk, &config).unwrap();
    let mut random = Random(7);
    for group in 0..9 {
        for _ in 0..1 + random.below(3) {
            world.random_batch(&mut random);
        }
        if group % 3 == 2 || policy == FsyncPolicy::Always {
            world.log.sync().unwrap();
        } else {
            world.log.flush().unwrap();
        }
        if with_base && group == 2 {
            world.rewrite().unwrap();
        }
    }
    Image {
        disk: disk.after_kill(),
        config,
        world,
    }
}

impl Image {
    fn with(&self, path: &Path, bytes: Vec<u8>) -> SimDisk {
        let disk = SimDisk::new();
        for other in self.disk.paths() {
            disk.put(&other, self.disk.contents(&other).unwrap());
        }
        disk.put(path, bytes);
        disk
    }

    fn last_incr(&self) -> PathBuf {
        self.disk
            .paths()
            .into_iter()
            .rfind(|path| path.to_str().unwrap().ends_with(".incr.aof"))
            .unwrap()
    }

    /// The file's annotations with their places; each covers the bytes from the end of the one before.
    fn lines(&self, path: &Path) -> Vec<(Range<usize>, Annotation)> {
        let bytes = self.disk.contents(path).unwrap();
        let mut at = 0;
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if let Some(annotation) = Annotation::parse(line) {
                lines.push((at..at + line.len(), annotation));
            }
            at += line.len();
        }
        lines
    }
}

/// A file that is cut is a shorter prefix; no evidence of more is left in it.
#[test]
fn a_log_cut_at_any_length_is_a_prefix() {
    for (policy, with_base) in [
        (FsyncPolicy::EverySec, false),
        (FsyncPolicy::EverySec, true),
        (FsyncPolicy::Always, false),
    ] {
        let image = image(policy, with_base);
        let path = image.last_incr();
        let bytes = image.disk.contents(&path).unwrap();
        let lines = image.lines(&path);
        for len in 0..=bytes.len() {
            let disk = image.with(&path, bytes[..len].to_vec());
            let place = format!("{policy:?}, base {with_base}, cut at {len}");
            let (recovered, commands) = recover_sim(&disk, &image.config, RecoveryMode::Refuse)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            let kept = image
                .world
                .prefix_len(&commands)
                .unwrap_or_else(|| panic!("{place}: not a prefix"));
            let annotated = lines
                .iter()
                .rfind(|(line, _)| line.end <= len)
                .map_or(0, |(_, line)| line.end);
            let expected = image.world.batches_until(annotated);
            assert!(
                kept >= expected,
                "{place}: shorter than what has annotations"
            );
            if len == bytes.len() {
                assert_eq!(kept, image.world.history.len());
            }

            // Every such log can be gone on with.
            let log = open_sim(&disk, &image.config, recovered.state).unwrap();
            log.append(2, &encoded(&["SET", "next", "1"]));
            log.sync().unwrap();
            let (_, more) = recover_sim(&disk, &image.config, RecoveryMode::Refuse)
                .unwrap_or_else(|error| panic!("{place}, then appended to: {error}"));
            assert_eq!(more.len(), commands.len() + 1, "{place}");
            assert_eq!(more[..commands.len()], commands, "{place}");
            assert_eq!(more[commands.len()].0, 2, "{place}");
        }
    }
}

/// A base, or an increment that others follow, was durable to its last byte.
#[test]
fn a_base_cut_at_any_length_is_damaged() {
    let image = image(FsyncPolicy::EverySec, true);
    let path = image.config.path("appendonly.aof.1.base.aof");
    let bytes = image.disk.contents(&path).unwrap();
    for len in 1..bytes.len() {
        let disk = image.with(&path, bytes[..len].to_vec());
        let found = recover_sim(&disk, &image.config, RecoveryMode::Refuse);
        assert!(
            matches!(found, Err(RecoveryError::Damaged(_))),
            "cut at {len}"
        );
        let (_, commands) = recover_sim(&disk, &image.config, RecoveryMode::Repair).unwrap();
        assert!(
            image.world.commands().ends_with(&commands),
            "cut at {len}: the increment is whole"
        );
        recover_sim(&disk, &image.config, RecoveryMode::Refuse).unwrap();
    }
}

#[test]
fn any_byte_changed_is_noticed_and_repaired() {
    for (policy, with_base) in [
        (FsyncPolicy::EverySec, false),
        (FsyncPolicy::EverySec, true),
        (FsyncPolicy::Always, false),
    ] {
        let image = image(policy, with_base);
        for path in image.disk.paths() {
            if path.to_str().unwrap().ends_with(".aof") {
                change_every_byte(&image, &path);
            }
        }
    }
}

fn change_every_byte(image: &Image, path: &Path) {
    let bytes = image.disk.contents(path).unwrap();
    let lines = image.lines(path);
    let base = path.to_str().unwrap().ends_with(".base.aof");
    let all = image.world.commands();
    let full = |commands: &[Command]| commands == all;
    let content_end = lines.last().unwrap().0.end;
    for at in 0..content_end {
        for new in [bytes[at] ^ 1, b'#', b'\n', b'9'] {
            if new == bytes[at] {
                continue;
            }
            let mut changed = bytes.clone();
            changed[at] = new;
            let disk = image.with(path, changed);
            let place = format!(
                "{}, byte {at} from {:?} to {:?}",
                path.display(),
                bytes[at] as char,
                new as char
            );
            // The group that the byte belongs to, annotation included.
            let group = lines.iter().position(|(line, _)| at < line.end).unwrap();
            let synced = lines
                .iter()
                .filter(|(line, _)| !line.contains(&at))
                .map(|(_, line)| line.synced)
                .max()
                .unwrap();
            match recover_sim(&disk, &image.config, RecoveryMode::Refuse) {
                Ok((_, commands)) => {
                    let kept = image
                        .world
                        .prefix_len(&commands)
                        .unwrap_or_else(|| panic!("{place}: not a prefix"));
                    if !base {
                        let durable = image.world.batches_until(synced);
                        assert!(
                            kept >= durable,
                            "{place}: {durable} batches were durable, {kept} are there"
                        );
                    } else {
                        assert!(full(&commands), "{place}: a base is whole or damaged");
                    }
                }
                Err(RecoveryError::Damaged(report)) => {
                    assert!(!report.damaged.is_empty(), "{place}");
                    assert!(
                        report.damaged.iter().all(|damage| damage.file == path),
                        "{place}: {report}"
                    );
                    let (recovered, commands) =
                        recover_sim(&disk, &image.config, RecoveryMode::Repair)
                            .unwrap_or_else(|error| panic!("{place}: repair: {error}"));
                    let lost = lines[group].1;
                    let outside =
                        |range: &Range<u64>| range.end <= lost.start() || range.start >= lost.end;
                    let mut start = 0;
                    let mut expected = Vec::new();
                    for (end, batch) in &image.world.history {
                        if outside(&(start..*end)) {
                            expected.extend(batch.clone());
                        }
                        start = *end;
                    }
                    if !base && commands.len() != expected.len() {
                        panic!(
                            "{place}: repair: {}\n{}",
                            recovered.report,
                            bytes[at.saturating_sub(150)..].escape_ascii()
                        );
                    }
                    if base {
                        assert!(
                            all.ends_with(&commands),
                            "{place}: repair lost more than the base"
                        );
                    } else {
                        assert_eq!(
                            commands.len(),
                            expected.len(),
                            "{place}: repair kept something else"
                        );
                        assert!(commands == expected, "{place}: repair kept something else");
                    }
                    for damage in recovered
                        .report
                        .damaged
                        .iter()
                        .filter(|damage| damage.bytes > 0)
                    {
                        let aside = disk.contents(damage.quarantine.as_ref().unwrap()).unwrap();
                        assert_eq!(aside.len() as u64, damage.bytes, "{place}");
                        let mut original = bytes.clone();
                        original[at] = new;
                        assert!(
                            original.windows(aside.len()).any(|window| window == aside),
                            "{place}"
                        );
                    }
                    let (_, again) = recover_sim(&disk, &image.config, RecoveryMode::Refuse)
                        .unwrap_or_else(|error| panic!("{place}: after the repair: {error}"));
                    assert!(again == commands, "{place}: after the repair");
                }
                Err(error) => panic!("{place}: {error}"),
            }
        }
    }
}

#[test]
fn damage_is_named_by_file_place_and_keys() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let mut world = World::open(&disk, &config).unwrap();
    for key in ["a", "b", "c"] {
        world.set(1, key, b"some value");
        world.log.sync().unwrap();
    }
    let path = incr(&config, 1);
    let mut bytes = disk.contents(&path).unwrap();
    let at = bytes
        .windows(10)
        .position(|window| window == b"some value")
        .unwrap();
    bytes[at] = b'S';
    disk.put(&path, bytes);
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(
            "appendonly.aof.1.incr.aof, 104 bytes at position 42 (wrong checksum), keys: a"
        ),
        "{text}"
    );
    assert!(text.contains("--aof-repair"), "{text}");
    let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Repair).unwrap();
    let keys: Vec<_> = commands
        .iter()
        .map(|(db, args)| (*db, args[1].as_slice()))
        .collect();
    assert_eq!(keys, [(1, b"b".as_slice()), (1, b"c")]);
    let text = recovered.report.to_string();
    assert!(
        text.contains(
            "taken out and kept in data/appendonlydir/appendonly.aof.1.incr.aof.damaged-42"
        ),
        "{text}"
    );
}

#[test]
fn random_bytes_never_cause_a_panic() {
    let mut random = Random(3);
    let config = config(FsyncPolicy::EverySec);
    for _ in 0..3000 {
        let disk = SimDisk::new();
        disk.put(
            &config.manifest_path(),
            b"file appendonly.aof.1.incr.aof seq 1 type i\n".to_vec(),
        );
        let pieces: [&[u8]; 12] = [
            b"*1\r\n$4\r\nPING\r\n",
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
            b"*1\r\n$5\r\nMULTI\r\n",
            b"*1\r\n$4\r\nEXEC\r\n",
            b"#DJR crc32=00000000 len=0 end=0 synced=0\r\n",
            b"#DJR crc32=00000000 len=9 end=99 synced=40\r\n",
            b"#DJR repaired from=0 to=5\r\n",
            b"#DJR log\r\n",
            b"#   \r\n",
            b"\0\0",
            b"*3\r\n$",
            b"#DJR crc32=00000000 len=18446744073709551615 end=18446744073709551615 synced=0\r\n",
        ];
        let mut bytes = Vec::new();
        for _ in 0..random.below(8) {
            bytes.extend_from_slice(pieces[random.below(pieces.len() as u64) as usize]);
        }
        disk.put(&incr(&config, 1), bytes.clone());
        let place = bytes.escape_ascii().to_string();
        match recover_sim(&disk, &config, RecoveryMode::Refuse) {
            Ok((recovered, commands)) => {
                let log = open_sim(&disk, &config, recovered.state).unwrap();
                log.append(0, &encoded(&["SET", "next", "1"]));
                log.sync().unwrap();
                let (_, more) = recover_sim(&disk, &config, RecoveryMode::Refuse)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(more.len(), commands.len() + 1, "{place}");
            }
            Err(RecoveryError::Damaged(_)) => {
                recover_sim(&disk, &config, RecoveryMode::Repair)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
            }
            Err(RecoveryError::Apply { .. }) => {}
            Err(error) => panic!("{place}: {error}"),
        }
    }
}
