//! The suite can fail: the engine that ships, with one protection taken away, fails a case that is
//! named in `table.rs`, and under its name.
//!
//! `cargo test -p refolio-conformance --features broken --test broken`
//!
//! A protection is taken away for a whole process. So each variant runs in one of its own, which is
//! this program again; a variant that panics, crashes or hangs has failed, too, and is said to.

mod table;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use refolio_conformance::subjects::Refolio;
use refolio_conformance::{CASES, Limit, Settings, Subject, Verdict, run};
use table::{Row, TABLE};

/// Which protection a child does without, which case it plays, and with which seeds.
const VARIANT: &str = "CONFORMANCE_VARIANT";
const CASE: &str = "CONFORMANCE_CASE";
const SEEDS: &str = "CONFORMANCE_SEEDS";

/// No variant: every protection is in place.
const NONE: &str = "none";

/// Seeds with which what ships must show nothing.
const TRIALS: u64 = 8;

/// How long a variant is tried until it shows by one of its names: threads meet when they like, on a
/// busy machine less often. Nearly all show with the first seed, in a tenth of a second.
const BUDGET: Duration = Duration::from_secs(90);

/// How long a child may go on with a seed without a word.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child says before each seed, and of a failure, before its name.
const SEED: &str = "seed: ";
const WRONG: &str = "wrong: ";

/// In a child: plays the case until something is wrong. Elsewhere there is nothing to do.
#[test]
fn as_a_child_it_plays_its_case() {
    let var = |name| std::env::var(name).ok();
    let (Some(variant), Some(name), Some(seeds)) = (var(VARIANT), var(CASE), var(SEEDS)) else {
        return;
    };
    refolio::take_away(&variant);
    let case = CASES.iter().find(|case| case.name == name).expect("a case of that name");
    let (first, last) = seeds.split_once('-').expect("two numbers");
    let seed = |text: &str| text.parse::<u64>().expect("a number");
    for seed in seed(first)..=seed(last) {
        println!("{SEED}{seed}");
        // As the quick profile does; scarce memory is what eviction meets others in.
        let subject = if seed % 2 == 1 { Refolio::new() } else { Refolio::with_scarce_memory() };
        let subject: Arc<dyn Subject> = Arc::new(subject.expect("memory for two small nodes"));
        let limit = Limit::Time(Duration::from_millis(100));
        let patience = Duration::from_secs(if variant == NONE { 20 } else { 4 });
        let outcome = run(case, subject, Settings { seed, limit, patience });
        if let Verdict::Fail(failures) = outcome.verdict {
            failures.iter().for_each(|failure| println!("{WRONG}{failure}"));
            // Threads may still be in it.
            std::process::exit(1);
        }
    }
}

/// What a child came to: its last seed, and what went wrong with it, if anything did.
struct Found {
    seed: u64,
    wrong: Vec<String>,
}

/// Plays a case in a process of its own, with these seeds, until `over`.
fn child(variant: &str, case: &str, (first, last): (u64, u64), over: Instant) -> Found {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["as_a_child_it_plays_its_case", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(VARIANT, variant).env(CASE, case).env(SEEDS, format!("{first}-{last}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a child");
    let lines = lines_of(child.stdout.take().expect("a pipe"));
    let mut found = Found { seed: first, wrong: Vec::new() };
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                if let Some((_, seed)) = line.split_once(SEED) {
                    found.seed = seed.parse().expect("a number");
                    // Between two seeds is the time to stop.
                    if Instant::now() < over {
                        continue;
                    }
                } else if let Some((_, wrong)) = line.split_once(WRONG) {
                    found.wrong.push(wrong.into());
                    continue;
                } else {
                    continue;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                found.wrong.push(format!("hung: the whole process, for {PATIENCE:?}"));
            }
        }
        child.kill().expect("a child that can be killed");
        child.wait().expect("a child that can be waited for");
        return found;
    }
    let status = child.wait().expect("a child that can be waited for");
    if found.wrong.is_empty() && !status.success() {
        found.wrong.push(format!("died: {status}"));
    }
    found
}

/// Its lines, as they come.
fn lines_of(out: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).find(Result::is_err)
    });
    lines
}

#[test]
fn with_all_protections_the_cases_pass() {
    let cases: BTreeSet<_> = TABLE.iter().map(|(_, case, _)| case).collect();
    for case in cases {
        let over = Instant::now() + BUDGET * 4;
        let found = child(NONE, case, (1, TRIALS), over);
        assert_eq!((found.seed, found.wrong), (TRIALS, Vec::new()), "{case}");
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
    rows.iter().filter(|row| !is_caught(row)).map(|row| **row).collect()
}

/// Whether the variant shows, by one of its names, within the budget. What shows by another name is
/// no reason to stop: a broken engine does several things, and which one first is chance.
fn is_caught((variant, case, wrongs): &Row) -> bool {
    let start = Instant::now();
    let (over, mut first, mut others) = (start + BUDGET, 1, Vec::new());
    while Instant::now() < over {
        let Found { seed, wrong } = child(variant, case, (first, u64::MAX), over);
        let named = |found: &&String| wrongs.iter().any(|wrong| found.starts_with(wrong));
        if let Some(named) = wrong.iter().find(named) {
            let took = start.elapsed();
            println!("{variant} | {case} | {named} | seed {seed} in {took:.1?}, after {others:?}");
            return true;
        }
        others.extend(wrong);
        first = seed + 1;
    }
    println!("{variant} | {case} | not caught; but {others:?}");
    false
}

/// Looks for the cases that catch a variant: `EXPLORE=name,name… cargo test … explore -- --nocapture`
#[test]
fn explore() {
    let Ok(variants) = std::env::var("EXPLORE") else { return };
    for variant in variants.split(',') {
        for case in CASES {
            let over = Instant::now() + BUDGET / 9;
            let found = child(variant, case.name, (1, u64::MAX), over);
            if !found.wrong.is_empty() {
                println!("{variant} | {} | {} | seed {}", case.name, found.wrong[0], found.seed);
            }
        }
    }
}
