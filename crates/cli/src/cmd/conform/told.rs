//! A run as its events tell it: what all reports are made from, wherever the cases ran.

use refolio_conformance::event::{Answer, CaseStart, Event, Finish, Judged, Start, Wronged};
use serde::Serialize;

/// The name of the machine's own case: what it is about is the run as a whole.
pub const MACHINE: &str = "machine";

/// What has been told so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// The command that runs a case of it again; None: `refolio conform` with the run's options.
    pub command: Option<String>,
    /// What it set out to do.
    pub start: Option<Start>,
    /// The cases, in the order in which they began.
    pub cases: Vec<Told>,
    /// Notes that are about no case.
    pub notes: Vec<Note>,
    /// How it ended; None when it did not get so far.
    pub finish: Option<Finish>,
}

/// What has been told of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// What it is.
    pub case: CaseStart,
    /// What came of it; None when it did not get so far.
    pub judged: Option<Judged>,
    /// What was said meanwhile.
    pub notes: Vec<Note>,
}

/// Something that was said.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// The words.
    pub text: String,
}

impl Run {
    /// Takes note of an event.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Started(start) => self.start = Some(start.clone()),
            Event::Case(case) => {
                self.cases.push(Told { case: case.clone(), judged: None, notes: Vec::new() });
            }
            Event::Note { case, at_ms, text } => {
                let note = Note { at_ms: *at_ms, text: text.clone() };
                let named = |told: &&mut Told| Some(&told.case.case) == case.as_ref();
                match self.cases.iter_mut().rev().find(named) {
                    Some(told) => told.notes.push(note),
                    None => self.notes.push(note),
                }
            }
            Event::Verdict(judged) => {
                let open =
                    |told: &&mut Told| told.case.case == judged.case && told.judged.is_none();
                if let Some(told) = self.cases.iter_mut().find(open) {
                    told.judged = Some(judged.clone());
                }
            }
            Event::Finished(finish) => self.finish = Some(finish.clone()),
        }
    }

    /// The cases that have begun, and not ended.
    pub fn running(&self) -> impl Iterator<Item = &Told> {
        self.cases.iter().filter(|told| told.judged.is_none())
    }

    /// Ends the cases that are still running as failures, for a reason that ended them all.
    pub fn end_running(&mut self, wrong: &str, detail: &str) {
        for told in self.cases.iter_mut().filter(|told| told.judged.is_none()) {
            let failure = Wronged { wrong: wrong.into(), detail: detail.into() };
            told.judged = Some(Judged {
                case: told.case.case.clone(),
                seed: told.case.seed,
                verdict: Answer::Fail,
                reason: None,
                failures: vec![failure],
                moved: 0,
                busy: 0,
                facts: Vec::new(),
                at_ms: told.case.at_ms,
                elapsed_ms: 0,
            });
        }
    }

    /// How many cases ended how.
    pub fn count(&self) -> Finish {
        let mut finish = Finish::default();
        for judged in self.judged() {
            finish.count(judged.verdict);
            finish.at_ms = judged.at_ms;
        }
        finish
    }

    /// The verdicts, in the order of their cases.
    pub fn judged(&self) -> impl Iterator<Item = &Judged> {
        self.cases.iter().filter_map(|told| told.judged.as_ref())
    }

    /// The cases that somebody needs to look at.
    pub fn bad(&self) -> impl Iterator<Item = (&Told, &Judged)> {
        let judged = self.cases.iter().filter_map(|told| Some((told, told.judged.as_ref()?)));
        judged.filter(|(_, judged)| !judged.verdict.is_fine())
    }

    /// How to see a case again: the command.
    pub fn again(&self, told: &Told) -> String {
        let start = self.start.as_ref();
        let subject = start.map_or("linux", |start| &start.subject);
        let options = start.map(|start| start.options.as_str()).filter(|text| !text.is_empty());
        let options = options.map(|text| format!(" {text}")).unwrap_or_default();
        let CaseStart { case, seed, .. } = &told.case;
        let here = || format!("refolio conform --subject {subject}{options}");
        let command = self.command.clone().unwrap_or_else(here);
        if case == MACHINE {
            return command;
        }
        format!("{command} --case {case} --seed {seed} --repeat until-failure")
    }
}
