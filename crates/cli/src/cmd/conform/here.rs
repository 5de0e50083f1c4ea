//! Cases that run in this process; and verdicts as events.

use std::sync::Arc;
use std::time::Duration;

use refolio_conformance::event::{Answer, Judged, Wronged};
use refolio_conformance::subjects::linux::Profile;
use refolio_conformance::{
    Case, Failure, Limit, Outcome, Settings, Subject, Verdict, run, subjects,
};

use crate::args::SubjectName;
use crate::exit;

/// The subject of a name, but for the kernel.
pub fn subject(name: SubjectName) -> Result<Arc<dyn Subject>, exit::Failure> {
    Ok(match name {
        SubjectName::Oracle => Arc::new(subjects::Oracle::default()),
        _ => Arc::new(subjects::Refolio::new().map_err(|error| {
            exit::Failure::unusable(format!("refolio cannot be set up: {error}"))
        })?),
    })
}

/// Runs a case.
pub fn play(case: &Case, subject: Arc<dyn Subject>, seed: u64, profile: Profile) -> Judged {
    let limit = Limit::Time(match profile {
        Profile::Quick => Duration::from_millis(100),
        Profile::Full => Duration::from_secs(5),
        Profile::Soak => Duration::from_secs(20),
    });
    judged(&run(case, subject, Settings { limit, ..Settings::with_seed(seed) }))
}

/// An outcome as an event; the time at which it was reached is the teller's.
pub fn judged(outcome: &Outcome) -> Judged {
    let (verdict, reason, failures) = match &outcome.verdict {
        Verdict::Pass => (Answer::Pass, None, &[][..]),
        Verdict::Fail(failures) => (Answer::Fail, None, &failures[..]),
        Verdict::Skip(need) => (Answer::Skip, Some(need.to_string()), &[][..]),
        Verdict::ExpectedFailure { reason, failures } => {
            (Answer::ExpectedFailure, Some(reason.clone()), &failures[..])
        }
        Verdict::UnexpectedPass { reason } => {
            (Answer::UnexpectedPass, Some(reason.clone()), &[][..])
        }
    };
    let count = |names: &[&str]| {
        let named = outcome.facts.iter().filter(|(name, _)| names.contains(name));
        named.map(|(_, count)| count).sum()
    };
    let told = |failure: &Failure| Wronged {
        wrong: failure.wrong.to_string(),
        detail: failure.detail.clone(),
    };
    Judged {
        case: outcome.case.into(),
        seed: outcome.seed,
        verdict,
        reason,
        failures: failures.iter().map(told).collect(),
        moved: count(&["pages moved"]),
        busy: count(&["pages busy", "pages to be tried again"]),
        facts: outcome.facts.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        at_ms: 0,
        elapsed_ms: outcome.elapsed.as_millis() as u64,
    }
}
