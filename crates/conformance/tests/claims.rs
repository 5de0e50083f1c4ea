//! Every case against every subject.

use std::sync::Arc;

use refolio_conformance::subjects::{Oracle, Refolio};
use refolio_conformance::{CASES, Need, Outcome, Settings, Subject, Verdict, run};

fn oracle() -> Arc<dyn Subject> {
    Arc::new(Oracle::default())
}

fn refolio() -> Arc<dyn Subject> {
    Arc::new(Refolio::new().unwrap())
}

fn scarce() -> Arc<dyn Subject> {
    Arc::new(Refolio::with_scarce_memory().unwrap())
}

/// What comes of the cases of a row. `CONFORMANCE_SEED` chooses another seed.
fn run_row(row: &str, make: fn() -> Arc<dyn Subject>) -> Vec<Outcome> {
    let subject = make();
    let seed = std::env::var("CONFORMANCE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let cases = CASES.iter().filter(|case| case.name.split('_').next() == Some(row));
    let outcomes: Vec<_> =
        cases.map(|case| run(case, subject.clone(), Settings::with_seed(seed))).collect();
    let bad = outcomes.iter().filter(|outcome| !outcome.verdict.is_fine());
    let bad: Vec<_> = bad.map(Outcome::to_string).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    outcomes
}

/// All pass: the model has everything but migration entries.
fn of_oracle(row: &str) {
    for outcome in run_row(row, oracle) {
        let skipped = Verdict::Skip(Need::MigrationEntries);
        let expected = if outcome.case == "migrate_fault" { skipped } else { Verdict::Pass };
        assert_eq!(outcome.verdict, expected, "{outcome}");
    }
}

fn of_refolio(row: &str, make: fn() -> Arc<dyn Subject>) {
    for outcome in run_row(row, make) {
        println!("{outcome}");
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome}");
    }
}

macro_rules! rows {
    ($($row:ident)*) => {$(
        mod $row {
            #[test]
            fn on_the_oracle() {
                super::of_oracle(stringify!($row));
            }

            #[test]
            fn on_refolio() {
                super::of_refolio(stringify!($row), super::refolio);
            }

            #[test]
            fn on_refolio_with_scarce_memory() {
                super::of_refolio(stringify!($row), super::scarce);
            }
        }
    )*};
}

rows! { migrate write truncate evict }
