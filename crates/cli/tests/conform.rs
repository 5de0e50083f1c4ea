//! `refolio conform`: what it runs, what it says, and what it leaves behind.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use common::{assert_empty, refolio, run};
use refolio_conformance::event::{Answer, Event};

#[test]
fn a_case_passes_and_every_report_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (json, junit, html) = (at("run.json"), at("run.xml"), at("run.html"));
    let args = ["conform", "--subject", "oracle", "--case", "migrate_*", "--seed", "5"];
    let outputs = ["--json", &json, "--junit", &junit, "--html", &html];
    let ended = run(&[&args[..], &outputs].concat()).expect(0);
    assert!(ended.out.contains("10 cases"), "{}", ended.out);
    assert!(ended.out.contains("9 pass, 0 fail, 1 skipped"), "{}", ended.out);
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let run: serde_json::Value = serde_json::from_str(&read(&json)).unwrap();
    assert_eq!(run["start"]["seed"], 5);
    assert_eq!(run["cases"].as_array().unwrap().len(), 10);
    assert_eq!(run["finish"]["pass"], 9);
    let junit = read(&junit);
    assert!(junit.contains("tests=\"10\" failures=\"0\" errors=\"0\" skipped=\"1\""), "{junit}");
    assert_eq!(junit.matches("<testcase ").count(), junit.matches("</testcase>").count());
    let page = read(&html);
    assert_eq!(page.matches("<details").count(), 10);
    assert!(page.contains("migrate_write") && !page.contains("http"), "needs nothing else");
}

#[test]
fn ktap_counts_and_names_every_case() {
    let args = ["conform", "--subject", "oracle", "--case", "*_pin", "--ktap"];
    let out = run(&args).expect(0).out;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..2], ["KTAP version 1", "1..4"], "{out}");
    let ok = (1..).zip(["migrate_pin", "write_pin", "truncate_pin", "evict_pin"]);
    let ok: Vec<_> = ok.map(|(number, name)| format!("ok {number} {name}")).collect();
    assert_eq!(lines[2..], ok, "{out}");
}

#[test]
fn the_stream_is_events_in_their_order() {
    let args = ["conform", "--subject", "oracle", "--case", "write_read", "--stream"];
    let out = run(&args).expect(0).out;
    let events: Vec<_> = out.lines().map(|line| Event::of_line(line).expect(line)).collect();
    let [Event::Started(start), Event::Case(case), Event::Verdict(judged), Event::Finished(end)] =
        &events[..]
    else {
        panic!("{out}");
    };
    assert_eq!((start.cases, &*case.case, judged.verdict), (1, "write_read", Answer::Pass));
    assert_eq!(end.pass, 1);
}

#[test]
fn the_kernel_is_asked_nothing_that_it_cannot_answer() {
    // Whatever this machine has: the case passes, or names what is missing; nothing is left.
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let args = ["conform", "--subject", "linux", "--case", "anon/move-pages/writers"];
    let out = run(&[&args[..], &["--dir", place, "--stream"]].concat()).expect(0).out;
    let judged = out.lines().find_map(|line| match Event::of_line(line) {
        Some(Event::Verdict(judged)) => Some(judged),
        _ => None,
    });
    let judged = judged.unwrap();
    let lacks = judged.reason.as_deref() == Some("two memory nodes");
    assert!(judged.verdict == Answer::Pass || lacks, "{judged:?}");
    assert_empty(dir.path());
}

#[test]
fn a_file_system_that_is_not_there_is_named() {
    let args = ["conform", "--subject", "linux", "--case", "f2fs-dirty/*", "--stream"];
    let out = run(&args).expect(0).out;
    assert!(out.contains("a folder on f2fs (--dir)"), "{out}");
}

#[test]
fn every_case_is_listed_with_its_claim() {
    let out = run(&["conform", "--subject", "linux", "--list", "--profile", "full"]).expect(0).out;
    for name in ["anon/", "ext4-dirty/", "special/hot-anon", "tmpfs-unmapped/"] {
        assert!(out.lines().any(|line| line.starts_with(name)), "{name}");
    }
    assert_eq!(run(&["conform", "--list"]).expect(0).out.matches("\nwrite_").count(), 9);
}

#[test]
fn every_case_is_listed_with_what_it_cannot_be_played_without() {
    let needs = |subject: &str, name: &str| {
        let args = ["conform", "--subject", subject, "--list", "--profile", "full", "--case", name];
        let out = run(&args).expect(0).out;
        out.lines().find_map(|line| line.trim().strip_prefix("needs ").map(String::from))
    };
    assert_eq!(needs("refolio", "migrate_pin").unwrap(), "two memory nodes; pins");
    let of_file = needs("linux", "ext4-dirty/move-pages/writers").unwrap();
    assert_eq!(of_file, "a folder on ext4 (--dir); two memory nodes");
    assert!(needs("linux", "ksm/offline/writers").unwrap().contains("--disruptive"));
    assert_eq!(needs("linux", "special/text").unwrap().matches("root").count(), 1);
    assert_eq!(needs("refolio", "truncate_read"), None);
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    for (args, word) in [
        (&["--case", "no_such"][..], "--list"),
        (&["--subject", "linux", "--case", "anon/x", "--dir", "/tmp"], "--list"),
        (&["--subject", "linux", "--dir", "/no/such/folder"], "/no/such/folder"),
        (&["--repeat", "0"], "until-failure"),
        (&["--json", "/nowhere/at/all.json"], "--json"),
        (&["--profile", "fast"], "quick"),
    ] {
        let ended = run(&[&["conform"], args].concat()).expect(2);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(ended.err.contains(word), "{}", ended.err);
    }
}

#[test]
fn a_signal_ends_the_run_and_leaves_nothing() {
    let (tmp, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = place.path().to_str().unwrap();
    let args = ["conform", "--subject", "linux", "--profile", "soak", "--stream", "--dir", dir];
    let mut child = refolio(&args, tmp.path()).stdout(Stdio::null()).spawn().unwrap();
    let is_empty = |path: &Path| fs::read_dir(path).unwrap().next().is_none();
    while is_empty(place.path()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_empty(place.path());
    assert_empty(tmp.path());
}
