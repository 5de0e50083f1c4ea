//! What people see of a run.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use refolio_conformance::event::{Answer, Event};

use super::verdicts;
use super::watch::{End, Run};
use crate::exit::{Exit, Failure};
use crate::signal::tell as say;

/// Opens the file for the kernel's log, before anything starts.
pub fn create_log(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Failure::unusable(format!("{}: {error}: --log needs a writable place", path.display()))
    })
}

/// Writes the kernel's log.
pub fn write_log(mut file: File, run: &Run) -> Result<(), Failure> {
    let text: String = run.log.lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all(text.as_bytes()).map_err(|error| Failure::broken("writing --log", error))
}

/// Shows an event as it comes.
pub fn see(_run: &Run, event: &Event) {
    if let Event::Verdict(judged) = event {
        say(&format!("{:>8}  {}", judged.verdict.name(), judged.case));
    }
}

/// Shows it all, and says how the command ends.
pub fn tell(run: &Run) -> Result<Exit, Failure> {
    let events = verdicts::events(run);
    let mut failed = verdicts::end_of(run).is_some() || verdicts::blameless_faults(run);
    for event in &events {
        if let Event::Verdict(judged) = event
            && judged.verdict == Answer::Fail
        {
            failed = true;
            for wronged in &judged.failures {
                println!("{}: {}: {}", judged.case, wronged.wrong, wronged.detail);
            }
        }
    }
    Ok(match run.end {
        End::Stopped => Exit::Interrupted,
        _ if failed => Exit::Differs,
        _ => Exit::Well,
    })
}
