//! What holds for every file that people read: its size, its words, where its links lead; and that the book holds every page.

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
            let outwards = links(line).filter(|link| is_page(path) && link.starts_with("../"));
            found.extend(outwards.map(|link| {
                let instead = "leads out of the book: name the path instead";
                (index + 1, format!("the link to {link} {instead}"))
            }));
        }
    }
    found
}

fn is_page(path: &str) -> bool {
    path.starts_with("docs/")
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

/// The links of a page to a heading, its own or another page's, that is not there: line and what is wrong. `read` reads a page.
pub(super) fn check_anchors(
    path: &str,
    text: &str,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Vec<(usize, String)> {
    let dir = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for rest in line.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            let Some((file, anchor)) = target.split_once('#') else {
                continue;
            };
            if file.contains("://") || !(file.is_empty() || file.ends_with(".md")) {
                continue;
            }
            let page = if file.is_empty() {
                Some(text.to_owned())
            } else {
                read(&dir.join(file))
            };
            // That the file is there is another check.
            if page.is_some_and(|page| !headings(&page).any(|heading| heading == anchor)) {
                found.push((index + 1, format!("{target}: no such heading")));
            }
        }
    }
    found
}

/// The names under which a page's headings are linked to.
fn headings(page: &str) -> impl Iterator<Item = String> {
    page.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let words = line.trim_start_matches('#').trim().to_lowercase();
            words.chars().filter(kept).collect::<String>()
        })
        .map(|words| words.replace(' ', "-"))
}

/// The pages in docs/ that the book's summary does not name.
pub(super) fn unlisted(files: &[String], summary: &str) -> Vec<String> {
    let pages = files.iter().filter_map(|path| path.strip_prefix("docs/"));
    pages
        .filter(|page| page.ends_with(".md") && *page != "SUMMARY.md")
        .filter(|page| !summary.contains(&format!("({page})")))
        .map(|page| format!("docs/{page}: not in docs/SUMMARY.md: give it a place in the book"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_headings_are_followed() {
        let read = |path: &Path| {
            (path == Path::new("docs/b.md")).then(|| "# B\n\n## At the start\n".to_owned())
        };
        let check = |text: &str| check_anchors("docs/a.md", text, &read).len();
        assert_eq!(
            check("[x](b.md#at-the-start) [y](https://example.org/b.md#no)"),
            0
        );
        assert_eq!(check("[x](b.md#at-the-end)"), 1);
        assert_eq!(check("# Own, part\n[x](#own-part) [y](#other)"), 1);
    }

    #[test]
    fn every_page_is_in_the_book() {
        let files = ["docs/a.md", "docs/b.md", "docs/SUMMARY.md", "README.md"].map(String::from);
        assert_eq!(unlisted(&files, "- [A](a.md)").len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_text_is_found() {
        let check = |text: &str| {
            let exists = |path: &Path| path == Path::new("docs/there.md");
            check("docs/a.md", text, &exists).len()
        };
        assert_eq!(
            check("[x](../src/main.rs)\n"),
            2,
            "neither there nor in the book"
        );
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
