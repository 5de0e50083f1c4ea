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
//!
//! And it may be one of some kernels only: after that, `since VERSION` and `before VERSION` (or one
//! of the two) say of which. `uname -r` decides; a version stands for all releases that begin with
//! its numbers, so that 6.1.9 and 6.1.0-56-cloud-amd64 are before 6.2, and 7.3-rc1 is not before 7.3:
//!
//! ```text
//! hugetlb/*/pins-held [kernel log] since 6.1 before 6.2: sometimes: the kernel warns
//! ```

mod kernels;

use std::fmt;

use crate::CASES;
use crate::verdict::Verdict;
use kernels::Kernels;

/// A subject's list of gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(Vec<Gap>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    /// The case's name, or a pattern.
    case: String,
    /// What goes wrong; None: whatever does.
    wrong: Option<String>,
    kernels: Kernels,
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
    /// The gaps of a subject, by its name, on the kernel of this release (`uname -r`), if one is known;
    /// of a subject that has no list, none.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn of(subject: &str, release: Option<&str>) -> Result<Self, BadLine> {
        let mut gaps = Self::parse(match subject {
            "refolio" => include_str!("../gaps/refolio.txt"),
            "oracle" => include_str!("../gaps/oracle.txt"),
            "linux" => include_str!("../gaps/linux.txt"),
            _ => "",
        })?;
        gaps.0.retain(|gap| gap.kernels.have(release));
        Ok(gaps)
    }

    /// Understands a list: the gaps of all kernels.
    ///
    /// # Errors
    /// The first line without a reason, whose case is unknown or was there before, or whose kernels
    /// cannot be understood.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut gaps = Self::default();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bad = |why: String| BadLine { line, why };
            let (what, reason) = text.split_once(':').unwrap_or((text, ""));
            let (what, reason) = (what.trim(), reason.trim());
            let (name, more) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
            let (wrong, kernels) = match more.trim_start().strip_prefix('[') {
                Some(more) => match more.split_once(']') {
                    Some((wrong, kernels)) => (Some(wrong.trim()), kernels),
                    None => return Err(bad(format!("after '[{more}' a ']' is missing"))),
                },
                None => (None, more),
            };
            let kernels = Kernels::parse(kernels).map_err(bad)?;
            if !is_known(name) {
                return Err(bad(format!("there is no case '{name}'")));
            }
            if reason.is_empty() {
                return Err(bad(format!("say why, as in '{name}: it waits for …'")));
            }
            let wrong = wrong.map(String::from);
            let gap = Gap { case: name.into(), wrong, kernels, reason: reason.into() };
            let same = |it: &Gap| Gap { reason: gap.reason.clone(), ..it.clone() } == gap;
            if gaps.0.iter().any(same) {
                return Err(bad(format!("'{name}' is listed twice")));
            }
            gaps.0.push(gap);
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
        assert!(Gaps::of("linux", None).is_ok());
        for subject in ["refolio", "oracle", "nobody"] {
            let gaps = Gaps::of(subject, None);
            assert_eq!(gaps, Ok(Gaps::default()), "no gaps are known of {subject}");
        }
    }

    #[test]
    fn a_gap_of_one_kernel_excuses_no_other() {
        let excuses = |release| {
            let gaps = Gaps::of("linux", release).unwrap();
            gaps.reason("btrfs-clean/move-pages/punch", "resurrected page").is_some()
        };
        assert!(excuses(Some("7.3.4+deb13-cloud-amd64")));
        assert!(!excuses(Some("6.1.0-57-cloud-amd64")));
        assert!(!excuses(None));
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
        let one_each = "migrate_read before 6.2: a\nmigrate_read since 7.3: a";
        assert!(Gaps::parse(one_each).is_ok());
        assert!(bad("migrate_read [hung: x").contains("']' is missing"));
        let older = bad("migrate_read [hung] older 6.2: x");
        assert_eq!(older, "line 1: 'older' is neither 'since' nor 'before'");
    }
}
