//! Files that Redis or Valkey wrote, began, or went on with.

use crate::world::*;
use djr_storage::aof::{AofConfig, BaseFile, FsyncPolicy, RecoveryError, RecoveryMode, Why};
use djr_storage::disk::SimDisk;

const SELECT: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";

fn set(key: &str) -> Vec<u8> {
    encoded(&["SET", key, "v"])
}

fn put(disk: &SimDisk, config: &AofConfig, manifest: &str, files: &[(&str, &[u8])]) {
    disk.put(&config.manifest_path(), manifest.as_bytes().to_vec());
    for (name, bytes) in files {
        disk.put(&config.path(name), bytes.to_vec());
    }
}

fn keys(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|(_, args)| String::from_utf8_lossy(&args[1]).into_owned())
        .collect()
}

fn one_incr(bytes: &[u8]) -> (SimDisk, AofConfig) {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    put(
        &disk,
        &config,
        "file appendonly.aof.1.incr.aof seq 1 type i\n",
        &[("appendonly.aof.1.incr.aof", bytes)],
    );
    (disk, config)
}

#[test]
fn a_directory_of_redis_is_loaded() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let base = [SELECT, &set("a"), &encoded(&["RPUSH", "l", "1", "2"])].concat();
    let first = [
        b"#TS:1700000000\r\n".as_slice(),
        SELECT,
        &set("b"),
        b"#TS:1700000001\r\n",
        &set("c"),
    ]
    .concat();
    let second = [
        &encoded(&["SELECT", "3"])[..],
        &encoded(&["MULTI"]),
        &set("d"),
        &set("e"),
        &encoded(&["EXEC"]),
    ]
    .concat();
    put(
        &disk,
        &config,
        "file appendonly.aof.2.base.aof seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
         file appendonly.aof.2.incr.aof seq 2 type i\nfile appendonly.aof.3.incr.aof seq 3 type i\n",
        &[
            ("appendonly.aof.2.base.aof", &base),
            ("appendonly.aof.1.incr.aof", b"old"),
            ("appendonly.aof.2.incr.aof", &first),
            ("appendonly.aof.3.incr.aof", &second),
        ],
    );
    let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(keys(&commands), ["a", "l", "b", "c", "d", "e"]);
    assert_eq!(
        commands.iter().map(|(db, _)| *db).collect::<Vec<_>>(),
        [0, 0, 0, 0, 3, 3]
    );
    assert_eq!(
        recovered.report.base,
        BaseFile::Aof(config.path("appendonly.aof.2.base.aof"))
    );
    assert_eq!(
        recovered.report.end as usize,
        first.len() - 32 + second.len()
    );
    assert_eq!(
        recovered.report.bytes_unchecked as usize,
        base.len() + first.len() - 32 + second.len()
    );

    // Going on removes what the manifest calls history, and keeps the commands.
    let log = open_sim(&disk, &config, recovered.state).unwrap();
    assert_eq!(
        disk.contents(&config.path("appendonly.aof.1.incr.aof")),
        None
    );
    log.append(0, &set("f"));
    log.sync().unwrap();
    let (_, commands) =
        recover_sim(&disk.after_power_cut(1), &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(keys(&commands), ["a", "l", "b", "c", "d", "e", "f"]);
}

#[test]
fn an_rdb_base_is_named() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    put(
        &disk,
        &config,
        manifest,
        &[
            ("appendonly.aof.1.base.rdb", b"REDIS0011"),
            ("appendonly.aof.1.incr.aof", b""),
        ],
    );
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    let RecoveryError::Apply { file, message, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(file, config.path("appendonly.aof.1.base.rdb"));
    assert!(message.contains("RDB"), "{message}");
}

#[test]
fn what_is_missing_is_named() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    put(
        &disk,
        &config,
        "file appendonly.aof.1.incr.aof seq 1 type i\n",
        &[],
    );
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    assert!(
        matches!(error, RecoveryError::MissingFile { .. }),
        "{error}"
    );

    put(&disk, &config, "file x\n", &[]);
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    assert!(matches!(error, RecoveryError::Manifest { .. }), "{error}");

    // Without its manifest a log must not be taken for a new one and overwritten.
    let (disk, config) = (SimDisk::new(), self::config(FsyncPolicy::EverySec));
    disk.put(&config.path("appendonly.aof.4.incr.aof"), set("a"));
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    assert!(
        matches!(error, RecoveryError::MissingManifest { .. }),
        "{error}"
    );
}

