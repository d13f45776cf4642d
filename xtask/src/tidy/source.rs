//! Rust source as the rules see it: code without comments and the contents of strings, and which lines are tests.

/// A file's lines, in two views.
pub(super) struct Source<'a> {
    /// As they are.
    pub(super) lines: Vec<&'a str>,
    /// The same lines, with blanks for comments and for what is between quotes.
    pub(super) code: Vec<String>,
    /// Whether a line belongs to an item that is only compiled for tests.
    pub(super) is_test: Vec<bool>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let blanked = blank(text);
        let code: Vec<_> = blanked.split('\n').map(str::to_owned).collect();
        Self {
            lines: text.split('\n').collect(),
            is_test: test_lines(&blanked, code.len()),
            code,
        }
    }

    /// Whether a comment gives the reason for what stands in this line: in the line itself, or above the statement that it
    /// belongs to.
    pub(super) fn has_reason(&self, line: usize) -> bool {
        let has_comment = |index: usize| {
            self.code[index].trim_end().len() < self.lines[index].trim_end().len()
                && self.lines[index].contains("//")
        };
        if has_comment(line) {
            return true;
        }
        for above in (0..line).rev() {
            let code = self.code[above].trim();
            if has_comment(above) {
                return true;
            }
            if code.is_empty() || code.ends_with([';', '{', '}', ',']) {
                return false;
            }
        }
        false
    }
}

/// The text with blanks for every character of a comment and of a literal's contents. Lines stay as they are.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (taken, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), 0)
        } else if rest.starts_with("/*") {
            (block_comment(rest), 0)
        } else if let Some(taken) = raw_string(rest).filter(|_| !after_word) {
            (taken, 0)
        } else if first == '"' {
            (quoted(rest, '"'), 0)
        } else if first == '\'' && is_char(rest) {
            (quoted(rest, '\''), 0)
        } else {
            (first.len_utf8(), first.len_utf8())
        };
        out.push_str(&rest[..keep]);
        // One byte for one byte, so that the two views stay in step.
        out.extend(
            rest[keep..taken]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
        );
        rest = &rest[taken..];
    }
    out
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the raw string that the text begins with, if it does: `r"…"`, `br#"…"#`.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].strip_prefix('"')?;
    let start = text.len() - body.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text[start..].find(&end)?;
    Some(start + length + end.len())
}

/// The length of a literal between quotes, which may be escaped in it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Whether the quote begins a character (and not a lifetime).
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Which lines belong to items under `#[cfg(test)]` or `#[cfg(any(test, …))]`.
fn test_lines(code: &str, count: usize) -> Vec<bool> {
    let mut is_test = vec![false; count];
    let line_of = |at: usize| code[..at].matches('\n').count();
    let mut from = 0;
    while let Some(found) = ["#[cfg(test)]", "#[cfg(any(test,"]
        .iter()
        .filter_map(|attribute| code[from..].find(attribute))
        .min()
    {
        let start = from + found;
        let attribute_end = code[start..]
            .find(']')
            .map_or(code.len(), |at| start + at + 1);
        let end = item_end(code, attribute_end);
        is_test[line_of(start)..=line_of(end.saturating_sub(1))].fill(true);
        from = end;
    }
    is_test
}

/// Where the item ends that begins here: at its `;`, or at the brace that closes it.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' {
                    return from + at + 1;
                }
            }
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        let text = "let a = \"x.unwrap() \\\" y\"; // z\nlet b: &'static str = r#\"panic!(\"q\")\"#; /* /* é */ */ c('\"', b'\\'')";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        let words: Vec<_> = code.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "let a = ; let b: &'static str = ; c( , b )"
        );
    }

    #[test]
    fn items_for_tests_are_found_to_their_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}";
        let source = Source::new(text);
        assert_eq!(
            source.is_test,
            [false, true, true, true, true, false, true, true, false]
        );
    }

    #[test]
    fn a_reason_stands_beside_or_above_its_statement() {
        let text =
            "// never\nlet a = b\n    .unwrap();\nlet c = d.unwrap();\ne.unwrap(); // sure\n";
        let source = Source::new(text);
        let reasons: Vec<_> = [2, 3, 4].map(|line| source.has_reason(line)).into();
        assert_eq!(reasons, [true, false, true]);
    }
}
