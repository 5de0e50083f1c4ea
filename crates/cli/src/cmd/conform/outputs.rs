//! Where reports go: opened before anything runs, written when it is over.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::report::{html, junit, ktap, matrix};
use super::told::Run;
use crate::args::Reports;
use crate::exit::Failure;
use crate::signal;

/// Makes a report.
type Make = fn(&Run) -> String;

/// The files, and how each is made.
#[derive(Debug)]
pub struct Outputs {
    files: Vec<(PathBuf, File, Make)>,
    ktap: bool,
    stream: bool,
}

impl Outputs {
    /// Opens them; `stream`: the terminal has seen everything.
    pub fn open(args: &Reports, stream: bool) -> Result<Self, Failure> {
        let wanted: [(&str, _, Make); 3] = [
            ("--json", &args.json, json),
            ("--junit", &args.junit, junit::document),
            ("--html", &args.html, html::document),
        ];
        let wanted = wanted.into_iter().filter_map(|(option, path, make)| {
            path.as_ref().map(|path| open(option, path).map(|file| (path.clone(), file, make)))
        });
        let files = wanted.collect::<Result<_, _>>()?;
        Ok(Self { files, ktap: args.ktap, stream })
    }

    /// Writes them, and what is for the terminal.
    pub fn tell(self, run: &Run) {
        for (path, mut file, make) in self.files {
            if let Err(error) = file.write_all(make(run).as_bytes()) {
                let path = path.display();
                signal::tell(&format!("refolio: {path} could not be written: {error}"));
            }
        }
        let lines = match (self.stream, self.ktap) {
            (true, _) => return,
            (false, true) => ktap::lines(run),
            (false, false) => text(run),
        };
        let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
        // A reader that has gone away is nobody's problem.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

fn open(option: &str, path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Failure::unusable(format!("{}: {error}: {option} needs a writable place", path.display()))
    })
}

fn json(run: &Run) -> String {
    serde_json::to_string_pretty(run).expect("strings and numbers") + "\n"
}

/// What the terminal shows at the end.
pub fn text(run: &Run) -> Vec<String> {
    let mut lines = matrix::lines(run);
    let bad = matrix::bad_lines(run);
    if !bad.is_empty() {
        lines.push(String::new());
        lines.extend(bad);
    }
    lines.push(String::new());
    lines.extend(skipped(run));
    lines.push(counts(run));
    lines
}

/// What was not tried, by what was missing.
fn skipped(run: &Run) -> Vec<String> {
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    for reason in run.judged().filter(|j| j.verdict == refolio_conformance::event::Answer::Skip) {
        let reason = reason.reason.as_deref().unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons
        .into_iter()
        .map(|(reason, count)| format!("{count:>5} skipped: they need {reason}"))
        .collect()
}

/// How many cases ended how.
pub fn counts(run: &Run) -> String {
    let count = run.count();
    let unended = run.running().count();
    let mut parts = vec![format!("{} pass", count.pass), format!("{} fail", count.fail)];
    for (number, name) in [
        (count.skip, "skipped"),
        (count.expected_failure, "expected failures"),
        (count.unexpected_pass, "unexpected passes"),
        (unended as u64, "without an end"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {name}"));
        }
    }
    format!(
        "{} cases in {:.1} s: {}",
        run.cases.len(),
        count.at_ms as f64 / 1000.0,
        parts.join(", ")
    )
}
