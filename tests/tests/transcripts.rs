//! Plays every transcript to DJR and to the real servers that there are, and compares the replies with theirs and with the recorded ones.
//!
//! `DJR_TRANSCRIPT=name` plays only the files whose names contain that; `DJR_RECORD=1` records the replies anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};
use djr_tests::transcript::Transcript;

/// Transcripts that are played at once: most of their time is waiting.
const AT_ONCE: usize = 4;

#[test]
fn the_server_answers_as_the_transcripts_say() {
    let (files, next) = (files(), AtomicUsize::new(0));
    let play_some = || {
        let mut found = Vec::new();
        while let Some(path) = files.get(next.fetch_add(1, Relaxed)) {
            play(path, &mut found);
        }
        found
    };
    let found: Vec<String> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(play_some)).collect();
        let found = players
            .into_iter()
            .flat_map(|player| player.join().expect("no panic"));
        found.collect()
    });
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Plays one transcript to every server, and notes the differences.
fn play(path: &Path, found: &mut Vec<String>) {
    let record = std::env::var("DJR_RECORD").is_ok();
    let transcript = Transcript::read(path);
    let password = transcript.password.as_deref();
    let directives: Vec<_> = password.map(|it| ("requirepass", it)).into_iter().collect();
    // One worker and several: where a connection lives must not show.
    for threads in [1, 3] {
        let ours = Ours::start_with(threads, &directives);
        let ours = transcript.play(&|| ours.connect());
        if !record {
            transcript.compare_with_record(&ours, found);
        }
        if threads == 1 {
            continue;
        }
        let servers: Vec<_> = binaries()
            .iter()
            .filter_map(|binary| {
                let mut server = Reference::start_with(binary, password);
                server.hang_up();
                let (version, major) = (server.version.clone(), server.major());
                // Where it would wait in vain it need not be asked.
                let asked = transcript.is_compared_with(&version, major);
                let replies = asked.then(|| transcript.play(&|| server.connect()));
                Some((version, major, replies?))
            })
            .collect();
        for (version, major, theirs) in &servers {
            transcript.compare_with_server(version, *major, &ours, theirs, found);
        }
        if record {
            std::fs::write(path, transcript.recorded(&servers, &ours)).expect("written");
        }
    }
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let only = std::env::var("DJR_TRANSCRIPT").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the transcripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no transcript is named so");
    files
}
