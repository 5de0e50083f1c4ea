//! What a run of the suite says while it goes on: one event after the other, each a line of JSON.
//!
//! A run that dies has said everything up to then, and whoever listens can tell which cases it was
//! in. Reports (matrix, KTAP, JUnit, HTML) are made from events alone, wherever the cases ran.
//!
//! ```
//! use refolio_conformance::event::Event;
//!
//! let line = Event::Note { case: None, at_ms: 12, text: "two nodes".into() }.line();
//! assert_eq!(line, r#"{"event":"note","case":null,"at_ms":12,"text":"two nodes"}"#);
//! assert!(matches!(Event::of_line(&line), Some(Event::Note { at_ms: 12, .. })));
//! // Whatever else is on the same channel (a kernel's log, say) is no event.
//! assert!(Event::of_line("[    1.2] EXT4-fs (vda): mounted").is_none());
//! ```

use serde::{Deserialize, Serialize};

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    Started(Start),
    /// A case begins.
    Case(CaseStart),
    /// Something worth knowing: of a case, or of the run.
    Note {
        /// The case it is about.
        case: Option<String>,
        /// Milliseconds since the run began.
        at_ms: u64,
        /// The words.
        text: String,
    },
    /// What came of a case.
    Verdict(Judged),
    /// The run ends: every case has its verdict.
    Finished(Finish),
}

/// What a run is about to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The subject's name.
    pub subject: String,
    /// The profile's name.
    pub profile: String,
    /// The seed of the first round.
    pub seed: u64,
    /// How many cases there are to a round.
    pub cases: u64,
    /// What is tested, in words: a kernel's version, for example.
    pub about: String,
    /// The release of the kernel that is tested, if one is (`uname -r`): its known gaps go by it.
    pub kernel: Option<String>,
    /// The options that a case needs to be run again, beside its name and its seed.
    pub options: String,
}

/// A case, before it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStart {
    /// Its name, with which it can be run again.
    pub case: String,
    /// The row of the matrix that it counts in: a kind of memory.
    pub row: String,
    /// The column: an adversary.
    pub column: String,
    /// What moves the pages.
    pub trigger: String,
    /// What must be so.
    pub claim: String,
    /// Where that is known from.
    pub source: String,
    /// With which seed it runs.
    pub seed: u64,
    /// Milliseconds since the run began.
    pub at_ms: u64,
}

/// The five verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The claim held, and what it is about has happened.
    Pass,
    /// It did not.
    Fail,
    /// It was not tried.
    Skip,
    /// It did not hold, and that is known.
    ExpectedFailure,
    /// It held, and is listed as a gap.
    UnexpectedPass,
}

impl Answer {
    /// Whether nobody needs to look at it.
    pub fn is_fine(self) -> bool {
        !matches!(self, Self::Fail | Self::UnexpectedPass)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::ExpectedFailure => "expected failure",
            Self::UnexpectedPass => "unexpected pass",
        }
    }
}

/// A case's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The case's name.
    pub case: String,
    /// The seed it ran with.
    pub seed: u64,
    /// The verdict.
    pub verdict: Answer,
    /// What is missing (skip), or why it is known to fail (expected failure, unexpected pass).
    pub reason: Option<String>,
    /// What went wrong.
    pub failures: Vec<Wronged>,
    /// Pages that moved.
    pub moved: u64,
    /// Pages that were asked to move, and did not.
    pub busy: u64,
    /// How often what else happened.
    pub facts: Vec<(String, u64)>,
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wronged {
    /// Its name: "lost write", for example.
    pub wrong: String,
    /// What was found, by whom.
    pub detail: String,
}

/// How many cases ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after the verdicts")]
pub struct Finish {
    pub pass: u64,
    pub fail: u64,
    pub skip: u64,
    pub expected_failure: u64,
    pub unexpected_pass: u64,
    /// Milliseconds since the run began.
    pub at_ms: u64,
}

impl Finish {
    /// One more case.
    pub fn count(&mut self, verdict: Answer) {
        *match verdict {
            Answer::Pass => &mut self.pass,
            Answer::Fail => &mut self.fail,
            Answer::Skip => &mut self.skip,
            Answer::ExpectedFailure => &mut self.expected_failure,
            Answer::UnexpectedPass => &mut self.unexpected_pass,
        } += 1;
    }

    /// Whether nobody needs to look at anything.
    pub fn is_fine(&self) -> bool {
        self.fail + self.unexpected_pass == 0
    }
}

impl Event {
    /// As a line, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers")
    }

    /// The event that a line is, if it is one.
    pub fn of_line(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim()).ok()
    }
}
