//! The chart: one panel per load, one bar per server, user and system time stacked.
//!
//! Each panel has its own scale: the loads lie a factor of a hundred apart, and it is the servers
//! within one load that are compared. Plain SVG with the reader's own fonts.

use super::loads::{Measure, What, data_sets};
use super::report::thousands;
use super::results::{Run, Server};
use std::fmt::Write as _;

const PANELS_PER_ROW: usize = 2;
const PANEL_WIDTH: usize = 440;
const NAME_WIDTH: usize = 110;
const LABEL_WIDTH: usize = 110;
const BAR_HEIGHT: usize = 18;
const BAR_STEP: usize = 24;
const HEAD: usize = 64;
const PANEL_HEAD: usize = 30;
/// User and system time of DJR, of every other server, and of the null server.
const COLOURS: [(&str, &str); 3] = [
    ("#b7410e", "#e3a587"),
    ("#3b5b7a", "#a3b6c8"),
    ("#777777", "#c2c2c2"),
];

struct Bar<'a> {
    server: &'a str,
    colours: (&'static str, &'static str),
    user: f64,
    system: f64,
    label: String,
}

pub(crate) fn draw(run: &Run) -> String {
    let panels = data_sets()
        .flat_map(|set| set.measures)
        .map(|measure| (measure, bars(run, measure)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect::<Vec<_>>();
    let panel_height = PANEL_HEAD + run.servers.len() * BAR_STEP + 14;
    let width = PANELS_PER_ROW * PANEL_WIDTH + 20;
    let height = HEAD + panels.len().div_ceil(PANELS_PER_ROW) * panel_height;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"16\" font-weight=\"bold\">Server CPU time per request (dark: user, light: system); memory per key</text>\n\
         <text x=\"10\" y=\"44\" fill=\"#555555\">{}</text>\n",
        escape(&run.machine.to_string())
    );
    for (index, (measure, bars)) in panels.iter().enumerate() {
        let left = 10 + index % PANELS_PER_ROW * PANEL_WIDTH;
        let top = HEAD + index / PANELS_PER_ROW * panel_height;
        draw_panel(&mut svg, left, top, measure, bars);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bars<'a>(run: &'a Run, measure: &Measure) -> Vec<Bar<'a>> {
    let bar = |server: &'a Server| {
        let name = server.name.as_str();
        let colours = COLOURS[if server.name == "null" {
            2
        } else {
            usize::from(!name.starts_with("djr"))
        }];
        if matches!(measure.what, What::MemoryPerKey) {
            let bytes = run.memory(measure.name, name)?.median;
            return Some(Bar {
                server: name,
                colours,
                user: bytes,
                system: 0.0,
                label: format!("{bytes:.1} B"),
            });
        }
        let user = run.requests(measure.name, name, |r| r.user_ns)?.median;
        let system = run.requests(measure.name, name, |r| r.system_ns)?.median;
        let cpu = run.requests(measure.name, name, |r| r.cpu_ns)?.median;
        Some(Bar {
            server: name,
            colours,
            user,
            system,
            label: format!("{} ns", thousands(cpu)),
        })
    };
    run.servers.iter().filter_map(bar).collect()
}

fn draw_panel(svg: &mut String, left: usize, top: usize, measure: &Measure, bars: &[Bar]) {
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{}</text>",
        top + 18,
        escape(measure.name)
    );
    let longest = bars
        .iter()
        .map(|bar| bar.user + bar.system)
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (PANEL_WIDTH - NAME_WIDTH - LABEL_WIDTH) as f64 / longest;
    for (index, bar) in bars.iter().enumerate() {
        let y = top + PANEL_HEAD + index * BAR_STEP;
        let text_y = y + BAR_HEIGHT - 5;
        let x = left + NAME_WIDTH;
        let (user, system) = (bar.user * scale, bar.system * scale);
        let (dark, light) = bar.colours;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{text_y}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{x}\" y=\"{y}\" width=\"{user:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{dark}\"/>\
             <rect x=\"{:.1}\" y=\"{y}\" width=\"{system:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{light}\"/>\
             <text x=\"{:.1}\" y=\"{text_y}\">{}</text>",
            x - 6,
            escape(bar.server),
            x as f64 + user,
            x as f64 + user + system + 6.0,
            escape(&bar.label)
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{run_of, sample};
    use super::*;

    #[test]
    fn panel_for_each_load_that_was_run_and_the_longest_bar_fills_it() {
        let svg = draw(&run_of(vec![
            sample("get-p1", "djr", 1, 500.0),
            sample("get-p1", "valkey", 1, 1000.0),
        ]));
        assert_eq!(
            svg.matches("font-weight=\"bold\"").count(),
            2,
            "the title and one panel:\n{svg}"
        );
        // 220 wide in all: valkey's 1000 ns are 165 user and 55 system, DJR's half of that.
        for width in ["165.0", "55.0", "82.5", "27.5"] {
            assert!(
                svg.contains(&format!("width=\"{width}\"")),
                "{width}:\n{svg}"
            );
        }
        assert!(svg.contains("1 000 ns"));
    }
}
