//! What was measured, for people.

use std::fmt::Write;

use crate::noise::short;
use crate::results::{Better, Goal, Group, Line, Results, Role};

/// As text, with lines of at most 118 columns or so.
pub fn plain(results: &Results) -> String {
    let mut text = format!("{}: {}\n", results.suite, results.about);
    for group in &results.groups {
        text += "\n";
        text += &table(group);
    }
    let goals: Vec<_> = results
        .groups
        .iter()
        .flat_map(|group| group.goals.iter().map(move |goal| (group, goal)))
        .collect();
    if !goals.is_empty() {
        text += "\nwhat must be reached\n";
        let rows = goals.iter().map(|(group, goal)| goal_cells(group, goal)).collect();
        text += &columns(rows, &[Side::Left, Side::Right, Side::Right, Side::Left, Side::Left]);
    }
    for note in &results.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

fn table(group: &Group) -> String {
    let better = match group.better {
        Better::Less => "less is better",
        Better::More => "more is better",
    };
    let mut text = format!("{} ({}; {better})\n", group.title, group.unit);
    let head = ["", "min", "median", "max", "x limit", "x Refolio", "rejected"].map(str::to_owned);
    let rows = std::iter::once(head.to_vec()).chain(group.lines.iter().map(cells)).collect();
    let mut sides = [Side::Right; 7];
    sides[0] = Side::Left;
    text += &columns(rows, &sides);
    text
}

fn cells(line: &Line) -> Vec<String> {
    let mark = if line.role == Role::Limit { " (limit)" } else { "" };
    let spread = line.spread;
    let rejected = match line.disturbed {
        0 => line.rejected.to_string(),
        disturbed => format!("{}, {disturbed} kept disturbed", line.rejected),
    };
    vec![
        format!("  {}{mark}", line.name),
        short(spread.min),
        short(spread.median),
        short(spread.max),
        line.of_limit.map_or(String::new(), short),
        line.of_refolio.map_or(String::new(), short),
        rejected,
    ]
}

fn goal_cells(group: &Group, goal: &Goal) -> Vec<String> {
    let met = match goal.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "not measured",
    };
    vec![
        format!("  {}", goal.what),
        goal.must.to_string(),
        goal.reached.map_or(String::new(), short),
        met.into(),
        group.title.clone(),
    ]
}

/// Where a column's text stands.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows of cells, in columns as wide as they need to be.
pub(crate) fn columns(rows: Vec<Vec<String>>, sides: &[Side]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..sides.len()).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).zip(sides).map(|((cell, width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}
