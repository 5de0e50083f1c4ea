//! A picture as a drawing that can be scaled, for a page or for a document. It goes with light and
//! with dark, by the wish of whoever looks at it.

use std::fmt::Write;

use super::{Line, Picture};

/// Sizes, in pixels.
const COLUMN: usize = 340;
const LEFT: usize = 44;
const PLACE: usize = 130;
const ROW: usize = 19;
const HEAD: usize = 76;

/// Characters that fit into a column, in its font, and into one line of the foot for each column.
const FITTING: usize = 46;

const STYLE: &str = "\
svg { font: 12px ui-monospace, 'DejaVu Sans Mono', monospace }
.page { fill: #ffffff } text { fill: #1f2328 } .dim { fill: #818b98 }
.title { font-weight: bold; font-size: 14px }
.said { font-weight: bold; fill: #0550ae } .lane { fill: #f6f8fa } .name { fill: #ddf4ff }
.switch { stroke: #bc4c00; fill: none; stroke-dasharray: 5 3 } .word { fill: #bc4c00 }
.change { fill: #dafbe1 }
.broken { fill: #ffebe9 } .rule { fill: #d1242f; font-weight: bold }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } text { fill: #e6edf3 } .dim { fill: #7d8590 }
.said { fill: #79c0ff } .lane { fill: #161b22 } .name { fill: #10325c }
.switch { stroke: #f0883e } .word { fill: #f0883e } .change { fill: #12361f }
.broken { fill: #3c1418 }
.rule { fill: #ff7b72 } }
";

/// The picture as a whole SVG document.
pub fn draw(picture: &Picture) -> String {
    let mut svg = Svg::default();
    let threads = picture.threads.len();
    let right = LEFT + threads * COLUMN;
    svg.text(LEFT, 22, "title", &picture.title);
    svg.text(LEFT, 40, "dim", &picture.shown());
    let foot = HEAD + ROW * height(&picture.lines) + 8;
    for (thread, name) in picture.threads.iter().enumerate() {
        let x = LEFT + thread * COLUMN;
        svg.rect(x, 52, COLUMN - 8, foot - 52, "lane");
        svg.rect(x, 52, COLUMN - 8, 20, "name");
        svg.text(x + 8, 66, "title", name);
    }
    let mut y = HEAD;
    for (number, line) in picture.lines.iter().enumerate() {
        if let Some(from) = line.preempts {
            svg.preemption(from, line.thread, y);
            y += ROW;
        }
        svg.step(number + 1, line, right, y);
        y += ROW;
    }
    let rule = broken(&picture.verdict(), FITTING * threads);
    let replay = broken(&format!("↻ {}", picture.replay), FITTING * threads);
    let rows = rule.len() + replay.len();
    let (box_class, class) = match picture.rule.as_str() {
        "" => ("change", "title"),
        _ => ("broken", "rule"),
    };
    svg.rect(LEFT, foot + 8, threads * COLUMN - 8, ROW * rows + 10, box_class);
    let classes = rule.iter().map(|text| (class, text));
    let classes = classes.chain(replay.iter().map(|text| ("dim", text)));
    for (row, (class, text)) in classes.enumerate() {
        svg.text(LEFT + 8, foot + 8 + ROW * (row + 1), class, text);
    }
    let (width, height) = (right + PLACE, foot + ROW * rows + 30);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n{}</svg>\n",
        svg.0
    )
}

/// Rows of the lines and of the arrows between them.
fn height(lines: &[Line]) -> usize {
    lines.len() + lines.iter().filter(|line| line.preempts.is_some()).count()
}

#[derive(Default)]
struct Svg(String);

impl Svg {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(element);
        self.0.push('\n');
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>"));
    }

    fn rect(&mut self, x: usize, y: usize, width: usize, height: usize, class: &str) {
        self.add(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" \
             class=\"{class}\"/>"
        ));
    }

    fn step(&mut self, number: usize, line: &Line, right: usize, y: usize) {
        let (x, base) = (LEFT + line.thread * COLUMN + 8, y + ROW - 5);
        if line.changes {
            self.rect(x - 6, y + 1, COLUMN - 12, ROW - 2, "change");
        }
        self.text(LEFT - 30, base, "dim", &number.to_string());
        let class = if line.is_said { "said" } else { "step" };
        self.text(x, base, class, &shortened(&line.text));
        self.text(right, base, "dim", &line.at);
    }

    /// An arrow from one column to another.
    fn preemption(&mut self, from: usize, to: usize, y: usize) {
        let (start, end) = (LEFT + from * COLUMN + 14, LEFT + to * COLUMN + 6);
        let tip = if from < to { end - 7 } else { end + 7 };
        let middle = y + ROW / 2;
        self.add(format_args!(
            "<path d=\"M {start} {y} V {middle} H {end} M {tip} {} L {end} {middle} L {tip} {}\" \
             class=\"switch\"/>",
            middle - 4,
            middle + 4
        ));
        let word = start.min(end) + start.abs_diff(end) / 2 - 30;
        self.text(word, middle - 2, "word", "preempted");
    }
}

fn shortened(text: &str) -> String {
    match text.chars().count() <= FITTING {
        true => text.into(),
        false => text.chars().take(FITTING - 1).chain(['…']).collect(),
    }
}

/// Lines of so many characters.
fn broken(text: &str, len: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(len).map(|line| line.iter().collect()).collect()
}

/// As the content of an element, or of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let escape = |letter| match letter {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        '"' => "&quot;".into(),
        other if other < ' ' => " ".into(),
        other => String::from(other),
    };
    text.chars().map(escape).collect()
}
