//! The suite can fail: every planted bug is caught, by cases that are named here, under its name.

mod subject;

use std::sync::Arc;
use std::time::Duration;

use refolio_conformance::subjects::{Oracle, Refolio};
use refolio_conformance::{CASES, Case, Need, Outcome, Settings, Subject, Verdict, Wrong, run};
use subject::{Bug, Planted};

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

fn run_planted(name: &str, bug: Bug, inner: Arc<dyn Subject>) -> Outcome {
    run_seeded(name, bug, inner, 7)
}

fn run_seeded(name: &str, bug: Bug, inner: Arc<dyn Subject>, seed: u64) -> Outcome {
    let settings = Settings { patience: Duration::from_secs(2), ..Settings::with_seed(seed) };
    run(case(name), Arc::new(Planted::new(bug, inner)), settings)
}

/// Which cases catch which bug, and what they call it.
const TABLE: &[(Bug, &[&str], Wrong)] = &[
    (Bug::LosesWrites, &["migrate_write", "write_read", "write_write"], Wrong::LostWrite),
    (Bug::ReadsOldPages, &["migrate_read", "write_read"], Wrong::StalePage),
    (Bug::ReadsOtherPages, &["migrate_read", "evict_read"], Wrong::ForeignPage),
    (Bug::ReadsOtherFiles, &["migrate_read", "truncate_read"], Wrong::ForeignPage),
    (Bug::TearsPages, &["migrate_write", "write_read"], Wrong::TornPage),
    (Bug::ReadsZeros, &["migrate_fill", "write_read"], Wrong::ZeroedPage),
    (Bug::FlipsBits, &["migrate_read", "evict_fill"], Wrong::GarbledPage),
    (Bug::SkipsTruncations, &["migrate_truncate", "truncate_read"], Wrong::ResurrectedPage),
    (Bug::EvictsDirtyPages, &["write_evict", "migrate_evict"], Wrong::LostWrite),
    (Bug::StoresOldPages, &["write_writeback", "migrate_writeback"], Wrong::LostWrite),
    (Bug::WritesUnderPins, &["migrate_pin", "write_pin"], Wrong::PinChanged),
    (Bug::MovesUnderPins, &["migrate_pin", "migrate_lookup"], Wrong::PinMoved),
    (Bug::EvictsUnderPins, &["evict_pin"], Wrong::PinMoved),
    (Bug::SaysItMoved, &["migrate_migrate"], Wrong::Stuck),
    (Bug::MovesNothing, &["migrate_read"], Wrong::Unreached),
    (Bug::LeaksPins, &["migrate_pin", "write_pin"], Wrong::Stuck),
    (Bug::CountsWrong, &["migrate_evict", "truncate_truncate"], Wrong::Miscounted),
    (Bug::WritesUnstable, &["write_writeback"], Wrong::UnstableWrite),
    (Bug::Refuses, &["migrate_write"], Wrong::Refused),
    (Bug::Panics, &["write_lookup"], Wrong::Panicked),
];

/// Runs in which a planted bug must show.
const CHANCES: u64 = 8;

fn every_planted_bug_is_caught_by_name(inner: fn() -> Arc<dyn Subject>) {
    for (bug, cases, wrong) in TABLE {
        for name in *cases {
            // Threads meet when they like: a bug that two of them must meet in gets a few chances.
            let mut outcomes = (7..7 + CHANCES).map(|seed| run_seeded(name, *bug, inner(), seed));
            let caught = outcomes.any(|outcome| match &outcome.verdict {
                Verdict::Fail(failures) => failures.iter().any(|failure| failure.wrong == *wrong),
                _ => false,
            });
            assert!(caught, "{name} does not catch {bug:?} as '{wrong}' in {CHANCES} runs");
        }
    }
}

#[test]
fn every_bug_planted_in_the_oracle_is_caught_by_name() {
    every_planted_bug_is_caught_by_name(|| Arc::new(Oracle::default()));
}

#[test]
fn every_bug_planted_in_refolio_is_caught_by_name() {
    every_planted_bug_is_caught_by_name(|| Arc::new(Refolio::new().unwrap()));
}

#[test]
fn without_a_bug_the_wrapper_passes() {
    for name in ["migrate_write", "truncate_pin", "evict_fault"] {
        let inner = Arc::new(Refolio::new().unwrap());
        let outcome = run_planted(name, Bug::None, inner);
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome}");
    }
}

#[test]
fn a_thread_that_waits_for_ever_is_named_and_left_behind() {
    let outcome = run_planted("write_read", Bug::Hangs, Arc::new(Oracle::default()));
    let Verdict::Fail(failures) = &outcome.verdict else { panic!("{outcome}") };
    assert_eq!(failures[0].wrong, Wrong::Hung, "{outcome}");
    assert!(failures[0].detail.contains("writer"), "{outcome}");
}

#[test]
fn what_a_subject_lacks_is_said() {
    for (name, verdict) in [
        ("migrate_pin", Verdict::Skip(Need::Pins)),
        ("write_lookup", Verdict::Skip(Need::Pins)),
        ("migrate_read", Verdict::Pass),
    ] {
        let outcome = run_planted(name, Bug::LacksPins, Arc::new(Oracle::default()));
        assert_eq!(outcome.verdict, verdict, "{outcome}");
    }
}
