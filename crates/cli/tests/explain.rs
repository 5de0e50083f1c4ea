//! `refolio explain`: every step in its order, the table entry on its way, and who is in the way.

mod common;

use std::fs;

use common::run;

/// The names of the steps that are shown, in order.
fn steps(out: &str) -> Vec<&str> {
    let titles = out.lines().filter_map(|line| line.strip_prefix("── "));
    titles.map(|title| title.trim_start_matches(|c: char| !c.is_alphabetic())).map(first).collect()
}

fn first(title: &str) -> &str {
    title.split_whitespace().next().unwrap()
}

#[test]
fn a_page_moves_in_seven_steps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, vec![7; 10_000]).unwrap();
    for args in [&["explain", "--page", "3"][..], &["explain", path.to_str().unwrap(), "--page=2"]]
    {
        let out = run(args).expect(0).out;
        let wanted = ["isolate", "alloc", "lock", "unmap", "copy", "switch", "finish"];
        assert_eq!(steps(&out), wanted, "{out}");
        // The entry: present on the source, migration, present on the destination.
        let entries: Vec<_> = out.lines().filter(|line| line.contains("resent, frame")).collect();
        assert!(entries.len() >= 2 && entries[0] != entries[entries.len() - 1], "{out}");
        assert!(out.contains("migration entry of frame"), "{out}");
        assert!(out.contains("Move::switch") && out.contains("refs"), "{out}");
        assert!(out.contains("Outcome: moved from frame"), "{out}");
        assert!(out.contains("the same bytes as before"), "{out}");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    }
}

#[test]
fn a_pin_is_named_and_everything_is_taken_back() {
    let out = run(&["explain", "--page", "0", "--pin"]).expect(0).out;
    assert_eq!(steps(&out).last(), Some(&"undo"), "{out}");
    assert!(!steps(&out).contains(&"finish"), "{out}");
    assert!(out.contains("explain.rs:") && out.contains("thread 'holder'"), "{out}");
    assert!(out.contains("The pin is dropped"), "{out}");
    assert!(out.contains("Outcome: moved from frame"), "{out}");
}

#[test]
fn a_page_that_is_not_there_is_refused() {
    let ended = run(&["explain", "--page", "64"]).expect(2);
    assert!(ended.err.contains("from 0 to 63"), "{}", ended.err);
}
