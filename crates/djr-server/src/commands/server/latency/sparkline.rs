//! Numbers as a picture made of characters.

/// What a column ends with, by its height within a row.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// Draws numbers, each with a label that is written downwards below its column. `size`: columns of a line, and rows.
pub(super) fn sparkline(samples: &[(u64, String)], (columns, rows): (usize, usize)) -> String {
    let numbers = samples.iter().map(|(number, _)| *number);
    let min = numbers.clone().min().unwrap_or(0);
    let range = (numbers.max().unwrap_or(0) - min).max(1);
    let steps = (TOPS.len() * rows) as u64;
    let mut lines: Vec<String> = Vec::new();
    for (index, part) in samples.chunks(columns).enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        let heights: Vec<usize> = part
            .iter()
            .map(|(number, _)| ((number - min) * steps / range).min(steps - 1) as usize)
            .collect();
        for row in (0..rows).rev() {
            let line = heights
                .iter()
                .map(|height| match height.checked_sub(row * TOPS.len()) {
                    None => ' ',
                    Some(part) => TOPS.get(part).copied().unwrap_or('|'),
                });
            lines.push(line.collect());
        }
        lines.push(" ".repeat(part.len()));
        let longest = part.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
        for row in 0..longest {
            let letter = |label: &String| label.chars().nth(row).unwrap_or(' ');
            lines.push(part.iter().map(|(_, label)| letter(label)).collect());
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_graph_looks_as_in_redis() {
        let samples = [(20, "5s"), (50, "4s"), (30, "3s"), (103, "2s"), (15, "1s")];
        let samples = samples.map(|(millis, label)| (millis, label.to_owned()));
        let drawn = sparkline(&samples, (80, 4));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(
            lines,
            [
                "   # ", "   | ", " o | ", "_|#|_", "     ", "54321", "sssss"
            ]
        );
    }

    #[test]
    fn equal_numbers_are_a_line() {
        let samples = vec![(7, "1m".to_owned()); 3];
        assert!(sparkline(&samples, (80, 4)).contains("___\n"));
    }

    #[test]
    fn what_is_too_long_goes_on_below() {
        let samples = vec![(7, "1d".to_owned()); 5];
        let drawn = sparkline(&samples, (3, 1));
        assert_eq!(drawn, "___\n   \n111\nddd\n\n__\n  \n11\ndd\n");
    }
}
