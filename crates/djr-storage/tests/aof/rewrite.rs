//! The rewrite: what it publishes, what it removes, and that the log goes on meanwhile.

use crate::world::*;
use djr_storage::aof::{FsyncPolicy, LogError, RecoveryMode, Sizes};
use djr_storage::disk::SimDisk;

fn names(disk: &SimDisk) -> Vec<String> {
    disk.paths()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn manifest(disk: &SimDisk, config: &djr_storage::aof::AofConfig) -> String {
    let text = String::from_utf8(disk.contents(&config.manifest_path()).unwrap()).unwrap();
    let (checksum, files) = text.split_once('\n').unwrap();
    assert!(checksum.starts_with("#DJR crc32="), "{text}");
    files.to_owned()
}

#[test]
fn a_rewrite_replaces_base_and_increments() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::Always));
    let mut world = World::open(&disk, &config).unwrap();
    assert_eq!(
        manifest(&disk, &config),
        "file appendonly.aof.1.incr.aof seq 1 type i\n"
    );
    for round in 1..=3u32 {
        world.set(round, "k", b"v");
        world.rewrite().unwrap();
        let next = round + 1;
        let expected = format!(
            "file appendonly.aof.{round}.base.aof seq {round} type b\nfile appendonly.aof.{next}.incr.aof seq {next} type i\n"
        );
        assert_eq!(manifest(&disk, &config), expected);
        let files = [
            format!("appendonly.aof.{round}.base.aof"),
            format!("appendonly.aof.{next}.incr.aof"),
            "appendonly.aof.manifest".to_owned(),
        ];
        assert_eq!(names(&disk), files);
    }
    let end = world.log.end();
    let (recovered, commands) =
        recover_sim(&disk.after_power_cut(1), &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(world.prefix_len(&commands), Some(3));
    assert_eq!(
        recovered.report.end, end,
        "the offset goes on over rewrites"
    );
}

#[test]
fn appends_between_cut_and_finish_are_in_the_new_increment() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let mut world = World::open(&disk, &config).unwrap();
    world.set(5, "before", b"1");
    let prepared = world.log.prepare_rewrite().unwrap();
    assert_eq!(
        world.log.prepare_rewrite().unwrap_err(),
        LogError::RewriteInProgress
    );
    let offset = world.log.append(5, &encoded(&["SET", "between", "2"]));
    let mut rewrite = prepared.cut().unwrap();
    assert_eq!(rewrite.cut_offset(), offset);
    world.log.append(5, &encoded(&["SET", "after", "3"]));
    world.log.sync().unwrap();
    // Both manifests are valid in between.
    let (_, commands) =
        recover_sim(&disk.after_power_cut(1), &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(commands.len(), 3);
    rewrite.write_command(5, &[b"SET", b"state", b"x"]).unwrap();
    rewrite.finish().unwrap();
    let (_, commands) =
        recover_sim(&disk.after_power_cut(2), &config, RecoveryMode::Refuse).unwrap();
    let found: Vec<_> = commands
        .iter()
        .map(|(db, args)| (*db, args[1].as_slice()))
        .collect();
    assert_eq!(found, [(5, b"state".as_slice()), (5, b"after")]);
}

#[test]
fn a_rewrite_that_is_dropped_leaves_all_as_it_was() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::EverySec));
    let mut world = World::open(&disk, &config).unwrap();
    world.set(0, "a", b"1");
    drop(world.log.prepare_rewrite().unwrap());
    assert_eq!(
        manifest(&disk, &config),
        "file appendonly.aof.1.incr.aof seq 1 type i\n"
    );
    world.set(0, "b", b"2");
    let mut rewrite = world.log.begin_rewrite().unwrap();
    rewrite
        .write_command(0, &[b"SET", b"half", &[b'x'; 200_000]])
        .unwrap();
    drop(rewrite);
    assert!(
        !names(&disk).iter().any(|name| name.starts_with("temp")),
        "{:?}",
        names(&disk)
    );
    world.set(0, "c", b"3");
    world.log.sync().unwrap();
    let (_, commands) =
        recover_sim(&disk.after_power_cut(1), &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(world.prefix_len(&commands), Some(3));
    world.rewrite().unwrap();
    let (_, commands) =
        recover_sim(&disk.after_power_cut(2), &config, RecoveryMode::Refuse).unwrap();
    assert_eq!(world.prefix_len(&commands), Some(3));
    assert_eq!(names(&disk).len(), 3, "{:?}", names(&disk));
}

#[test]
fn sizes_tell_when_a_rewrite_is_due() {
    let (disk, config) = (SimDisk::new(), config(FsyncPolicy::Always));
    let mut world = World::open(&disk, &config).unwrap();
    let size = |world: &World| world.log.sizes();
    let content = |disk: &SimDisk| -> u64 {
        let aof = disk
            .paths()
            .into_iter()
            .filter(|path| path.to_str().unwrap().ends_with(".aof"));
        aof.map(|path| disk.contents(&path).unwrap().len() as u64)
            .sum()
    };
    world.set(0, "a", &[b'x'; 500]);
    world.log.sync().unwrap();
    let before = size(&world);
    assert!(before.current > before.at_rewrite + 500);
    world.rewrite().unwrap();
    let after = size(&world);
    assert_eq!(after.current, after.at_rewrite);
    world.set(0, "b", b"1");
    world.log.close().unwrap();
    assert!(
        content(&disk) - size(&world).current < 64,
        "the filler does not count, nor the closing line"
    );
    let world = World::open(&disk, &config).unwrap();
    assert_eq!(size(&world).current, content(&disk));

    let sizes = |current, at_rewrite| Sizes {
        current,
        at_rewrite,
    };
    assert!(sizes(200, 100).rewrite_due(100, 64));
    assert!(!sizes(199, 100).rewrite_due(100, 64));
    assert!(!sizes(200, 100).rewrite_due(100, 200));
    assert!(!sizes(200, 100).rewrite_due(0, 64));
    assert!(sizes(u64::MAX, 0).rewrite_due(100, 64));
}
