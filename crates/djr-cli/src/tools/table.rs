//! Columns of text.

/// Rows under headings; columns of numbers are aligned to the right.
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&'static str]) -> Table {
        Table {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let heading = self
                .headings
                .get(column)
                .map_or(0, |text| text.chars().count());
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(heading)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let is_number = |column: usize| {
            let mut cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .filter(|cell| *cell != "-")
                .peekable();
            cells.peek().is_some()
                && cells.all(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
        };
        let right: Vec<bool> = (0..self.headings.len()).map(is_number).collect();
        let headings: Vec<String> = self
            .headings
            .iter()
            .map(|text| (*text).to_owned())
            .collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
                if *right {
                    line.push_str(&format!("{cell:>width$}  "));
                } else {
                    line.push_str(&format!("{cell:<width$}  "));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A time span for people: `3d 4h`, `12m 5s`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86400, whole % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let mut table = Table::new(&["queue", "length"]);
        table.row(vec!["celery".into(), "12".into()]);
        table.row(vec!["é".into(), "-".into()]);
        assert_eq!(
            table.text(),
            "queue   length\ncelery      12\né            -\n"
        );
    }

    #[test]
    fn spans() {
        assert_eq!(
            [
                span(-1.0),
                span(59.9),
                span(61.0),
                span(3661.0),
                span(90_000.0)
            ],
            ["0s", "59s", "1m 1s", "1h 1m", "1d 1h"]
        );
    }
}
