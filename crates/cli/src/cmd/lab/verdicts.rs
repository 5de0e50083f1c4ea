//! From what was heard to what is reported: a fault of the kernel is a failure of the cases that
//! ran, and so is the machine's end. What no case answers for is a failure of the machine's own.

use refolio_conformance::Gaps;
use refolio_conformance::event::{Answer, CaseStart, Judged, Wronged};

use super::klog::{LONGEST, without_time};
use super::watch::{End, Session};
use crate::cmd::conform::told::{MACHINE, Note, Run, Told};

/// What the suite's own process says of the kernel's log; the laboratory has the whole of it.
const GUESTS_WORD: &str = "kernel log";

/// The faults after which a kernel goes on: the only ones that can be known gaps.
const WARNING: &str = "kernel warning";

/// The name of a failure that is the machine's end.
const END: &str = "the guest's end";

/// Lays the machine's end and each fault of the kernel to the cases that ran.
pub fn lay(session: &mut Session) {
    if session.end == End::Stopped {
        // Whoever stops a case has not found it to fail.
        session.told.cases.retain(|told| told.judged.is_some());
    } else if let Some(why) = end_of(session) {
        if session.told.running().next().is_none() {
            let said = session.last_words();
            let said = said[..said.len().min(LONGEST)].to_vec();
            blame_machine(&mut session.told, &Wronged { wrong: END.into(), detail: why }, &said);
        } else {
            session.told.end_running(END, &why);
        }
    }
    for (name, figures) in std::mem::take(&mut session.drifts) {
        blame_machine(&mut session.told, &Wronged { wrong: name, detail: figures }, &[]);
    }
    let faults: Vec<_> =
        session.faults().map(|(blamed, report)| (blamed.clone(), report.to_vec())).collect();
    let kernel = session.told.start.as_ref().and_then(|start| start.kernel.as_deref());
    let gaps = Gaps::of("linux", kernel).unwrap_or_default();
    // The first cause stands first.
    for (blamed, report) in faults.into_iter().rev() {
        let detail = blamed.fault.line.clone();
        let wronged = Wronged { wrong: blamed.fault.name.into(), detail };
        if blamed.cases.is_empty() {
            blame_machine(&mut session.told, &wronged, &report);
        }
        for case in &blamed.cases {
            // A case that was repeated has failed in its last round.
            let found = session.told.cases.iter_mut().rev().find(|told| told.case.case == *case);
            found.into_iter().for_each(|told| blame(told, &wronged, &report, &gaps));
        }
    }
    // The guest has counted before.
    if session.told.finish.is_some() {
        session.told.finish = Some(session.told.count());
    }
}

fn blame(told: &mut Told, wronged: &Wronged, report: &[String], gaps: &Gaps) {
    let Some(judged) = &mut told.judged else { return };
    let known = gaps.reason(&told.case.case, GUESTS_WORD).filter(|_| wronged.wrong == WARNING);
    match known {
        Some(reason) if judged.verdict.is_fine() => {
            judged.verdict = Answer::ExpectedFailure;
            judged.reason = Some(reason.to_owned());
        }
        _ => judged.verdict = Answer::Fail,
    }
    judged.failures.retain(|failure| failure.wrong != GUESTS_WORD);
    judged.failures.insert(0, wronged.clone());
    let at_ms = judged.at_ms;
    for line in report.iter().map(|line| without_time(line)) {
        if !told.notes.iter().any(|note| note.text.ends_with(line)) {
            told.notes.push(Note { at_ms, text: format!("kernel: {line}") });
        }
    }
}

/// The machine's own case; it is there if it has failed.
fn blame_machine(run: &mut Run, wronged: &Wronged, report: &[String]) {
    if run.cases.last().is_none_or(|told| told.case.case != MACHINE) {
        let case = CaseStart {
            case: MACHINE.into(),
            row: MACHINE.into(),
            column: "whole".into(),
            trigger: "none".into(),
            claim: "The machine goes off by itself, leaves whole disks, has all its memory back, \
                    and its kernel tells of nothing that no case answers for."
                .into(),
            source: "refolio lab".into(),
            ..CaseStart::default()
        };
        let judged = Judged {
            case: MACHINE.into(),
            seed: 0,
            verdict: Answer::Fail,
            reason: None,
            failures: Vec::new(),
            moved: 0,
            busy: 0,
            facts: Vec::new(),
            at_ms: run.count().at_ms,
            elapsed_ms: 0,
        };
        run.cases.push(Told { case, judged: Some(judged), notes: Vec::new() });
    }
    let gaps = Gaps::default();
    run.cases.last_mut().into_iter().for_each(|told| blame(told, wronged, report, &gaps));
}

