//! The matrix in the terminal: kinds down, adversaries across.

use refolio_conformance::event::Answer;
use refolio_conformance::subjects::linux;

use crate::cmd::conform::told::{Run, Told};
use crate::text;

/// The rows and columns of a run, and the cases in each cell.
#[derive(Debug)]
pub struct Matrix<'r> {
    /// Names of the rows, in the order of the list of cases, whatever order they were run in.
    pub rows: Vec<&'r str>,
    /// Names of the columns.
    pub columns: Vec<&'r str>,
    cells: Vec<Vec<Vec<&'r Told>>>,
}

/// What a cell comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// There is no such case.
    None,
    /// Nothing was tried.
    Skipped,
    /// Pages moved.
    Moved,
    /// Pages moved, but more of them were busy.
    Busy,
    /// A claim did not hold, as is known.
    Expected,
    /// A claim did not hold, or a gap is closed.
    Failed,
}

impl Sum {
    fn glyph(self) -> char {
        match self {
            Self::None => ' ',
            Self::Skipped => '.',
            Self::Moved => '#',
            Self::Busy => 'o',
            Self::Expected => 'e',
            Self::Failed => 'X',
        }
    }
}

impl<'r> Matrix<'r> {
    /// Of a run.
    pub fn new(run: &'r Run) -> Self {
        let mut matrix = Self { rows: Vec::new(), columns: Vec::new(), cells: Vec::new() };
        let mut listed: Vec<_> = run.cases.iter().collect();
        listed.sort_by_key(|told| position(told));
        for told in listed {
            let row = place(&mut matrix.rows, &told.case.row);
            let column = place(&mut matrix.columns, &told.case.column);
            matrix.cells.resize_with(matrix.rows.len(), Vec::new);
            let cells = &mut matrix.cells[row];
            if cells.len() <= column {
                cells.resize_with(column + 1, Vec::new);
            }
            cells[column].push(told);
        }
        matrix
    }

    /// The cases of a cell.
    pub fn cell(&self, row: usize, column: usize) -> &[&'r Told] {
        self.cells[row].get(column).map_or(&[], Vec::as_slice)
    }
}

/// Where a case of the kernel's is in the list; others stay in the order in which they came.
fn position(told: &Told) -> usize {
    let cases = linux::cases();
    cases.iter().position(|case| case.name == told.case.case).unwrap_or(cases.len())
}

fn place<'r>(names: &mut Vec<&'r str>, name: &'r str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

/// Pages moved and busy in some cases.
pub fn pages(cases: &[&Told]) -> (u64, u64) {
    let judged = || cases.iter().filter_map(|told| told.judged.as_ref());
    (judged().map(|judged| judged.moved).sum(), judged().map(|judged| judged.busy).sum())
}

/// What some cases come to.
pub fn sum(cases: &[&Told]) -> Sum {
    let judged = || cases.iter().map(|told| told.judged.as_ref());
    let any = |verdict: Answer| judged().flatten().any(|judged| judged.verdict == verdict);
    if cases.is_empty() {
        return Sum::None;
    }
    if any(Answer::Fail) || any(Answer::UnexpectedPass) || judged().any(|judged| judged.is_none()) {
        return Sum::Failed;
    }
    if any(Answer::ExpectedFailure) {
        return Sum::Expected;
    }
    if !any(Answer::Pass) {
        return Sum::Skipped;
    }
    let (moved, busy) = pages(cases);
    if busy > moved { Sum::Busy } else { Sum::Moved }
}

/// The lines of the matrix, with what the glyphs mean.
pub fn lines(run: &Run) -> Vec<String> {
    let matrix = Matrix::new(run);
    let wide = matrix.rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let tall = matrix.columns.iter().map(|column| column.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for line in 0..tall {
        // The names stand on the cells, from top to bottom.
        let letter = |name: &&str| {
            let above = tall - name.len();
            line.checked_sub(above).and_then(|at| name.chars().nth(at)).unwrap_or(' ')
        };
        let letters: String = matrix.columns.iter().flat_map(|name| [letter(name), ' ']).collect();
        lines.push(format!("{:wide$}  {}", "", letters.trim_end()));
    }
    let mut untried = 0;
    for (row, name) in matrix.rows.iter().enumerate() {
        let columns = 0..matrix.columns.len();
        let sums: Vec<_> = columns.clone().map(|column| sum(matrix.cell(row, column))).collect();
        if sums.iter().all(|sum| matches!(sum, Sum::None | Sum::Skipped)) {
            untried += 1;
            continue;
        }
        let glyphs: String = sums.iter().flat_map(|sum| [sum.glyph(), ' ']).collect();
        let all: Vec<_> = columns.flat_map(|column| matrix.cell(row, column)).copied().collect();
        let (moved, busy) = pages(&all);
        lines.push(format!("{name:wide$}  {glyphs} {moved:>9} moved {busy:>7} busy"));
    }
    if untried > 0 {
        lines.push(format!("and {untried} kinds of which nothing was tried"));
    }
    lines.push(String::new());
    lines.push(
        "# pages moved  o moved, but most were busy  X FAILED  e expected failure  . skipped"
            .into(),
    );
    lines
}

/// A line for each case that somebody needs to look at, and how to see it again.
pub fn bad_lines(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for (told, judged) in run.bad() {
        let what = judged.failures.first().map(|f| format!("{}: {}", f.wrong, f.detail));
        let what = what.or_else(|| judged.reason.clone()).unwrap_or_default();
        lines.push(format!("{} {}", judged.verdict.name().to_uppercase(), told.case.case));
        lines.extend(text::wrap(&what, 4));
        lines.push(format!("    {}", run.again(told)));
    }
    lines
}
