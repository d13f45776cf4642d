//! The configuration as people read it: `djr.conf` and `docs/configuration.md`.

use std::fmt::Write;

use super::file::{self, quote};
use super::table::{Meaning, Parameter, SECTIONS};

const LINE_WIDTH: usize = 100;

/// The annotated default configuration, `djr.conf`.
pub fn sample_file() -> String {
    let mut text = String::from(
        "# The configuration of DJR, in the format of redis.conf.\n\
         #\n\
         #     djr-server djr.conf --port 7000\n\
         #\n\
         # Every line below is a default and commented out: remove the '#' to change it. The command line counts more\n\
         # than this file, this file more than the environment (DJR_PORT=7000). `CONFIG SET` changes what is marked as\n\
         # [live] while the server runs, and `CONFIG REWRITE` writes it into the file.\n\
         # All other directives of redis.conf are known, too: docs/configuration.md says what becomes of them.\n\
         #\n\
         # Sizes: 1k = 1000, 1kb = 1024, likewise m, mb, g, gb. Words with spaces are quoted: \"two words\".\n\
         # include conf.d/*.conf\n",
    );
    for section in SECTIONS {
        let used: Vec<_> = section
            .parameters
            .iter()
            .filter(|parameter| parameter.meaning == Meaning::Used)
            .collect();
        if used.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n\n{}\n# {}\n",
            "#".repeat(LINE_WIDTH / 2),
            section.title
        );
        for parameter in used {
            text.push('\n');
            let mut about = parameter.doc.to_owned();
            if let Some(values) = parameter.kind.describe_unless_obvious() {
                let _ = write!(about, " Values: {values}.");
            }
            if !parameter.aliases.is_empty() {
                let _ = write!(about, " Also called {}.", parameter.aliases.join(", "));
            }
            if parameter.change == super::Change::Live {
                about.push_str(" [live]");
            }
            for line in wrap(&about) {
                let _ = writeln!(text, "# {line}");
            }
            for line in default_lines(parameter) {
                let _ = writeln!(text, "# {line}");
            }
        }
    }
    text
}

/// The lines that say a parameter's default.
fn default_lines(parameter: &Parameter) -> Vec<String> {
    match parameter.name {
        // One line per class reads better.
        "client-output-buffer-limit" => parameter
            .default
            .split(' ')
            .collect::<Vec<_>>()
            .chunks(4)
            .map(|words| {
                format!(
                    "{} {}",
                    parameter.name,
                    words.join(" ").replace("slave", "replica")
                )
            })
            .collect(),
        name => {
            let words = file::split(parameter.default.as_bytes()).unwrap_or_default();
            let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
            let value = if words.is_empty() {
                "\"\"".into()
            } else {
                words.join(" ")
            };
            vec![format!("{name} {value}")]
        }
    }
}

/// Everything about every parameter, `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Made from the table in `crates/djr-server/src/config/table/` by `cargo xtask config`.\n\n\
         Values come, the weakest first, from the defaults below, from the environment (`DJR_MAXMEMORY_POLICY=allkeys-lru`),\n\
         from a file (`djr-server djr.conf`; a `-` reads standard input), and from the command line\n\
         (`--maxmemory-policy allkeys-lru`). `CONFIG SET` changes what is *live* while the server runs, several parameters at\n\
         once or none; `CONFIG REWRITE` writes the values of now into the file, without touching anything else in it.\n\n\
         The format of the file is that of `redis.conf`, and every directive of Redis 7.2 and 8, and of Valkey 8 and 9, is\n\
         known. Those that do nothing here are accepted and kept, and the server's log says why they do nothing; those that\n\
         would be missed are refused, with the number of the line. `user NAME RULE …` defines a user; `rename-command NAME\n\
         NEW-NAME` gives a command another name or, with `\"\"`, none (the log, rules of users and what tells about commands keep\n\
         the old one, so that the log can be read when the line has gone). `--aof-repair` is for the command line only: it starts a\n\
         server whose log is damaged, with everything outside the damage, and puts the damaged bytes aside.\n",
    );
    for section in SECTIONS {
        let _ = write!(text, "\n## {}\n", section.title);
        let visible = || {
            section
                .parameters
                .iter()
                .filter(|parameter| !parameter.hidden)
        };
        let (used, other): (Vec<_>, Vec<_>) =
            visible().partition(|parameter| parameter.meaning == Meaning::Used);
        if !used.is_empty() {
            text.push_str("\n| parameter | default | values | live | |\n|---|---|---|---|---|\n");
        }
        for parameter in used {
            let live = if parameter.change == super::Change::Live {
                "yes"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {live} | {} |",
                names(parameter),
                default(parameter),
                cell(&parameter.kind.describe()),
                cell(parameter.doc),
            );
        }
        if !other.is_empty() {
            text.push_str("\n| known, but | default | | |\n|---|---|---|---|\n");
        }
        for parameter in other {
            let why = match parameter.meaning {
                Meaning::Used => String::new(),
                Meaning::Later(what) => format!("does nothing yet: needs {what}"),
                Meaning::NoEffect(why) => format!("no effect: {why}"),
                Meaning::DefaultOnly(why) => format!("only this value: {why}"),
            };
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {} |",
                names(parameter),
                default(parameter),
                cell(parameter.doc),
                cell(&why),
            );
        }
    }
    text.push_str("\n## Directives that are refused\n\n| directive | why |\n|---|---|\n");
    for (name, why) in super::table::REFUSED {
        let _ = writeln!(text, "| `{name}` | {} |", cell(why));
    }
    text
}

fn names(parameter: &Parameter) -> String {
    let names: Vec<_> = parameter.names().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn default(parameter: &Parameter) -> &str {
    if parameter.default.is_empty() {
        "\"\""
    } else {
        parameter.default
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= LINE_WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