/// Why the run did not come to its own end; none if it did.
pub fn end_of(session: &Session) -> Option<String> {
    match &session.end {
        End::Whole => None,
        End::Stopped => Some("stopped by Ctrl-C or SIGTERM".into()),
        End::Mute => Some("the kernel has not said a word".into()),
        End::Cannot(why) | End::Broken(why) => Some(why.clone()),
        End::Silent(quiet) => Some(format!("the guest was silent for {} s", quiet.as_secs())),
        End::Lingers(since, last) => Some(format!(
            "the guest did not end after the suite: it was still on {} s later, and the last that it \
             said was \"{last}\"",
            since.as_secs()
        )),
        End::Off => Some("the guest went off in the middle".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refolio_conformance::event::{Event, Start};

    /// A session in which the port and the console said this, in this order.
    fn session(said: &[Result<Event, &str>], end: End) -> Session {
        let mut session = Session::new();
        for said in said {
            match said {
                Ok(event) => session.told.hear(event),
                Err(line) => session.console(line),
            }
        }
        session.end = end;
        lay(&mut session);
        session
    }

    fn begins(case: &str) -> Result<Event, &'static str> {
        Ok(Event::Case(CaseStart { case: case.into(), ..CaseStart::default() }))
    }

    fn failures(session: &Session) -> Vec<(&str, &str)> {
        let bad = session.told.bad();
        let named = bad.flat_map(|(told, judged)| {
            judged.failures.iter().map(|it| (told.case.case.as_str(), it.wrong.as_str()))
        });
        named.collect()
    }

    #[test]
    fn a_fault_and_the_end_are_the_running_cases() {
        let panic = Err("[    1.0] Kernel panic - not syncing: x");
        let session = session(&[begins("a"), panic], End::Off);
        assert_eq!(failures(&session), [("a", "kernel panic"), ("a", END)]);
    }

    #[test]
    fn a_warning_that_is_a_known_gap_is_expected_and_a_panic_is_not() {
        let verdict = |kernel: &str, line: &'static str| {
            let case = "hugetlb/move-pages/pins-held";
            let judged = Judged {
                case: case.into(),
                seed: 0,
                verdict: Answer::Pass,
                reason: None,
                failures: Vec::new(),
                moved: 0,
                busy: 0,
                facts: Vec::new(),
                at_ms: 0,
                elapsed_ms: 0,
            };
            let start = Start { kernel: Some(kernel.into()), ..Start::default() };
            let [start, end] = [Event::Started(start), Event::Verdict(judged)].map(Ok);
            let said = [start, begins(case), Err(line), end];
            let session = session(&said, End::Whole);
            session.told.cases[0].judged.as_ref().unwrap().verdict
        };
        let warning = "[    1.0] WARNING: CPU: 0 PID: 1 at x";
        assert_eq!(verdict("6.1.192", warning), Answer::ExpectedFailure);
        assert_eq!(verdict("6.12.117", warning), Answer::Fail, "it is a gap of 6.1");
        assert_eq!(verdict("6.1.192", "[    1.0] Kernel panic - not syncing: x"), Answer::Fail);
    }

    #[test]
    fn what_no_case_answers_for_is_the_machines() {
        let warning = Err("[    1.0] WARNING: CPU: 0 PID: 1 at x");
        let session = session(&[warning, begins("a")], End::Whole);
        assert_eq!(failures(&session), [("machine", "kernel warning")]);
        let damaged = End::Broken("ext4 is damaged".into());
        assert_eq!(failures(&self::session(&[], damaged)), [("machine", END)]);
    }

    #[test]
    fn a_case_that_somebody_stopped_has_not_failed() {
        let session = session(&[begins("a")], End::Stopped);
        assert!(failures(&session).is_empty());
        assert!(session.told.cases.is_empty());
    }
}
