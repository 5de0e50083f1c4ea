//! What was measured, as a table for people and as JSON.

use std::fmt::Write;

use crate::noise::Spread;

/// What a ratio has to be.
#[derive(Clone, Copy, Debug)]
pub enum Must {
    /// No larger than this.
    AtMost(f64),
    /// No smaller.
    AtLeast(f64),
    /// Measured for information.
    Nothing,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// In which unit both figures are.
    pub unit: &'static str,
    /// Refolio.
    pub ours: Spread,
    /// What it is held against, and what that is.
    pub limit: Option<(Spread, &'static str)>,
    /// Of both, in the sense that the first column says.
    pub ratio: Option<f64>,
    /// What the ratio has to be.
    pub must: Must,
    /// Repetitions that were thrown away.
    pub rejected: usize,
}

impl Row {
    /// Whether it is what it has to be; None where nothing is asked.
    pub fn is_met(&self) -> Option<bool> {
        match (self.must, self.ratio) {
            (Must::AtMost(most), Some(ratio)) => Some(ratio <= most),
            (Must::AtLeast(least), Some(ratio)) => Some(ratio >= least),
            _ => None,
        }
    }

    fn must(&self) -> String {
        match self.must {
            Must::AtMost(most) => format!("<= {most:.2}"),
            Must::AtLeast(least) => format!(">= {least:.2}"),
            Must::Nothing => String::new(),
        }
    }
}

/// For people.
pub fn plain(rows: &[Row]) -> String {
    let mut lines = vec![
        ["what", "unit", "refolio min/median/max", "limit min/median/max", "of", "ratio"]
            .map(str::to_owned)
            .to_vec(),
    ];
    lines[0].extend(["must reach", "met", "rejected"].map(str::to_owned));
    for row in rows {
        let (limit, of) =
            row.limit.map_or((String::new(), ""), |(limit, of)| (limit.to_string(), of));
        lines.push(vec![
            row.what.clone(),
            row.unit.into(),
            row.ours.to_string(),
            limit,
            of.into(),
            row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            row.must(),
            row.is_met().map_or("", |met| if met { "yes" } else { "NO" }).into(),
            row.rejected.to_string(),
        ]);
    }
    let columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// For programs.
pub fn json(rows: &[Row]) -> String {
    let objects = rows.iter().map(|row| {
        let (limit, of) = match row.limit {
            Some((limit, of)) => (limit.json(), format!("{of:?}")),
            None => ("null".into(), "null".into()),
        };
        format!(
            "{{\"what\":{:?},\"unit\":{:?},\"refolio\":{},\"limit\":{limit},\"of\":{of},\
             \"ratio\":{},\"must\":{:?},\"met\":{},\"rejected\":{}}}",
            row.what,
            row.unit,
            row.ours.json(),
            row.ratio.map_or("null".into(), |ratio| format!("{ratio:.4}")),
            row.must(),
            row.is_met().map_or("null".into(), |met| met.to_string()),
            row.rejected,
        )
    });
    format!("[{}]\n", objects.collect::<Vec<_>>().join(",\n "))
}
