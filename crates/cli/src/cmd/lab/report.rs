//! What people see of a run.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use refolio_conformance::event::Event;

use super::verdicts;
use super::watch::{End, Session};
use crate::cmd::conform::outputs::Outputs;
use crate::cmd::conform::told::Run;
use crate::exit::{Exit, Failure};
use crate::signal::tell as say;

/// So many lines of a fault are shown; `--log` has them all.
const SHOWN: usize = 30;

/// Opens the file for the kernel's log, before anything starts.
pub fn create_log(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Failure::unusable(format!("{}: {error}: --log needs a writable place", path.display()))
    })
}

/// Writes the kernel's log.
pub fn write_log(mut file: File, session: &Session) -> Result<(), Failure> {
    let text: String = session.log.lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all(text.as_bytes()).map_err(|error| Failure::broken("writing --log", error))
}

/// Shows an event as it comes.
pub fn see(told: &Run, event: &Event) {
    match event {
        Event::Started(start) => say(&format!(
            "{}: {} cases, profile {}, seed {}",
            start.about, start.cases, start.profile, start.seed
        )),
        Event::Verdict(judged) => {
            let done = told.judged().count();
            let all = told.start.as_ref().map_or(0, |start| start.cases);
            let (verdict, case) = (judged.verdict.name(), &judged.case);
            let seconds = judged.elapsed_ms as f64 / 1e3;
            say(&format!("{done:>4}/{all} {verdict:>8} {seconds:>6.1} s  {case}"));
        }
        Event::Case(_) | Event::Note { .. } | Event::Finished(_) => {}
    }
}

/// Shows it all, and says how the command ends.
pub fn tell(session: &mut Session, outputs: Outputs) -> Exit {
    verdicts::lay(session);
    outputs.tell(&session.told);
    for (blamed, report) in session.faults() {
        let cases = match blamed.cases.as_slice() {
            [] => "no case ran".into(),
            cases => cases.join(", "),
        };
        say(&format!("\n{} ({cases}):", blamed.fault.name));
        report.iter().take(SHOWN).for_each(|line| say(&format!("    {line}")));
        if report.len() > SHOWN {
            say(&format!("    and {} lines more: see --log", report.len() - SHOWN));
        }
    }
    if let Some(why) = verdicts::end_of(session) {
        say(&format!("\nthe run is not whole: {why}"));
    }
    match session.told.bad().next() {
        Some(_) => Exit::Differs,
        None if session.end == End::Stopped => Exit::Interrupted,
        None => Exit::Well,
    }
}
