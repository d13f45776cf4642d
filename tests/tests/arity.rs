//! Every command and subcommand with every number of arguments that it does not take: the errors must be those of real servers.

use djr_engine::command::Command;
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};

#[test]
fn wrong_numbers_of_arguments_are_refused_as_by_real_servers() {
    let ours = Ours::start(1);
    for binary in binaries() {
        let reference = Reference::start(&binary);
        let known = names(&mut reference.connect());
        let mut both = (ours.connect(), reference.connect());
        let mut found = Vec::new();
        let mut compared = 0;
        for command in all_commands() {
            if !known.contains(&command.full_name) {
                continue;
            }
            for count in 0..=command.arity.unsigned_abs() as usize + 2 {
                let mut words: Vec<&[u8]> =
                    command.full_name.split('|').map(str::as_bytes).collect();
                words.extend(vec![&b"x"[..]; count]);
                if command.accepts(words.len()) {
                    continue;
                }
                compared += 1;
                let ours = both.0.call(&words);
                let theirs = both.1.call(&words);
                if ours != theirs {
                    found.push(format!(
                        "{} +{count}\n  ours:   {ours}\n  theirs: {theirs}",
                        command.full_name
                    ));
                }
            }
        }
        println!("{}: {compared} requests compared", reference.version);
        assert!(compared > 50, "there is something to compare");
        assert!(
            found.is_empty(),
            "{}:\n{}",
            reference.version,
            found.join("\n")
        );
    }
}

/// All containers with a subcommand that nobody knows, and their HELP with too much behind it.
#[test]
fn unknown_subcommands_are_refused_as_by_real_servers() {
    let ours = Ours::start(1);
    for binary in binaries() {
        let reference = Reference::start(&binary);
        let known = names(&mut reference.connect());
        let mut both = (ours.connect(), reference.connect());
        for command in djr_server::registry().commands() {
            let name = command.spec.name.as_bytes();
            if command.subcommands.is_empty() || !known.contains(&command.full_name) {
                continue;
            }
            for rest in [
                &[&b"NOSUCH"[..]][..],
                &[b"nosuch", b"x"],
                &[b""],
                &[b"HELP", b"x"],
                &[b"getx"],
            ] {
                let words = [&[name][..], rest].concat();
                let ours = both.0.call(&words);
                let theirs = both.1.call(&words);
                assert_eq!(ours, theirs, "{}: {words:?}", reference.version);
            }
        }
    }
}

/// COMMAND LIST has all names, those of subcommands too, as that of a real server has.
#[test]
fn all_names_are_listed() {
    let ours = Ours::start(1);
    let mut listed = names(&mut ours.connect());
    let mut declared: Vec<_> = all_commands()
        .map(|command| command.full_name.clone())
        .collect();
    listed.sort();
    declared.sort();
    assert_eq!(listed, declared);
    for binary in binaries() {
        let theirs = names(&mut Reference::start(&binary).connect());
        assert!(theirs.iter().any(|name| name == "object|encoding"));
    }
}

fn all_commands() -> impl Iterator<Item = &'static Command> {
    djr_server::registry()
        .commands()
        .iter()
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
}

/// The names of all commands that a server has, subcommands as `container|sub`.
fn names(connection: &mut Connection) -> Vec<String> {
    let list = connection.run("COMMAND LIST");
    list.items().iter().map(|name| text(name.text())).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
