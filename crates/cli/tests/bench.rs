//! `refolio bench` from outside: every suite measures something, says what, and leaves nothing
//! behind. How fast anything is, no test asks.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;

use common::{Ended, assert_empty, run, start};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// As little as can be.
const LITTLE: [&str; 4] = ["--size=16M", "--reps=1", "--seconds=0.01", "--threads=2"];

/// Runs a suite; what it says in JSON.
fn measured(suite: &str) -> Value {
    // On a disk: some systems have their temporary files in memory.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = format!("--dir={}", disk.path().display());
    let mut args = vec!["bench", suite, "--json=-", &dir];
    args.extend(LITTLE);
    let ended = run(&args).expect(0);
    assert_empty(disk.path());
    assert!(ended.err.contains("min  "), "no table beside the JSON:\n{}", ended.err);
    let mut all: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{}", ended.out);
    all[0].take()
}

/// The lines of all groups that have this role.
fn lines<'v>(results: &'v Value, role: &str) -> Vec<&'v Value> {
    let groups = results["groups"].as_array().unwrap().iter();
    let lines = groups.flat_map(|group| group["lines"].as_array().unwrap());
    lines.filter(|line| line["role"] == role).collect()
}

#[track_caller]
fn has_figures(suite: &str, limits: bool) -> Value {
    let results = measured(suite);
    assert_eq!(results["suite"], suite);
    let ours = lines(&results, "refolio");
    assert!(!ours.is_empty(), "{results:#}");
    assert_eq!(!lines(&results, "limit").is_empty(), limits, "{results:#}");
    for line in ours {
        let of = |name: &str| line["spread"][name].as_f64().unwrap();
        assert!(of("min") <= of("median") && of("median") <= of("max"), "{line:#}");
    }
    results
}

#[test]
fn hits_are_held_against_bare_loads_and_system_calls() {
    let results = has_figures("hit", true);
    let text = results.to_string();
    for wanted in ["Zipf 0.99", "2 threads", "mmap", "pread", "each known only from the last"] {
        assert!(text.contains(wanted), "{wanted}: {results:#}");
    }
    for line in lines(&results, "refolio") {
        assert!(line["of_limit"].as_f64().unwrap() > 0.0, "{line:#}");
    }
}

#[test]
fn moves_are_held_against_copies() {
    let results = has_figures("migrate", true);
    let text = results.to_string();
    for wanted in ["order 9", "dirty file pages", "anonymous pages", "allow it with --disruptive"] {
        assert!(text.contains(wanted), "{wanted}: {results:#}");
    }
}

#[test]
fn the_forms_are_compared_while_pages_are_pinned() {
    let results = has_figures("forms", false);
    let notes = results["notes"].to_string();
    for wanted in ["0 % pinned: freeze-only", "50 % pinned: freeze-only"] {
        assert!(notes.contains(wanted), "{notes}");
    }
}

#[test]
fn what_a_page_takes_is_more_than_its_slot_and_less_than_a_page() {
    let results = has_figures("memory", false);
    let each = lines(&results, "refolio")[0]["spread"]["median"].as_f64().unwrap();
    assert!((8.0..4096.0).contains(&each), "{each}");
}

#[test]
fn misses_and_writes_are_held_against_the_device() {
    has_figures("miss", true);
    has_figures("write", true);
}

#[test]
fn more_threads_are_held_against_one() {
    let results = has_figures("scale", false);
    assert!(results.to_string().contains("optimistic read, 1 thread"), "{results:#}");
}

#[test]
fn only_what_is_asked_for_is_measured_beside_limits_and_refolio() {
    let args = ["bench", "hit", "--only=pread", "--json=-"];
    let args: Vec<_> = args.into_iter().chain(LITTLE).collect();
    let all: Value = serde_json::from_str(&run(&args).expect(0).out).unwrap();
    let names: Vec<_> = lines(&all[0], "peer").iter().map(|line| line["name"].clone()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name == "pread"), "{names:?}");
    assert!(!lines(&all[0], "refolio").is_empty() && !lines(&all[0], "limit").is_empty());
}

#[test]
fn pictures_are_written_where_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let (svg, html) = (dir.path().join("a.svg"), dir.path().join("a.html"));
    let (as_svg, as_html) = (svg.display().to_string(), html.display().to_string());
    let args = ["bench", "memory", "--svg", &as_svg, "--html", &as_html];
    let args: Vec<_> = args.into_iter().chain(LITTLE).collect();
    run(&args).expect(0);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(read(&svg).starts_with("<svg ") && read(&svg).contains("Refolio, all of it"));
    assert!(read(&html).starts_with("<!doctype html>") && read(&html).contains("<svg "));
}

#[test]
fn a_measurement_that_is_stopped_ends_at_once_and_leaves_no_file() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = format!("--dir={}", dir.path().display());
    let args = ["bench", "miss", "--size=64M", "--reps=1000", "--seconds=1", &at];
    let mut child = start(&args, tmp.path());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("random reads") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it never measured");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    Ended::new(&args, child.wait_with_output().unwrap()).expect(130);
    reader.join().unwrap().unwrap();
    assert_empty(dir.path());
    assert_empty(tmp.path());
}
