//! What holds for every file that people read: its size, its words, where its links lead.

use std::path::Path;

/// Longer files hold more than one thing.
const LINES_MAX: usize = 900;

/// What names one particular machine, or puts off what an issue should hold.
const WORDS: &[(&str, &str)] = &[
    ("/home/", "name no folder of one machine"),
    ("/Users/", "name no folder of one machine"),
    ("/root/", "name no folder of one machine"),
    ("FIXME", "mend it, or open an issue"),
    ("XXX", "mend it, or open an issue"),
    ("TODO", "do it, or open an issue"),
];

/// The violations in a file: line number (from 1; 0 for the file as a whole) and what is wrong.
pub(super) fn check(
    path: &str,
    text: &str,
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && is_source(path) {
        found.push((
            0,
            format!("{lines} lines: split it, {LINES_MAX} are the limit"),
        ));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.push((0, "the last line has no end".to_owned()));
    }
    for (index, line) in text.lines().enumerate() {
        // In transcripts and the like a blank may be part of what is compared.
        if !path.ends_with(".txt") && line.ends_with([' ', '\t', '\r']) {
            found.push((index + 1, "blanks at the end of the line".to_owned()));
        }
        for (word, instead) in WORDS {
            if line.contains(word) {
                found.push((index + 1, format!("{word}: {instead}")));
            }
        }
        if path.ends_with(".md") {
            let dir = Path::new(path).parent().unwrap_or(Path::new(""));
            let broken = links(line).filter(|link| !exists(&dir.join(link)));
            found.extend(
                broken.map(|link| (index + 1, format!("the link to {link} leads nowhere"))),
            );
        }
    }
    found
}

fn is_source(path: &str) -> bool {
    [".rs", ".py", ".sh"].iter().any(|end| path.ends_with(end))
}

/// The targets of a line's links to other files of the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_text_is_found() {
        let check = |text: &str| {
            let exists = |path: &Path| path == Path::new("docs/there.md");
            check("docs/a.md", text, &exists).len()
        };
        assert_eq!(
            check("fine, [see](there.md#part) and [elsewhere](https://example.org/)\n"),
            0
        );
        assert_eq!(check("see [here](gone.md)\n"), 1);
        assert_eq!(check("no end"), 1);
        assert_eq!(check("blank \n"), 1);
        assert_eq!(check(&format!("{}{}\n", "/ho", "me/me")), 1);
    }
}
