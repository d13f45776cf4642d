//! Random rules for users, and random commands that these may run or not: DJR and the real servers say the same.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets how many changes of users there are.

use djr_engine::command::CATEGORIES;
use djr_engine::spec::{FindKeys, KeySpec};
use djr_engine::testkit::registry;
use djr_tests::comparison::{known_tokens, line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::random_commands::Generator;
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

/// Changes of users per real server.
const CHANGES: usize = 300;
/// Commands that are asked about after each.
const QUESTIONS: usize = 12;

#[test]
fn rules_mean_what_they_mean_in_real_servers() {
    let seed = seed();
    let changes = number("DJR_COMMANDS").map_or(CHANGES, |count| count as usize);
    for binary in binaries() {
        let reference = Reference::start(&binary);
        // Redis 7.0 shows other texts.
        if reference.major() < 8 {
            continue;
        }
        println!("{}: seed {seed}", reference.version);
        compare(&reference, seed, changes);
    }
}

fn compare(reference: &Reference, seed: u64, changes: usize) {
    let ours = Ours::start(1);
    let (mut ours, mut theirs) = (ours.connect(), reference.connect());
    let mut generator = Generator::new(registry(), seed, known_tokens(&mut theirs));
    let names: Vec<String> = registry()
        .commands()
        .iter()
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
        .map(|command| command.full_name.clone())
        .filter(|name| is_known(&mut theirs, name))
        .collect();
    let (mut history, mut differences) = (Vec::new(), Vec::new());
    let (mut accepted, mut permitted) = (0, 0);
    for _ in 0..changes {
        let user = [&b"alice"[..], b"bob", b"default"][generator.below(3)];
        let mut words = vec![b"ACL".to_vec(), b"SETUSER".to_vec(), user.to_vec()];
        for _ in 0..=generator.below(5) {
            words.extend(rules(&mut generator, &names));
        }
        // Whoever asks must be allowed to.
        words.push(b"+acl".to_vec());
        history.push(line(&words));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let (left, right) = (ours.call(&words), theirs.call(&words));
        assert_eq!(left, right, "{}\nseed {seed}", history.join("\n"));
        accepted += usize::from(!left.is_error());
        let get: [&[u8]; 3] = [b"ACL", b"GETUSER", user];
        let (left, right) = (shown(ours.call(&get)), shown(theirs.call(&get)));
        assert_eq!(
            left,
            right,
            "GETUSER after\n{}\nseed {seed}",
            history.join("\n")
        );
        for _ in 0..QUESTIONS {
            let (name, command) = generator.draw();
            if !names.contains(&name) || is_different_on_purpose(reference, &name, &command) {
                continue;
            }
            let begins: [&[&[u8]]; 2] = [
                &[b"ACL", b"DRYRUN", user],
                &[b"COMMAND", b"GETKEYSANDFLAGS"],
            ];
            for begin in begins {
                let begin = begin.iter().map(|word| word.to_vec());
                let words: Vec<Vec<u8>> = begin.chain(command.iter().cloned()).collect();
                let line = line(&words);
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                let (left, right) = (ours.call(&words), theirs.call(&words));
                if left != right {
                    differences.push(format!("{line}\n  ours:   {left}\n  theirs: {right}"));
                }
                permitted += usize::from(left.text() == b"OK");
            }
        }
    }
    assert!(
        differences.is_empty(),
        "seed {seed}\n{}",
        differences.join("\n")
    );
    // A generator whose rules are all wrong would prove nothing.
    assert!(
        accepted > changes / 4,
        "{accepted} of {changes} changes were accepted"
    );
    assert!(
        permitted > changes / 10,
        "{permitted} commands were permitted"
    );
}

/// What differs, and why.
fn is_different_on_purpose(reference: &Reference, name: &str, words: &[Vec<u8>]) -> bool {
    let has_number = |spec: &KeySpec| matches!(spec.find, FindKeys::KeyNum { .. });
    match name {
        // Valkey's flag (`insert`) and arity.
        "hsetex" | "script|debug" => !reference.is_valkey(),
        // Without its unit it is refused. Redis looks for the destination where it would be otherwise.
        "georadius" => words.iter().take(6).any(|word| {
            word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist")
        }),
        // Real servers also find the keys of a request that they refuse, if C's atoi() makes a number of the number of keys.
        _ => {
            let command = registry().by_full_name(name.as_bytes());
            command.is_some_and(|command| command.keys.iter().any(has_number))
                && words.iter().any(|word| is_nearly_integer(word))
        }
    }
}

/// Whether this is no integer, but begins with one.
fn is_nearly_integer(word: &[u8]) -> bool {
    let trimmed = word.trim_ascii_start();
    let digits = trimmed.strip_prefix(b"+").or(trimmed.strip_prefix(b"-"));
    let is_integer = str::from_utf8(word).is_ok_and(|text| {
        text.parse::<i32>()
            .is_ok_and(|number| number.to_string() == text)
    });
    !is_integer
        && digits
            .unwrap_or(trimmed)
            .first()
            .is_some_and(u8::is_ascii_digit)
}

fn is_known(theirs: &mut Connection, name: &str) -> bool {
    let reply = theirs.call(&[b"COMMAND", b"INFO", name.as_bytes()]);
    reply
        .items()
        .first()
        .is_some_and(|info| !info.items().is_empty())
}

/// The flags about payloads and the dbs are not everywhere.
fn shown(reply: Reply) -> Vec<Reply> {
    let mut items = reply.items().to_vec();
    let place = items.iter().position(|item| item.text() == b"databases");
    if let Some(place) = place {
        items.drain(place..place + 2);
    }
    items
        .into_iter()
        .map(|item| match item {
            Reply::Many(kind, items) => Reply::Many(
                kind,
                items
                    .into_iter()
                    .filter(|item| !item.text().ends_with(b"sanitize-payload"))
                    .map(|item| match item {
                        Reply::Many(kind, selector) => {
                            Reply::Many(kind, selector.into_iter().take(6).collect())
                        }
                        other => other,
                    })
                    .collect(),
            ),
            other => other,
        })
        .collect()
}

/// One rule, or the words of a selector.
fn rules(generator: &mut Generator, names: &[String]) -> Vec<Vec<u8>> {
    if generator.below(12) == 0 {
        let mut words: Vec<Vec<u8>> = (0..=generator.below(4))
            .map(|_| selector_rule(generator, names))
            .collect();
        words[0].insert(0, b'(');
        let last = words.len() - 1;
        words[last].push(b')');
        return words;
    }
    let general: [&[u8]; 14] = [
        b"on",
        b"off",
        b"nopass",
        b"resetpass",
        b">p",
        b">q",
        b"<p",
        b"<nosuch",
        b"!zz",
        b"clearselectors",
        b"reset",
        b"",
        b"nonsense",
        b"#148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",
    ];
    match generator.below(5) {
        0 => vec![general[generator.below(general.len())].to_vec()],
        _ => vec![selector_rule(generator, names)],
    }
}

fn selector_rule(generator: &mut Generator, names: &[String]) -> Vec<u8> {
    let sign = ["+", "-"][generator.below(2)];
    let pick = |generator: &mut Generator, list: &[&'static str]| list[generator.below(list.len())];
    let rule = match generator.below(8) {
        0 | 1 => format!("{sign}{}", names[generator.below(names.len())]),
        2 => format!("{sign}@{}", CATEGORIES[generator.below(CATEGORIES.len())]),
        3 => format!(
            "{sign}{}|{}",
            names[generator.below(names.len())],
            pick(generator, &["get", "x", ""])
        ),
        4 => pick(
            generator,
            &[
                "allcommands",
                "nocommands",
                "+@all",
                "-@all",
                "+nosuch",
                "+@nosuch",
            ],
        )
        .into(),
        5 => pick(
            generator,
            &[
                "allkeys",
                "resetkeys",
                "allchannels",
                "resetchannels",
                "&*",
                "~*",
            ],
        )
        .into(),
        6 => {
            let sign = pick(
                generator,
                &["~", "%R~", "%W~", "%RW~", "%wr~", "%", "%X~", "%RR~"],
            );
            let pattern = pick(
                generator,
                &["k*", "a", "*", "?", "[a-m]*", "", "*1", "key:*"],
            );
            format!("{sign}{pattern}")
        }
        _ => format!("&{}", pick(generator, &["c*", "a", "*", "", "news.?"])),
    };
    rule.into_bytes()
}
