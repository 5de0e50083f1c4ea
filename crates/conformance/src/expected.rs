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
//!
//! A gap may be narrower, or wider. With the name of what goes wrong in brackets it excuses nothing
//! else; in the case's name `*` stands for any text; and a reason that begins with `sometimes` is
//! one for which a pass is no surprise:
//!
//! ```text
//! */offline/* [miscounted]: sometimes: huge pages are counted out 512 times, and in once
//! ```

use std::fmt;

use crate::CASES;
use crate::verdict::Verdict;

/// A subject's list of gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(Vec<Gap>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    /// The case's name, or a pattern.
    case: String,
    /// What goes wrong; None: whatever does.
    wrong: Option<String>,
    reason: String,
}

impl Gap {
    fn excuses(&self, case: &str, wrong: &str) -> bool {
        matches(&self.case, case) && self.wrong.as_deref().is_none_or(|known| known == wrong)
    }
}

/// Whether a name is meant: by itself, or by a pattern in which `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    // What follows the last star may be found later, too.
    rest.is_empty() || last.is_some_and(|part| rest.ends_with(part))
}

/// Whether there is such a case, in either list.
fn is_known(pattern: &str) -> bool {
    #[cfg(target_os = "linux")]
    if crate::subjects::linux::cases().iter().any(|case| matches(pattern, &case.name)) {
        return true;
    }
    CASES.iter().any(|case| matches(pattern, case.name))
}

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
            let (name, wrong) = match name.split_once('[') {
                Some((name, wrong)) => (name.trim(), Some(wrong.trim_end_matches(']').trim())),
                None => (name, None),
            };
            if !is_known(name) {
                return Err(bad(format!("there is no case '{name}'")));
            }
            if reason.is_empty() {
                return Err(bad(format!("say why, as in '{name}: it waits for …'")));
            }
            let wrong = wrong.map(String::from);
            if gaps.0.iter().any(|gap| gap.case == name && gap.wrong == wrong) {
                return Err(bad(format!("'{name}' is listed twice")));
            }
            gaps.0.push(Gap { case: name.into(), wrong, reason: reason.into() });
        }
        Ok(gaps)
    }

    /// Why a case is expected to fail in this way, if it is.
    pub fn reason(&self, case: &str, wrong: &str) -> Option<&str> {
        self.0.iter().find(|gap| gap.excuses(case, wrong)).map(|gap| &*gap.reason)
    }

    /// A case's verdict in the light of what is known.
    pub fn judge(&self, case: &str, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Pass => {
                let surprising =
                    |gap: &&Gap| matches(&gap.case, case) && !gap.reason.starts_with("sometimes");
                let reason = self.0.iter().find(surprising).map(|gap| gap.reason.clone());
                reason.map_or(Verdict::Pass, |reason| Verdict::UnexpectedPass { reason })
            }
            Verdict::Fail(failures) => {
                // One failure without an excuse is a failure.
                let reason = |wrong: String| self.reason(case, &wrong);
                let reasons = failures.iter().map(|failure| reason(failure.wrong.to_string()));
                match reasons.collect::<Option<Vec<_>>>().and_then(|all| all.first().copied()) {
                    Some(reason) => Verdict::ExpectedFailure { reason: reason.into(), failures },
                    None => Verdict::Fail(failures),
                }
            }
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
        assert!(Gaps::of("linux").is_ok());
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
    fn a_gap_excuses_what_it_names_and_no_more() {
        let gaps = Gaps::parse("migrate_* [hung]: sometimes: it waits").unwrap();
        let fail = |wrong| Verdict::Fail(vec![Failure { wrong, detail: "read".into() }]);
        let judge = |verdict| gaps.judge("migrate_read", verdict);
        assert!(matches!(judge(fail(Wrong::Hung)), Verdict::ExpectedFailure { .. }));
        assert_eq!(judge(fail(Wrong::LostWrite)), fail(Wrong::LostWrite));
        assert_eq!(judge(Verdict::Pass), Verdict::Pass, "sometimes");
        assert_eq!(gaps.judge("write_read", fail(Wrong::Hung)), fail(Wrong::Hung));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, is) in [
            ("anon/mbind/writers", "anon/mbind/writers", true),
            ("anon/mbind", "anon/mbind/writers", false),
            ("anon/*", "anon/mbind/writers", true),
            ("*/writers", "anon/mbind/writers", true),
            ("*/writers", "anon/mbind/loads", false),
            ("ext4-*/*/truncate", "ext4-dirty/move-pages/truncate", true),
            ("ext4-*/*/truncate", "ext4-dirty/move-pages/calls", false),
            ("*s", "stores", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
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
