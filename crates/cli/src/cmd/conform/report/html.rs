//! One page that needs nothing else: the matrix as a heat map, and behind each cell its cases, with
//! claim, source, timeline and what the kernel said.

use std::fmt::Write;

use refolio_conformance::event::{Answer, Judged};

use super::junit::escape;
use super::matrix::{Matrix, Sum, pages, sum};
use crate::cmd::conform::told::{Run, Told};

const STYLE: &str = include_str!("page.css");

/// Opens the cell that the address names, with whatever failed in it.
const SCRIPT: &str = "\
function choose() {
  document.body.classList.toggle('chosen', location.hash.length > 1);
  const cell = document.getElementById(location.hash.slice(1));
  if (cell) cell.querySelectorAll('details').forEach((one, at) => { one.open = at === 0 || \
one.dataset.bad === '1'; });
}
addEventListener('hashchange', choose);
choose();
";

/// The run as a page. Writing to a string does not fail.
pub fn document(run: &Run) -> String {
    let matrix = Matrix::new(run);
    let mut page = String::new();
    let title = run.start.as_ref().map_or("A run of the suite".into(), |start| {
        format!("{}: {} profile", escape(&start.about), escape(&start.profile))
    });
    let _ = writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style></head><body>\n<h1>{title}</h1>"
    );
    head(&mut page, run);
    failures(&mut page, &matrix);
    table(&mut page, &matrix);
    key(&mut page);
    let _ = writeln!(
        page,
        "<h2>Cases</h2>\n<p class=\"quiet\">A cell of the matrix shows its own; \
                            <a href=\"#\">all of them</a>.</p>"
    );
    for row in 0..matrix.rows.len() {
        for column in 0..matrix.columns.len() {
            cell(&mut page, run, &matrix, row, column);
        }
    }
    if !run.notes.is_empty() {
        let notes: Vec<_> = run.notes.iter().map(|note| escape(&note.text)).collect();
        let _ = writeln!(page, "<h2>Of no case</h2>\n<pre>{}</pre>", notes.join("\n"));
    }
    let _ = writeln!(page, "<script>\n{SCRIPT}</script>\n</body></html>");
    page
}

fn head(page: &mut String, run: &Run) {
    let count = run.count();
    let (seed, planned) = run.start.as_ref().map_or((0, 0), |start| (start.seed, start.cases));
    let tried = match run.cases.len() as u64 {
        tried if tried < planned => format!(", {tried} of {planned} cases"),
        _ => String::new(),
    };
    let _ = writeln!(
        page,
        "<p class=\"quiet\">Kinds of memory down, adversaries across; each number is pages that \
         moved, and arrived whole. Seed {seed}, {:.1} s{tried}.</p>\n<div class=\"counts\">",
        count.at_ms as f64 / 1000.0
    );
    let unended = run.running().count() as u64;
    for (number, name, bad) in [
        (count.pass, "pass", false),
        (count.fail, "fail", true),
        (count.unexpected_pass, "unexpected pass", true),
        (unended, "without an end", true),
        (count.expected_failure, "expected failure", false),
        (count.skip, "skipped", false),
    ] {
        let bad = if bad && number > 0 { " class=\"bad\"" } else { "" };
        if number > 0 || name == "fail" {
            let _ = writeln!(page, "<div{bad}><b>{number}</b>{name}</div>");
        }
    }
    page.push_str("</div>\n");
}

