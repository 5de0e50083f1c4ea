//! Known gaps: the claims that a subject does not meet, each with its reason.
//!
//! Each subject has a list, `gaps/SUBJECT.txt`. A line names a case and says, after a colon, why it
//! fails; empty lines and lines that begin with `#` are for people:
//!
//! ```text
//! # Fixed in the next release.
//! migrate_fault: a fault on a migration entry returns an error instead of waiting
//! ```
//!
//! A listed case that fails is an expected failure. One that passes is an unexpected pass: either
//! the gap is closed and the line must go, or the case looks too shortly.

use std::fmt;

use crate::CASES;
use crate::verdict::Verdict;

/// A subject's list of gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(Vec<(&'static str, String)>);

/// A line that is no gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for BadLine {}

impl Gaps {
    /// The gaps of a subject, by its name; of one that has no list, none.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn of(subject: &str) -> Result<Self, BadLine> {
        Self::parse(match subject {
            "refolio" => include_str!("../gaps/refolio.txt"),
            "oracle" => include_str!("../gaps/oracle.txt"),
            "linux" => include_str!("../gaps/linux.txt"),
            _ => "",
        })
    }

    /// Understands a list.
    ///
    /// # Errors
    /// The first line without a reason, or whose case is unknown or was there before.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut gaps = Self::default();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bad = |why: String| BadLine { line, why };
            let (name, reason) = text.split_once(':').unwrap_or((text, ""));
            let (name, reason) = (name.trim(), reason.trim());
            let case = CASES.iter().find(|case| case.name == name);
            let case = case.ok_or_else(|| bad(format!("there is no case '{name}'")))?;
            if reason.is_empty() {
                return Err(bad(format!("say why, as in '{name}: it waits for …'")));
            }
            if gaps.reason(name).is_some() {
                return Err(bad(format!("'{name}' is listed twice")));
            }
            gaps.0.push((case.name, reason.into()));
        }
        Ok(gaps)
    }

    /// Why a case is expected to fail, if it is.
    pub fn reason(&self, case: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == case).map(|(_, reason)| &**reason)
    }

    /// A case's verdict in the light of what is known.
    pub fn judge(&self, case: &str, verdict: Verdict) -> Verdict {
        let Some(reason) = self.reason(case).map(String::from) else { return verdict };
        match verdict {
            Verdict::Pass => Verdict::UnexpectedPass { reason },
            Verdict::Fail(failures) => Verdict::ExpectedFailure { reason, failures },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Need;
    use crate::verdict::{Failure, Wrong};

    #[test]
    fn the_lists_that_ship_are_understood() {
        for subject in ["refolio", "oracle", "nobody"] {
            assert_eq!(Gaps::of(subject), Ok(Gaps::default()), "no gaps are known of {subject}");
        }
    }

    #[test]
    fn a_gap_turns_the_verdict_round() {
        let gaps = Gaps::parse("# why\n\n  migrate_read : it is slow: very \n").unwrap();
        let reason = || String::from("it is slow: very");
        let failures = vec![Failure { wrong: Wrong::Hung, detail: "read".into() }];
        let judge = |case, verdict| gaps.judge(case, verdict);
        assert_eq!(
            judge("migrate_read", Verdict::Pass),
            Verdict::UnexpectedPass { reason: reason() }
        );
        assert_eq!(
            judge("migrate_read", Verdict::Fail(failures.clone())),
            Verdict::ExpectedFailure { reason: reason(), failures: failures.clone() }
        );
        assert_eq!(judge("migrate_read", Verdict::Skip(Need::Pins)), Verdict::Skip(Need::Pins));
        assert_eq!(judge("migrate_pin", Verdict::Pass), Verdict::Pass);
        assert_eq!(judge("migrate_pin", Verdict::Fail(failures.clone())), Verdict::Fail(failures));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said_with_its_line() {
        let bad = |text| Gaps::parse(text).unwrap_err().to_string();
        assert_eq!(bad("\nmigrate_reed: x"), "line 2: there is no case 'migrate_reed'");
        assert!(bad("migrate_read").starts_with("line 1: say why"));
        assert!(bad("migrate_read: ").starts_with("line 1: say why"));
        let twice = "migrate_read: a\nmigrate_pin: b\nmigrate_read: c";
        assert_eq!(bad(twice), "line 3: 'migrate_read' is listed twice");
    }
}
