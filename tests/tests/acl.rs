//! Users beyond what a client sees: in configuration files, in files of their own, in INFO.

use std::path::Path;

use djr_server::{Config, Server};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;

fn start(args: &[&str], dir: &Path) -> Result<Server, String> {
    let config = Config::from_args(args).map_err(|error| error.to_string())?;
    let config = config
        .with_dir(dir)
        .with_free_port()
        .with_threads(2)
        .with_append_only(false);
    Server::start(config).map_err(|error| error.to_string())
}

fn connect(server: &Server) -> Connection {
    Connection::open(server.addresses()[0])
}

fn text(connection: &mut Connection, line: &str) -> String {
    String::from_utf8_lossy(connection.run(line).text()).into_owned()
}

fn users(connection: &mut Connection) -> Vec<String> {
    let reply = connection.run("ACL LIST");
    let lines = reply.items().iter();
    lines
        .map(|line| String::from_utf8_lossy(line.text()).into_owned())
        .collect()
}

#[test]
fn users_of_a_configuration_file_and_its_rewriting() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("djr.conf");
    let conf = "# mine\nrequirepass secret\nuser alice on >pw ~app:* +@read (+set ~tmp:*)\n# more\ntimeout 7\n";
    std::fs::write(&file, conf).expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    let server = start(&[path], dir.path()).expect("it starts");
    let mut connection = connect(&server);
    assert_eq!(
        text(&mut connection, "AUTH alice wrong").split(' ').next(),
        Some("WRONGPASS")
    );
    assert_eq!(text(&mut connection, "AUTH alice pw"), "OK");
    assert_eq!(text(&mut connection, "SET tmp:1 x"), "OK");
    assert_eq!(
        text(&mut connection, "GET tmp:1"),
        "NOPERM No permissions to access a key"
    );
    assert_eq!(text(&mut connection, "AUTH secret"), "OK");
    assert_eq!(text(&mut connection, "ACL SETUSER bob on >x +ping"), "OK");
    assert_eq!(text(&mut connection, "CONFIG SET timeout 8"), "OK");
    assert_eq!(text(&mut connection, "CONFIG REWRITE"), "OK");
    let before = users(&mut connection);
    drop(connection);
    drop(server);
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(
        text.starts_with("# mine\nrequirepass secret\nuser alice on "),
        "{text}"
    );
    assert!(text.contains("\n# more\ntimeout 8\n"), "{text}");
    assert!(!text.contains("pw"), "{text}");
    let server = start(&[path], dir.path()).expect("it starts again");
    let mut connection = connect(&server);
    assert_eq!(connection.run("AUTH secret").text(), b"OK");
    assert_eq!(users(&mut connection), before);
}

#[test]
fn users_in_a_file_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("users.acl");
    std::fs::write(
        &file,
        "# users\nuser alice on nopass +@all ~* &*\n\nuser carol on >pw\n",
    )
    .expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    let server = start(&["--aclfile", path], dir.path()).expect("it starts");
    let (mut admin, mut alice) = (connect(&server), connect(&server));
    assert_eq!(text(&mut alice, "AUTH alice x"), "OK");
    assert_eq!(text(&mut admin, "ACL SETUSER dave on nopass"), "OK");
    assert_eq!(text(&mut admin, "ACL SAVE"), "OK");
    let saved = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(saved.lines().count(), 4, "{saved}");
    let before = users(&mut admin);
    assert_eq!(text(&mut admin, "ACL LOAD"), "OK");
    assert_eq!(users(&mut admin), before);
    // A file with an error changes nothing, and says where they are.
    std::fs::write(
        &file,
        "user alice on +nosuch\nnonsense\nuser dave on\nuser dave off\n",
    )
    .expect("a file");
    let error = text(&mut admin, "ACL LOAD");
    assert!(error.contains("users.acl:1: Unknown command"), "{error}");
    assert!(
        error.contains("users.acl:2:") && error.contains("users.acl:4:"),
        "{error}"
    );
    assert_eq!(users(&mut admin), before);
    // Who is no more loses their connections, and the default user begins anew.
    assert_eq!(text(&mut admin, "ACL SETUSER default -get"), "OK");
    std::fs::write(&file, "user carol on >pw\n").expect("a file");
    assert_eq!(text(&mut admin, "ACL LOAD"), "OK");
    assert_eq!(text(&mut admin, "GET x"), "-1");
    assert_eq!(users(&mut admin).len(), 2);
    assert_eq!(alice.run("PING"), djr_tests::reply::Reply::Closed);
}

#[test]
fn what_can_not_be_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("users.acl");
    let path = file.to_str().expect("a path in UTF-8");
    let missing = start(&["--aclfile", path], dir.path())
        .err()
        .expect("no such file");
    assert!(missing.contains("No such file"), "{missing}");
    std::fs::write(&file, "user a on\n").expect("a file");
    let both = start(&["--aclfile", path, "--user", "b", "on"], dir.path())
        .err()
        .expect("both");
    assert!(both.contains("both"), "{both}");
    let twice = start(&["--user", "b", "on", "--user", "b", "off"], dir.path())
        .err()
        .expect("twice");
    assert!(twice.contains("Duplicate user"), "{twice}");
}

#[test]
fn a_change_is_seen_by_every_worker_at_once() {
    let ours = Ours::start(3);
    let (mut admin, mut clients) = (ours.connect(), Vec::new());
    admin.run("ACL SETUSER u on nopass +@all ~*");
    for _ in 0..6 {
        let mut client = ours.connect();
        assert_eq!(text(&mut client, "AUTH u x"), "OK");
        clients.push(client);
    }
    for round in 0..50 {
        let (rule, expected) = match round % 2 {
            0 => (
                "-get",
                "NOPERM User u has no permissions to run the 'get' command",
            ),
            _ => ("+get", "-1"),
        };
        admin.run(&format!("ACL SETUSER u {rule}"));
        for client in &mut clients {
            assert_eq!(text(client, "GET k"), expected);
        }
    }
    // Within a pipeline a client's own change counts for what is behind it.
    let client = &mut clients[0];
    client.send_bytes(b"GET k\r\nACL SETUSER u -get\r\nGET k\r\n");
    assert_eq!(client.read().text(), b"-1");
    assert_eq!(client.read().text(), b"OK");
    assert!(client.read().is_error());
    let info = text(&mut admin, "INFO stats");
    assert!(info.contains("acl_access_denied_cmd:151\r\n"), "{info}");
    admin.run("CONFIG RESETSTAT");
    assert!(text(&mut admin, "INFO stats").contains("acl_access_denied_cmd:0\r\n"));
    admin.run("ACL DELUSER u");
    for client in &mut clients {
        assert_eq!(client.run("PING"), djr_tests::reply::Reply::Closed);
    }
}
