//! The text format of Prometheus, version 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

/// What the format is called in HTTP.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text being written, metric by metric.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
    name: String,
}

/// What a metric is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Rises until the server ends or CONFIG RESETSTAT.
    Counter,
    Gauge,
    Histogram,
}

impl Exposition {
    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.name = format!("djr_{name}");
        self.write(format_args!(
            "# HELP djr_{name} {help}\n# TYPE djr_{name} {kind}\n"
        ));
    }

    /// A sample of the metric.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample_of("", labels, value);
    }

    /// The same, of a histogram's parts: `_bucket`, `_sum`, `_count`.
    pub(super) fn sample_of(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let name = std::mem::take(&mut self.name);
        self.write(format_args!("{name}{suffix}"));
        self.name = name;
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{label}=\""));
            for letter in text.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    letter => self.text.push(letter),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    /// A metric of one sample.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(&[], value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let result = self.text.write_fmt(text);
        debug_assert!(result.is_ok(), "writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::{Exposition, Kind};

    #[test]
    fn labels_are_escaped() {
        let mut exposition = Exposition::default();
        exposition.metric("x_total", Kind::Counter, "Of x.");
        exposition.sample(&[("a", "1\"2\\3\n4"), ("b", "")], 7);
        assert_eq!(
            exposition.finish(),
            "# HELP djr_x_total Of x.\n# TYPE djr_x_total counter\ndjr_x_total{a=\"1\\\"2\\\\3\\n4\",b=\"\"} 7\n"
        );
    }
}
