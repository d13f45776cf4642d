//! A disk that is full: writes are refused, reads go on, and what was acknowledged is there afterwards.

use djr_tests::killable::Killable;
use djr_tests::reply::Reply;

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there() {
    for policy in ["everysec", "always", "no"] {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        std::fs::create_dir(&data).expect("a directory");
        let words = ["--save", "", "--appendfsync", policy];
        let server = Killable::start_on_small_disk(&data, &words, 512);
        let (mut client, mut acknowledged) = (server.connect(), 0_usize);
        let value = "v".repeat(997);
        loop {
            match client.run(&format!("SET {acknowledged} {value}")) {
                Reply::Line(b'+', _) => acknowledged += 1,
                // That it failed is said by closing the connection: whether it is on the disk is not known.
                Reply::Closed => break,
                other => {
                    assert!(other.to_string().starts_with("-MISCONF"), "{other}");
                    break;
                }
            }
            assert!(acknowledged < 10_000, "{policy}: the disk is never full");
        }
        assert!(acknowledged > 100, "{policy}: {acknowledged}");
        // Another worker may have begun its turn before: then that write fails, too, and its client is disconnected.
        let mut other = server.connect();
        let mut refusal = other.run("SET k v");
        if refusal == Reply::Closed {
            other = server.connect();
            refusal = other.run("SET k v");
        }
        let refusal = refusal.to_string();
        assert!(refusal.starts_with("-MISCONF"), "{policy}: {refusal}");
        assert_eq!(other.run("GET 0").text(), value.as_bytes(), "{policy}");
        server.kill();

        let server = Killable::start(&data, &words);
        let mut client = server.connect();
        for key in 0..acknowledged {
            let found = client.run(&format!("GET {key}"));
            assert_eq!(
                found.text(),
                value.as_bytes(),
                "{policy}: {key} of {acknowledged}"
            );
        }
        assert_eq!(client.run("SET k v").text(), b"OK", "{policy}");
    }
}
