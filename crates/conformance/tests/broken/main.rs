//! The suite can fail: the engine that ships, with one protection taken away, fails a case that is
//! named in `table.rs`, and under its name.
//!
//! `cargo test -p refolio-conformance --features broken --test broken`
//!
//! A protection is taken away for a whole process. So each variant runs in one of its own, which is
//! this program again; a variant that panics, crashes or hangs has failed, too, and is said to.

mod table;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use refolio_conformance::subjects::Refolio;
use refolio_conformance::{CASES, Limit, Settings, Subject, Verdict, run};
use table::{Row, TABLE};

/// Which protection a child does without, and which case it plays.
const VARIANT: &str = "CONFORMANCE_VARIANT";
const CASE: &str = "CONFORMANCE_CASE";

/// No variant: every protection is in place.
const NONE: &str = "none";

/// Runs in which a variant must show: threads meet when they like, on a busy machine less often.
/// Nearly all show in the first.
const CHANCES: u64 = 96;

/// Runs in which what ships must show nothing.
const TRIALS: u64 = 8;

/// How long a child may take for all of them.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a child says of a failure, before its name.
const WRONG: &str = "wrong: ";

/// In a child: plays the case until something is wrong. Elsewhere there is nothing to do.
#[test]
fn as_a_child_it_plays_its_case() {
    let (Ok(variant), Ok(name)) = (std::env::var(VARIANT), std::env::var(CASE)) else { return };
    refolio::take_away(&variant);
    let runs = if variant == NONE { TRIALS } else { CHANCES };
    let case = CASES.iter().find(|case| case.name == name).expect("a case of that name");
    for seed in 1..=runs {
        // As the quick profile does; scarce memory is what eviction meets others in.
        let subject = if seed % 2 == 1 { Refolio::new() } else { Refolio::with_scarce_memory() };
        let subject: Arc<dyn Subject> = Arc::new(subject.expect("memory for two small nodes"));
        let limit = Limit::Time(Duration::from_millis(100));
        let patience = Duration::from_secs(10);
        let outcome = run(case, subject, Settings { seed, limit, patience });
        if let Verdict::Fail(failures) = outcome.verdict {
            failures.iter().for_each(|failure| println!("{WRONG}{failure}"));
            // Threads may still be in it.
            std::process::exit(1);
        }
    }
}

/// What went wrong in a child; empty: nothing did.
fn child(variant: &str, case: &str) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["as_a_child_it_plays_its_case", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(VARIANT, variant).env(CASE, case).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a child");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child that can be waited for") {
            Some(status) => break Some(status),
            None if start.elapsed() > PATIENCE => {
                child.kill().expect("a child that can be killed");
                break None;
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let output = child.wait_with_output().expect("what a child said");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = said.lines().find_map(|line| line.split_once(WRONG).map(|(_, wrong)| wrong));
    match (wrong, status) {
        (Some(wrong), _) => wrong.into(),
        (None, None) => format!("hung: the whole process, for {PATIENCE:?}"),
        (None, Some(status)) if !status.success() => format!("died: {status}"),
        (None, Some(_)) => String::new(),
    }
}

#[test]
fn with_all_protections_the_cases_pass() {
    let cases: BTreeSet<_> = TABLE.iter().map(|(_, case, _)| case).collect();
    for case in cases {
        assert_eq!(child(NONE, case), "", "{case}");
    }
}

#[test]
fn every_variant_fails_its_case() {
    // Those that hang take time, and no processor.
    let hangs = |(_, _, wrongs): &&Row| **wrongs == ["hung"];
    let (hanging, others): (Vec<_>, Vec<_>) = TABLE.iter().partition(hangs);
    let missed: Vec<_> = thread::scope(|scope| {
        let hanging = scope.spawn(|| missed(&hanging));
        let others = missed(&others);
        [others, hanging.join().expect("no panic")].concat()
    });
    assert!(missed.is_empty(), "not caught, or not by name: {missed:#?}");
}

fn missed(rows: &[&Row]) -> Vec<Row> {
    let missed = rows.iter().filter(|(variant, case, wrongs)| {
        let found = child(variant, case);
        println!("{variant} | {case} | {found}");
        !wrongs.iter().any(|wrong| found.starts_with(wrong))
    });
    missed.map(|row| **row).collect()
}

/// Looks for the cases that catch a variant: `EXPLORE=name,name… cargo test … explore -- --nocapture`
#[test]
fn explore() {
    let Ok(variants) = std::env::var("EXPLORE") else { return };
    for variant in variants.split(',') {
        for case in CASES {
            let found = child(variant, case.name);
            if !found.is_empty() {
                println!("{variant} | {} | {found}", case.name);
            }
        }
    }
}
