//! The closing table, for people.

use super::report::{Figures, Report, Stall};
use crate::{size, text};

const COLUMNS: [&str; 4] = ["file clean", "file dirty", "anonymous", "total"];
const WIDTH: usize = 15;
const LABEL: usize = 36;

/// The table and the verdict, as lines of at most 100 columns.
pub fn lines(report: &Report) -> Vec<String> {
    let kinds = &report.kinds;
    let all = [&kinds.file_clean, &kinds.file_dirty, &kinds.anonymous, &report.total];
    let mut lines = vec![row("", COLUMNS.map(String::from))];
    let mut counts = |label: &str, count: &dyn Fn(&Figures) -> u64| {
        lines.push(row(label, all.map(|figures| size::count(count(figures)))));
    };
    counts("pages moved", &|f| f.moved);
    counts("again", &|f| f.again);
    for why in report.total.again_by.keys() {
        counts(&format!("  {why}"), &|f| f.again_by.get(why).copied().unwrap_or(0));
    }
    counts("busy", &|f| f.busy);
    for who in report.total.busy_by.keys() {
        counts(&format!("  {}", brief(who)), &|f| f.busy_by.get(who).copied().unwrap_or(0));
    }
    // Rows that are all zero in a healthy run are shown when they are not.
    for (label, count) in [
        ("there already", (|f| f.here) as fn(&Figures) -> u64),
        ("no free frame", |f| f.no_memory),
        ("gone", |f| f.gone),
        ("poisoned", |f| f.poisoned),
    ] {
        if count(&report.total) > 0 {
            counts(label, &count);
        }
    }
    if report.not_resident > 0 {
        lines.push(row(
            "not resident",
            ["", "", "", &size::count(report.not_resident)].map(String::from),
        ));
    }
    let mut texts = |label: &str, text: &dyn Fn(&Figures) -> String| {
        lines.push(row(label, all.map(text)));
    };
    texts("moved, pages/s", &|f| size::count(f.pages_per_second as u64));
    texts("moved, GiB/s", &|f| format!("{:.2}", f.gib_per_second));
    texts("reader ops/s at rest", &|f| size::count(f.reader_ops_per_second.idle as u64));
    texts("reader ops/s while pages move", &|f| size::count(f.reader_ops_per_second.moving as u64));
    texts("  of those at rest", &|f| {
        let ops = &f.reader_ops_per_second;
        if ops.idle > 0.0 { format!("{:.0} %", ops.moving / ops.idle * 100.0) } else { "-".into() }
    });
    for (label, at) in [
        ("stall p50", (|stall| stall.p50) as fn(&Stall) -> u64),
        ("stall p99", |stall| stall.p99),
        ("stall p99.9", |stall| stall.p999),
        ("stall max", |stall| stall.max),
    ] {
        texts(label, &|f| text::time(at(&f.stall_ns)));
    }
    let own = text::time(report.longest_own_stall_ns);
    lines.push(row("  but for waits for a processor", ["", "", "", &own].map(String::from)));
    let mut texts = |label: &str, text: &dyn Fn(&Figures) -> String| {
        lines.push(row(label, all.map(text)));
    };
    texts("verified", &|f| size::show(f.verified_bytes));
    texts("mismatches", &|f| size::count(f.mismatches));
    lines.push(String::new());
    lines.extend(text::wrap(&report.verdict(), 0));
    lines
}

fn row(label: &str, cells: [String; 4]) -> String {
    let mut line = format!("{label:LABEL$}");
    for cell in cells {
        line += &format!("{cell:>WIDTH$}");
    }
    line
}

/// A holder without the folders of its source file.
fn brief(who: &str) -> String {
    match (who.split_once(" at "), who.rsplit_once('/')) {
        (Some((kind, _)), Some((_, place))) => format!("{kind} at {place}"),
        _ => who.into(),
    }
}
