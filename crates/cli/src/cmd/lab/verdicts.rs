//! From what was heard to what is reported: a fault of the kernel is a failure of the cases that
//! ran, and so is the machine's end.

use std::collections::HashMap;

use refolio_conformance::event::{Answer, CaseStart, Event, Finish, Judged, Wronged};

use super::watch::{End, Run};

/// The run's events, with each fault laid to its cases, and a last word. Where no case is to be
/// blamed, a note tells of it.
pub fn events(run: &Run) -> Vec<Event> {
    let mut told = Told::new(run);
    for (blamed, report) in run.faults() {
        let wrong = Wronged {
            wrong: blamed.fault.name.into(),
            detail: format!("{}\n{}", blamed.fault.line, report.join("\n")),
        };
        told.blame(&blamed.cases, &wrong);
    }
    if let Some(why) = end_of(run) {
        let wrong = Wronged { wrong: "the guest's end".into(), detail: why };
        told.blame(&run.running, &wrong);
    }
    told.finish()
}

/// Why the run did not come to its own end; none if it did.
pub fn end_of(run: &Run) -> Option<String> {
    match &run.end {
        End::Whole => None,
        End::Stopped => Some("stopped by Ctrl-C or SIGTERM".into()),
        End::Mute => Some("the kernel has not said a word".into()),
        End::Cannot(why) | End::Broken(why) => Some(why.clone()),
        End::Silent(quiet) => Some(format!("the guest was silent for {} s", quiet.as_secs())),
        End::Off => Some("the guest went off in the middle".into()),
    }
}

/// Whether something went wrong that no case answers for.
pub fn blameless_faults(run: &Run) -> bool {
    run.blamed.iter().any(|blamed| blamed.cases.is_empty())
}

struct Told<'a> {
    events: Vec<Event>,
    starts: HashMap<&'a str, &'a CaseStart>,
}

impl<'a> Told<'a> {
    fn new(run: &'a Run) -> Self {
        let starts = run.events.iter().filter_map(|event| match event {
            Event::Case(start) => Some((start.case.as_str(), start)),
            _ => None,
        });
        let events = run.events.iter().filter(|event| !matches!(event, Event::Finished(_)));
        Self { events: events.cloned().collect(), starts: starts.collect() }
    }

    fn blame(&mut self, cases: &[String], wrong: &Wronged) {
        if cases.is_empty() {
            let text = format!("{}: {}", wrong.wrong, wrong.detail);
            self.events.push(Event::Note { case: None, at_ms: self.now_ms(), text });
        }
        for case in cases {
            // A case that was repeated has failed in its last round.
            let judged = self.events.iter_mut().rev().find_map(|event| match event {
                Event::Verdict(judged) if judged.case == *case => Some(judged),
                _ => None,
            });
            match judged {
                Some(judged) => {
                    judged.verdict = Answer::Fail;
                    judged.failures.push(wrong.clone());
                }
                None => {
                    let judged = self.cut_short(case, wrong);
                    self.events.push(Event::Verdict(judged));
                }
            }
        }
    }

    /// The verdict of a case that did not come to one.
    fn cut_short(&self, case: &str, wrong: &Wronged) -> Judged {
        let start = self.starts.get(case).copied().cloned().unwrap_or_default();
        let at_ms = self.now_ms();
        Judged {
            case: case.into(),
            seed: start.seed,
            verdict: Answer::Fail,
            reason: None,
            failures: vec![wrong.clone()],
            moved: 0,
            busy: 0,
            facts: Vec::new(),
            at_ms,
            elapsed_ms: at_ms.saturating_sub(start.at_ms),
        }
    }

    /// The time of the last event.
    fn now_ms(&self) -> u64 {
        let at = |event: &Event| match event {
            Event::Case(start) => start.at_ms,
            Event::Note { at_ms, .. } => *at_ms,
            Event::Verdict(judged) => judged.at_ms,
            Event::Started(_) | Event::Finished(_) => 0,
        };
        self.events.iter().map(at).max().unwrap_or(0)
    }

    fn finish(mut self) -> Vec<Event> {
        let mut finish = Finish { at_ms: self.now_ms(), ..Finish::default() };
        for event in &self.events {
            if let Event::Verdict(judged) = event {
                finish.count(judged.verdict);
            }
        }
        self.events.push(Event::Finished(finish));
        self.events
    }
}