/// What failed, by name, each with the way to its cell.
fn failures(page: &mut String, matrix: &Matrix<'_>) {
    let mut lines = String::new();
    for row in 0..matrix.rows.len() {
        for column in 0..matrix.columns.len() {
            for told in matrix.cell(row, column).iter().filter(|told| has_failed(told)) {
                let wrongs = told.judged.iter().flat_map(|judged| &judged.failures);
                let wrongs: Vec<_> = wrongs.map(|failure| escape(&failure.wrong)).collect();
                let _ = writeln!(
                    lines,
                    "<li><a href=\"#c{row}-{column}\"><code>{}</code></a> {}</li>",
                    escape(&told.case.case),
                    wrongs.join(", ")
                );
            }
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(page, "<ul class=\"failures\">\n{lines}</ul>");
    }
}

fn has_failed(told: &Told) -> bool {
    let verdict = told.judged.as_ref().map(|judged| judged.verdict);
    matches!(verdict, None | Some(Answer::Fail | Answer::UnexpectedPass))
}

fn table(page: &mut String, matrix: &Matrix<'_>) {
    page.push_str("<div class=\"scroll\"><table>\n<tr><td></td>");
    for column in &matrix.columns {
        let _ = write!(page, "<th scope=\"col\"><span>{}</span></th>", escape(column));
    }
    page.push_str("</tr>\n");
    let all = (0..matrix.rows.len())
        .flat_map(|row| (0..matrix.columns.len()).map(move |column| (row, column)));
    let most = all.map(|(row, column)| pages(matrix.cell(row, column)).0).max().unwrap_or(0);
    for (row, name) in matrix.rows.iter().enumerate() {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escape(name));
        for column in 0..matrix.columns.len() {
            heat(page, matrix.cell(row, column), (row, column), most);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// One cell: darker the more pages moved, and of another hue when most were busy.
fn heat(page: &mut String, cases: &[&Told], (row, column): (usize, usize), most: u64) {
    let (moved, busy) = pages(cases);
    let heat = if moved == 0 { 0.0 } else { (moved as f64).ln_1p() / (most as f64).ln_1p() };
    let (class, style, text) = match sum(cases) {
        Sum::None => return page.push_str("<td></td>"),
        Sum::Skipped => ("skip", String::new(), "skip".into()),
        Sum::Failed => ("fail", String::new(), "FAIL".into()),
        Sum::Expected => ("known", String::new(), "known".into()),
        Sum::Moved if moved == 0 => {
            ("heat", " style=\"--hue: 160; --heat: 0\"".into(), "pass".into())
        }
        Sum::Moved => ("heat", format!(" style=\"--hue: 160; --heat: {heat:.2}\""), short(moved)),
        Sum::Busy => ("heat", format!(" style=\"--hue: 215; --heat: {heat:.2}\""), short(moved)),
    };
    let cases = cases.len();
    let _ = write!(
        page,
        "<td class=\"{class}\"{style}><a href=\"#c{row}-{column}\" title=\"{cases} cases: {moved} \
         pages moved, {busy} busy\">{text}</a></td>"
    );
}

/// A number in few letters.
fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

fn key(page: &mut String) {
    page.push_str("<p class=\"key\">");
    for (colour, what) in [
        ("hsl(160 45% 65%)", "pages moved; darker: more"),
        ("hsl(215 45% 65%)", "pages moved, but most were busy"),
        ("var(--fail)", "a claim did not hold"),
        ("var(--known)", "a known gap"),
        ("var(--skip)", "skipped; each says what it needs"),
        ("none", "blank: no case of this run"),
    ] {
        let _ = write!(page, "<span><i style=\"background: {colour}\"></i>{what}</span>");
    }
    page.push_str("</p>\n");
}

fn cell(page: &mut String, run: &Run, matrix: &Matrix<'_>, row: usize, column: usize) {
    let cases = matrix.cell(row, column);
    if cases.is_empty() {
        return;
    }
    let (row_name, column_name) = (escape(matrix.rows[row]), escape(matrix.columns[column]));
    let _ = writeln!(
        page,
        "<section class=\"cell\" id=\"c{row}-{column}\"><h3>{row_name} × {column_name}</h3>"
    );
    cases.iter().for_each(|told| case(page, run, told));
    page.push_str("</section>\n");
}

fn case(page: &mut String, run: &Run, told: &Told) {
    let start = &told.case;
    let (name, class) = match told.judged.as_ref().map(|judged| judged.verdict) {
        None => ("no end", "fail"),
        Some(verdict @ (Answer::Fail | Answer::UnexpectedPass)) => (verdict.name(), "fail"),
        Some(verdict @ Answer::ExpectedFailure) => (verdict.name(), "known"),
        Some(verdict) => (verdict.name(), ""),
    };
    let bad = u8::from(has_failed(told));
    let _ = writeln!(
        page,
        "<details data-bad=\"{bad}\"><summary><span class=\"tag {class}\">{name}</span> \
         <code>{}</code></summary><dl>",
        escape(&start.case)
    );
    let mut row = |name: &str, text: String| {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{text}</dd>");
    };
    row("Claim", escape(&start.claim));
    row("Source", escape(&start.source));
    row("Moved by", escape(&start.trigger));
    if let Some(judged) = &told.judged {
        verdict(&mut row, judged);
    }
    row("Timeline", format!("<pre>{}</pre>", timeline(told)));
    row("Again", format!("<code>{}</code>", escape(&run.again(told))));
    page.push_str("</dl></details>\n");
}

fn verdict(row: &mut impl FnMut(&str, String), judged: &Judged) {
    for failure in &judged.failures {
        let (wrong, detail) = (escape(&failure.wrong), escape(&failure.detail));
        row("Wrong", format!("<b>{wrong}</b>: {detail}"));
    }
    if let Some(reason) = &judged.reason {
        row(if judged.verdict == Answer::Skip { "It needs" } else { "Known" }, escape(reason));
    }
    if !judged.facts.is_empty() {
        let facts: Vec<_> =
            judged.facts.iter().map(|(name, count)| format!("{count} {}", escape(name))).collect();
        row("Happened", facts.join(", "));
    }
}

/// When what happened, and what the kernel said meanwhile.
fn timeline(told: &Told) -> String {
    let line =
        |at_ms: u64, text: &str| format!("{:9.3} s  {}", at_ms as f64 / 1000.0, escape(text));
    let mut lines = vec![line(told.case.at_ms, "begins")];
    lines.extend(told.notes.iter().map(|note| line(note.at_ms, &note.text)));
    if let Some(judged) = &told.judged {
        let took = format!("{} (played for {} ms)", judged.verdict.name(), judged.elapsed_ms);
        lines.push(line(judged.at_ms, &took));
    }
    lines.join("\n")
}
