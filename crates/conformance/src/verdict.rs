//! What came of a case.

use std::fmt;
use std::time::Duration;

use crate::subject::Need;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wrong {
    /// A write that returned is not there.
    LostWrite,
    /// A read saw an older write than one that had returned; a later one did not.
    StalePage,
    /// Bytes of another page, or from elsewhere in the page.
    ForeignPage,
    /// Part of one write, part of another.
    TornPage,
    /// What was truncated is back.
    ResurrectedPage,
    /// Zeros, or nothing, where bytes were.
    ZeroedPage,
    /// Bytes that nobody has written.
    GarbledPage,
    /// A page was moved, or evicted, while somebody held it.
    PinMoved,
    /// The bytes of a page changed while somebody held it.
    PinChanged,
    /// The bytes of a page changed on their way to the store.
    UnstableWrite,
    /// A call failed that must not.
    Refused,
    /// A page that nobody uses does not move.
    Stuck,
    /// The counters do not add up.
    Miscounted,
    /// What the case is about did not happen.
    Unreached,
    /// What may only be read could be written, or the other way round.
    Permission,
    /// A thread waits for ever.
    Hung,
    /// The process that played the case died.
    Died,
    /// A thread panicked.
    Panicked,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostWrite => "lost write",
            Self::StalePage => "stale page",
            Self::ForeignPage => "foreign page",
            Self::TornPage => "torn page",
            Self::ResurrectedPage => "resurrected page",
            Self::ZeroedPage => "zeroed page",
            Self::GarbledPage => "garbled page",
            Self::PinMoved => "moved under a pin",
            Self::PinChanged => "changed under a pin",
            Self::UnstableWrite => "changed while written back",
            Self::Refused => "refused",
            Self::Stuck => "stuck page",
            Self::Miscounted => "miscounted",
            Self::Unreached => "not reached",
            Self::Permission => "wrong permission",
            Self::Hung => "hung",
            Self::Died => "died",
            Self::Panicked => "panicked",
        })
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub wrong: Wrong,
    /// What was found, by whom.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.wrong, self.detail)
    }
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The claim held, and what it is about has happened.
    Pass,
    /// It did not.
    Fail(Vec<Failure>),
    /// It was not tried, for lack of this.
    Skip(Need),
    /// It did not hold, and that is known.
    ExpectedFailure {
        /// Why it does not hold, from the subject's list of gaps.
        reason: String,
        /// What went wrong.
        failures: Vec<Failure>,
    },
    /// It held, and is listed as a gap: the list is out of date.
    UnexpectedPass {
        /// Why it should not have held.
        reason: String,
    },
}

impl Verdict {
    /// Whether nobody needs to look at it.
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::Pass | Self::Skip(_) | Self::ExpectedFailure { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, failures: &[Failure]| {
            failures.iter().try_for_each(|failure| write!(f, "\n    {failure}"))
        };
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail(failures) => {
                f.write_str("FAIL")?;
                list(f, failures)
            }
            Self::Skip(need) => write!(f, "skip: it needs {need}"),
            Self::ExpectedFailure { reason, failures } => {
                write!(f, "expected failure: {reason}")?;
                list(f, failures)
            }
            Self::UnexpectedPass { reason } => write!(f, "UNEXPECTED PASS, despite: {reason}"),
        }
    }
}

/// A case's verdict, and how it came about.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case's name.
    pub case: &'static str,
    /// The subject's name.
    pub subject: &'static str,
    /// The seed, with which it can be run again.
    pub seed: u64,
    /// What came of it.
    pub verdict: Verdict,
    /// How often what happened.
    pub facts: Vec<(&'static str, u64)>,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, subject, seed, verdict, elapsed, .. } = self;
        write!(f, "{case} on {subject} (seed {seed}, {} ms): {verdict}", elapsed.as_millis())?;
        let facts: Vec<_> =
            self.facts.iter().map(|(fact, count)| format!("{count} {fact}")).collect();
        if facts.is_empty() { Ok(()) } else { write!(f, "\n    {}", facts.join(", ")) }
    }
}