#[test]
fn a_tail_cut_off_under_redis_is_dropped_at_the_last_whole_command() {
    let multi = [encoded(&["MULTI"]), set("c"), encoded(&["EXEC"])].concat();
    let bytes = [SELECT, &set("a"), &set("b"), &multi, &set("d")].concat();
    let ends = [
        SELECT.len(),
        set("a").len(),
        set("b").len(),
        multi.len(),
        set("d").len(),
    ];
    for cut in 0..=bytes.len() {
        let (disk, config) = one_incr(&bytes[..cut]);
        let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
        let mut whole = 0;
        let mut end = 0;
        for len in ends {
            if end + len > cut {
                break;
            }
            end += len;
            whole += 1;
        }
        assert_eq!(
            commands.len(),
            if whole == 0 { 0 } else { whole - 1 },
            "cut at {cut}"
        );
        assert_eq!(
            recovered.report.torn.map_or(0, |torn| torn.bytes),
            (cut - end) as u64,
            "cut at {cut}"
        );
        assert_eq!(disk.contents(&incr(&config, 1)).unwrap().len(), end);
    }
    let (disk, config) = one_incr(&[&bytes[..], &[0; 700]].concat());
    let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(
        (commands.len(), recovered.report.torn.is_some()),
        (4, true),
        "zeros at the end"
    );
}

#[test]
fn a_torn_tail_is_refused_if_so_configured() {
    let (disk, config) = one_incr(&[SELECT, &set("a"), b"*3\r\n$3\r\nSET"].concat());
    let disk: std::sync::Arc<dyn djr_storage::disk::Disk> = std::sync::Arc::new(disk);
    let mut replay = |_: &djr_storage::aof::ReplayedCommand<'_>| panic!("nothing is to be applied");
    let error = djr_storage::aof::recover(&disk, &config, RecoveryMode::Refuse, false, &mut replay)
        .unwrap_err();
    assert!(error.to_string().contains("aof-load-truncated"), "{error}");
}

/// Redis can't tell where to go on behind a syntax error, and refuses; so do we.
#[test]
fn garbage_in_a_file_of_redis_is_damage() {
    let (disk, config) = one_incr(&[SELECT, &set("a"), b"garbage\r\n", &set("b")].concat());
    let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
    let RecoveryError::Damaged(report) = error else {
        panic!("{error}")
    };
    assert_eq!(report.damaged[0].why, Why::NotACommand);
    assert_eq!(report.damaged[0].keys, ["b"]);
    let (_, commands) = recover_sim(&disk, &config, RecoveryMode::Repair).unwrap();
    assert_eq!(keys(&commands), ["a"]);
}

/// A power cut may leave of a new file of ours its size, some sectors of the group that was being written, and not the first one.
#[test]
fn a_new_file_without_its_first_sector_is_torn() {
    let sectors = |bytes: &[u8]| -> Vec<u8> {
        let sector = |byte: &u8| vec![*byte; 512];
        bytes.iter().flat_map(sector).collect()
    };
    let filler = format!("#{:61}\r\n", "").into_bytes();
    let hole = sectors(b"\0y\0\0");
    // What is there may be a part of a group of many commands.
    let filled = [
        &hole[..],
        &set("k"),
        &sectors(b"\0")[..512 - set("k").len()],
        &filler,
    ]
    .concat();
    for bytes in [&hole, &filled] {
        let (disk, config) = one_incr(bytes);
        let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert!(commands.is_empty());
        assert!(recovered.report.torn.is_some());
    }
    // It may be another server's, if there are commands and no filler, or no hole.
    for bytes in [[&hole[..], &set("k")].concat(), sectors(b"zy\0\0")] {
        let (disk, config) = one_incr(&bytes);
        let error = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap_err();
        assert!(matches!(error, RecoveryError::Damaged(_)), "{error}");
    }
}

