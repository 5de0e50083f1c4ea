//! From what was heard to what is reported: a fault of the kernel is a failure of the cases that
//! ran, and so is the machine's end.

use refolio_conformance::event::{Answer, Wronged};

use super::watch::{End, Session};
use crate::cmd::conform::told::{Note, Run};

/// What the suite's own process says of the kernel's log; the laboratory has the whole of it.
const GUESTS_WORD: &str = "kernel log";

/// The name of a failure that is the machine's end.
pub const END: &str = "the guest's end";

/// Lays the machine's end and each fault of the kernel to the cases that ran. Where there is none,
/// a note of the run tells of it.
pub fn lay(session: &mut Session) {
    if let Some(why) = end_of(session) {
        session.told.end_running(END, &why);
    }
    let faults: Vec<_> =
        session.faults().map(|(blamed, report)| (blamed.clone(), report.to_vec())).collect();
    // The first cause stands first.
    for (blamed, report) in faults.into_iter().rev() {
        let detail = blamed.fault.line.clone();
        let wronged = Wronged { wrong: blamed.fault.name.into(), detail };
        if blamed.cases.is_empty() {
            note(&mut session.told, &wronged);
        }
        for case in &blamed.cases {
            blame(&mut session.told, case, &wronged, &report);
        }
    }
}

fn note(told: &mut Run, wronged: &Wronged) {
    let text = format!("{}: {}", wronged.wrong, wronged.detail);
    told.notes.push(Note { at_ms: 0, text });
}

fn blame(told: &mut Run, case: &str, wronged: &Wronged, report: &[String]) {
    // A case that was repeated has failed in its last round.
    let Some(told) = told.cases.iter_mut().rev().find(|told| told.case.case == case) else {
        return;
    };
    let Some(judged) = &mut told.judged else { return };
    judged.verdict = Answer::Fail;
    judged.failures.retain(|failure| failure.wrong != GUESTS_WORD);
    judged.failures.insert(0, wronged.clone());
    let at_ms = judged.at_ms;
    let new = |line: &&String| !told.notes.iter().any(|note| note.text.ends_with(line.as_str()));
    let lines = report.iter().map(|line| super::klog::without_time(line).to_owned());
    let lines: Vec<_> = lines.collect();
    let notes: Vec<_> = lines
        .iter()
        .filter(new)
        .map(|line| Note { at_ms, text: format!("kernel: {line}") })
        .collect();
    told.notes.extend(notes);
}

/// Why the run did not come to its own end; none if it did.
pub fn end_of(session: &Session) -> Option<String> {
    match &session.end {
        End::Whole => None,
        End::Stopped => Some("stopped by Ctrl-C or SIGTERM".into()),
        End::Mute => Some("the kernel has not said a word".into()),
        End::Cannot(why) | End::Broken(why) => Some(why.clone()),
        End::Silent(quiet) => Some(format!("the guest was silent for {} s", quiet.as_secs())),
        End::Off => Some("the guest went off in the middle".into()),
    }
}

/// Whether something went wrong that no case answers for.
pub fn is_blameless(session: &Session) -> bool {
    session.blamed.iter().any(|blamed| blamed.cases.is_empty())
}
