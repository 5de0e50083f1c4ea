//! A picture in the characters of a terminal.

use super::{Line, Picture};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

/// Columns of the line numbers, and of the places in the source.
const NUMBER: usize = 4;
const PLACE: usize = 18;

/// Narrower than this, there is no room for the places in the source.
const WIDE: usize = 100;

/// How a terminal shows the picture: nothing is wider than `width` columns but the line that plays
/// it again, which is to be copied whole.
pub fn draw(picture: &Picture, width: usize, colour: bool) -> String {
    let threads = picture.threads.len();
    let place = if width >= WIDE && threads <= 2 { PLACE } else { 0 };
    let room = width.saturating_sub(NUMBER + place + 2 * (threads - 1));
    let canvas = Canvas { threads, column: (room / threads).max(8), place, width, colour };

    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let shown = picture.shown();
    for part in wrapped(&format!("{} ({shown})", picture.title), width) {
        line(canvas.paint(BOLD, &part));
    }
    line(canvas.head(&picture.threads));
    line(canvas.rule('┼'));
    for (number, step) in picture.lines.iter().enumerate() {
        if let Some(from) = step.preempts {
            line(canvas.preemption(from, step.thread));
        }
        line(canvas.step(number + 1, step));
    }
    line(canvas.rule('┴'));
    let colour = if picture.rule.is_empty() { GREEN } else { RED };
    for (at, part) in wrapped(&picture.verdict(), width.saturating_sub(2)).iter().enumerate() {
        let indent = if at == 0 { "" } else { "  " };
        line(canvas.paint(colour, &format!("{indent}{part}")));
    }
    line(format!("↻ {}", picture.replay));
    out
}

struct Canvas {
    threads: usize,
    column: usize,
    place: usize,
    width: usize,
    colour: bool,
}

impl Canvas {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour && !text.trim().is_empty() {
            format!("{colour}{text}\x1b[0m")
        } else {
            text.into()
        }
    }

    fn head(&self, threads: &[String]) -> String {
        let names = threads.iter().map(|name| self.paint(BOLD, &fit(name, self.column)));
        " ".repeat(NUMBER) + &names.collect::<Vec<_>>().join("│ ")
    }

    fn rule(&self, crossing: char) -> String {
        let columns = vec!["─".repeat(self.column); self.threads];
        let crossing = format!("{crossing}─");
        "─".repeat(NUMBER) + &columns.join(&crossing) + &"─".repeat(self.place)
    }

    fn step(&self, number: usize, line: &Line) -> String {
        let text = if line.is_said { format!("▸ {}", line.text) } else { line.text.clone() };
        let text = fit(&text, self.column);
        let text = match line.is_said {
            true => self.paint(BOLD, &text),
            false if line.changes => self.paint(GREEN, &text),
            false => text,
        };
        let empty = " ".repeat(self.column);
        let cells = (0..self.threads).map(|column| match column == line.thread {
            true => text.as_str(),
            false => empty.as_str(),
        });
        let cells = cells.collect::<Vec<_>>().join("│ ");
        let number = self.paint(DIM, &format!("{number:>width$} ", width = NUMBER - 1));
        let place = match self.place {
            0 => String::new(),
            place => self.paint(
                DIM,
                &format!(" {:>width$}", fit(&line.at, place - 1).trim_end(), width = place - 1),
            ),
        };
        number + &cells + &place
    }

    /// An arrow from one column to another.
    fn preemption(&self, from: usize, to: usize) -> String {
        let stride = self.column + 2;
        let (from, to) = (from * stride, to * stride);
        let (left, right) = (from.min(to), from.max(to));
        let (start, end) = if from < to { ('└', '▶') } else { ('◀', '┘') };
        let label = " preempted ";
        let middle = (left + 1..right).map(|_| '╌').collect::<String>();
        let mut arrow: Vec<char> = format!("{start}{middle}{end}").chars().collect();
        let at = (arrow.len().saturating_sub(label.len())) / 2;
        for (cell, letter) in arrow.iter_mut().skip(at).zip(label.chars()) {
            *cell = letter;
        }
        let line =
            (0..stride * self.threads - 2).map(|at| match arrow.get(at.wrapping_sub(left)) {
                Some(drawn) => *drawn,
                None if at % stride == self.column => '│',
                None => ' ',
            });
        let line: String = line.collect();
        self.paint(YELLOW, &fit(&(" ".repeat(NUMBER) + &line), self.width))
    }
}

/// Exactly so many columns: cut off with an ellipsis, or filled with blanks.
fn fit(text: &str, columns: usize) -> String {
    let len = text.chars().count();
    if len <= columns {
        return text.to_owned() + &" ".repeat(columns - len);
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).take(columns).collect()
}

/// Lines of at most so many columns, broken between words.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = fit(word, columns.min(word.chars().count()));
        let last = lines.len() - 1;
        let len = lines[last].chars().count();
        if len == 0 {
            lines[last] = word;
        } else if len + 1 + word.chars().count() <= columns {
            lines[last] = format!("{} {word}", lines[last]);
        } else {
            lines.push(word);
        }
    }
    lines
}