/// Redis appended to a file that we began; then we went on, and were torn.
#[test]
fn a_file_that_two_servers_wrote_is_loaded() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::Always));
    let mut world = World::open(&disk, &config).unwrap();
    world.set(0, "ours1", b"v");
    world.log.sync().unwrap();
    let path = incr(&config, 1);
    for (clean, torn_of_ours) in [(true, 0), (false, 0), (true, 17)] {
        let disk = disk.after_kill();
        let mut bytes = disk.contents(&path).unwrap();
        if clean {
            let end = bytes
                .windows(3)
                .position(|window| window == b"\n# " || window == b"\n##")
                .unwrap()
                + 1;
            bytes.truncate(end);
            // What Redis cuts off when it loads: our annotation, because it comes after the last command.
            let cut = if torn_of_ours > 0 {
                end - bytes
                    .windows(5)
                    .rposition(|window| window == b"#DJR ")
                    .unwrap()
            } else {
                0
            };
            bytes.truncate(end - cut);
        }
        bytes.extend_from_slice(SELECT);
        bytes.extend_from_slice(&set("theirs"));
        disk.put(&path, bytes.clone());
        let place = format!("clean {clean}, annotation cut {}", torn_of_ours > 0);
        let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(keys(&commands), ["ours1", "theirs"], "{place}");
        assert_eq!(recovered.report.torn, None, "{place}");
        assert!(recovered.report.bytes_unchecked > 0, "{place}");

        let mut world = World {
            log: open_sim(&disk, &config, recovered.state).unwrap(),
            history: vec![(0, commands)],
        };
        world.set(4, "ours2", b"v");
        world.log.sync().unwrap();
        world.set(4, "ours3", b"v");
        world.log.sync().unwrap();
        let (_, commands) =
            recover_sim(&disk.after_power_cut(1), &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(
            keys(&commands),
            ["ours1", "theirs", "ours2", "ours3"],
            "{place}"
        );
        // The last group, torn.
        let mut bytes = disk.contents(&path).unwrap();
        let at = bytes
            .windows(5)
            .rposition(|window| window == b"ours3")
            .unwrap();
        bytes[at] = b'x';
        disk.put(&path, bytes);
        let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(keys(&commands), ["ours1", "theirs", "ours2"], "{place}");
        assert!(recovered.report.torn.is_some(), "{place}");
    }
}

/// A tool cut our file after a whole command: that is kept, and stays kept when we go on.
#[test]
fn a_file_cut_by_a_tool_is_kept() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let mut world = World::open(&disk, &config).unwrap();
    world.set(0, "a", b"v");
    world.set(0, "b", b"v");
    world.log.sync().unwrap();
    let path = incr(&config, 1);
    let mut bytes = disk.contents(&path).unwrap();
    let at = bytes
        .windows(5)
        .rposition(|window| window == b"#DJR ")
        .unwrap();
    bytes.truncate(at - set("b").len());
    disk.put(&path, bytes);
    for round in 0..3 {
        let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
        assert_eq!(commands.len(), 1 + round);
        let log = open_sim(&disk, &config, recovered.state).unwrap();
        log.append(7, &set("next"));
        log.sync().unwrap();
    }
}

/// The one file of a Redis before version 7 becomes the base, wherever a crash interrupts that.
#[test]
fn a_single_file_of_an_old_redis_is_adopted() {
    let config = config(FsyncPolicy::EverySec);
    let start = || {
        let disk = SimDisk::new();
        disk.put(
            &config.dir.join("appendonly.aof"),
            [SELECT, &set("a"), &set("b"), b"*3\r\n$3"].concat(),
        );
        disk
    };
    let whole = start();
    World::open(&whole, &config).unwrap();
    for cut in 0..=whole.operations() {
        let disk = start();
        disk.cut_power_at(cut);
        let _ = World::open(&disk, &config);
        let disk = disk.after_power_cut(cut);
        for _ in 0..2 {
            let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse)
                .unwrap_or_else(|error| panic!("cut at operation {cut}: {error}"));
            assert_eq!(keys(&commands), ["a", "b"], "cut at operation {cut}");
            assert_eq!(
                recovered.report.base,
                BaseFile::Aof(config.path("appendonly.aof"))
            );
            open_sim(&disk, &config, recovered.state).unwrap();
        }
        assert_eq!(disk.contents(&config.dir.join("appendonly.aof")), None);
    }
}

/// A value with the text of an annotation in a torn group is no evidence that the tail was durable.
#[test]
fn annotations_in_values_are_not_believed() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let mut world = World::open(&disk, &config).unwrap();
    world.set(0, "a", b"v");
    world.log.sync().unwrap();
    let forged = b"\r\n#DJR crc32=00000000 len=0 end=900000 synced=900000\r\n";
    world.set(0, "b", forged);
    world.log.flush().unwrap();
    let path = incr(&config, 1);
    let mut bytes = disk.contents(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    disk.put(&path, bytes);
    let (recovered, commands) = recover_sim(&disk, &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(keys(&commands), ["a"]);
    assert!(recovered.report.torn.is_some());
}

#[test]
fn leftovers_are_removed() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    World::open(&disk, &config).unwrap();
    for name in [
        "temp-appendonly.aof.manifest",
        "temp-appendonly.aof.base.aof",
        "temp-repair-appendonly.aof.1.incr.aof",
        "mine",
    ] {
        disk.put(&config.path(name), b"x".to_vec());
    }
    World::open(&disk, &config).unwrap();
    let names: Vec<_> = disk
        .paths()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "appendonly.aof.1.incr.aof",
            "appendonly.aof.manifest",
            "mine"
        ]
    );
}
