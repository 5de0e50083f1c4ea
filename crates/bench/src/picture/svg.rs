//! A suite as a drawing that can be scaled.

use std::fmt::Write;

use super::scale::Scale;
use super::{class, escaped};
use crate::noise::short;
use crate::results::{Better, Group, Line, Results, Role};

/// Sizes, in pixels.
const NAMES: f64 = 390.0;
const AXIS: f64 = 430.0;
const FIGURES: f64 = 200.0;
const MARGIN: f64 = 18.0;
const ROW: f64 = 19.0;
const HEAD: f64 = 96.0;

const STYLE: &str = "\
svg { font: 12px system-ui, 'DejaVu Sans', sans-serif }
.page { fill: #ffffff } text { fill: #1f2328 } .dim { fill: #6e7781 }
.title { font-weight: bold; font-size: 17px } .group { font-weight: bold; font-size: 13px }
.axis { stroke: #d0d7de } .end { text-anchor: end } .middle { text-anchor: middle }
.edge { stroke-dasharray: 4 3; stroke: #8250df }
.limit { fill: #8250df; stroke: #8250df } .refolio { fill: #0550ae; stroke: #0550ae }
.peer { fill: #bc4c00; stroke: #bc4c00 } .other { fill: #818b98; stroke: #818b98 }
.stem { stroke-width: 2; opacity: .3 } .spread { stroke-width: 4; opacity: .55 }
.yes { fill: #1a7f37 } .no { fill: #d1242f; font-weight: bold }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } text { fill: #e6edf3 } .dim { fill: #8b949e } .axis { stroke: #30363d }
.edge { stroke: #a371f7 } .limit { fill: #a371f7; stroke: #a371f7 }
.refolio { fill: #58a6ff; stroke: #58a6ff } .peer { fill: #f0883e; stroke: #f0883e }
.yes { fill: #3fb950 } .no { fill: #ff7b72 } }
";

/// The suite as a whole SVG document.
pub fn draw(results: &Results) -> String {
    let mut svg = Svg::default();
    svg.text(MARGIN, 30.0, "title", &format!("refolio bench {}", results.suite));
    svg.text(MARGIN, 50.0, "dim", &results.about);
    svg.legend(72.0);
    let mut y = HEAD;
    for group in &results.groups {
        y = svg.group(group, y) + 26.0;
    }
    let width = 2.0 * MARGIN + NAMES + AXIS + FIGURES;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" \
         viewBox=\"0 0 {width} {y}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n{}</svg>\n",
        svg.0
    )
}

#[derive(Default)]
struct Svg(String);

impl Svg {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(element);
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    fn dot(&mut self, x: f64, y: f64, class: &str) {
        self.add(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" class=\"{class}\"/>"));
    }

    fn legend(&mut self, y: f64) {
        let roles = [
            (Role::Limit, "limit of the machine"),
            (Role::Refolio, "Refolio"),
            (Role::Peer, "instead of Refolio"),
            (Role::Other, "for comparison"),
        ];
        for (at, (role, text)) in roles.into_iter().enumerate() {
            let x = MARGIN + 5.0 + at as f64 * 160.0;
            self.dot(x, y - 4.0, class(role));
            self.text(x + 10.0, y, "dim", text);
        }
        let how = "dot: median; bar: least to greatest; the axis is logarithmic";
        self.text(MARGIN + 660.0, y, "dim", how);
    }

    /// Draws a group from `y` on; where it ends.
    fn group(&mut self, group: &Group, y: f64) -> f64 {
        let better = match group.better {
            Better::Less => "less is better",
            Better::More => "more is better",
        };
        self.text(MARGIN, y + 12.0, "group", &group.title);
        let unit = format!("{}; {better}", group.unit);
        self.text(MARGIN + NAMES + AXIS, y + 12.0, "dim end", &unit);
        let spreads = group.lines.iter().flat_map(|line| [line.spread.min, line.spread.max]);
        let scale = Scale::new(spreads, AXIS);
        let (left, top) = (MARGIN + NAMES, y + 22.0);
        let bottom = top + ROW * group.lines.len() as f64;
        for tick in scale.ticks() {
            let x = left + scale.at(tick);
            self.line((x, top), (x, bottom), "axis");
            self.text(x, bottom + 13.0, "dim middle", &short(tick));
        }
        for (at, line) in group.lines.iter().enumerate() {
            self.row(line, &scale, left, top + ROW * (at as f64 + 0.5));
        }
        if let Some(limit) = group.limit() {
            let x = left + scale.at(limit.spread.median);
            self.line((x, top - 4.0), (x, bottom), "edge");
        }
        self.goals(group, bottom + 32.0)
    }

    fn row(&mut self, line: &Line, scale: &Scale, left: f64, y: f64) {
        let (role, spread) = (class(line.role), line.spread);
        let [min, median, max] =
            [spread.min, spread.median, spread.max].map(|f| left + scale.at(f));
        self.text(left - 12.0, y + 4.0, "end", &line.name);
        self.line((left, y), (median, y), &format!("stem {role}"));
        self.line((min, y), (max, y), &format!("spread {role}"));
        self.dot(median, y, role);
        let mut figures = short(spread.median);
        if let Some(times) = line.of_limit {
            figures += &format!("  ({} of the limit)", short(times));
        }
        self.text(left + AXIS + 10.0, y + 4.0, "", &figures);
    }

    fn goals(&mut self, group: &Group, mut y: f64) -> f64 {
        for goal in &group.goals {
            let (class, met) = match goal.met {
                Some(true) => ("yes", "met"),
                Some(false) => ("no", "MISSED"),
                None => ("dim", "not measured"),
            };
            let reached = goal.reached.map_or(String::new(), |reached| short(reached) + ", ");
            let text = format!("{} {}: {reached}{met}", goal.what, goal.must);
            self.text(MARGIN + 12.0, y, class, &text);
            y += 17.0;
        }
        y
    }
}
