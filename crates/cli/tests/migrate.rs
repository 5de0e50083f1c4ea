//! `refolio migrate` from outside: what it says, what it leaves alone, and that it sees damage.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Ended, run, start};
use serde_json::Value;

/// Small nodes and one round, for tests are many.
const SMALL: [&str; 8] =
    ["migrate", "--rounds", "1", "--fast", "24M", "--slow", "24M", "--anon=2M"];

/// The options of every test, and some more.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(more).copied().collect()
}

/// The figures that stand under stable names, of all pages and of each kind.
fn figures(report: &Value) -> [(&str, &Value); 4] {
    let kinds = &report["kinds"];
    [
        ("total", report),
        ("file_clean", &kinds["file_clean"]),
        ("file_dirty", &kinds["file_dirty"]),
        ("anonymous", &kinds["anonymous"]),
    ]
}

#[test]
fn a_sample_moves_and_the_figures_have_their_names() {
    // Enough rounds for a reader to be seen reading every kind of page while they move.
    let args = ["migrate", "--sample=8M", "--anon=2M", "--rounds=20", "--seed=7", "--json=-"];
    let ended = run(&args).expect(0);
    assert!(ended.err.contains("All is well"), "the table goes to standard error:\n{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    for (kind, figures) in figures(&report) {
        let number = |path: &str| {
            let found = figures.pointer(path).and_then(Value::as_f64);
            found.unwrap_or_else(|| panic!("{kind} has no number at {path}:\n{figures:#}"))
        };
        for path in ["/moved", "/pages_per_second", "/gib_per_second", "/verified_bytes"] {
            assert!(number(path) > 0.0, "{kind}{path}");
        }
        for path in ["/reader_ops_per_second/idle", "/reader_ops_per_second/moving"] {
            assert!(number(path) > 0.0, "{kind}{path}");
        }
        for path in ["/again", "/busy", "/gone"] {
            assert!(number(path) >= 0.0, "{kind}{path}");
        }
        assert_eq!(number("/mismatches"), 0.0, "{kind}");
        let stalls = ["p50", "p99", "p999", "max"].map(|p| number(&format!("/stall_ns/{p}")));
        assert!(stalls.is_sorted() && stalls[0] > 0.0, "{kind}: {stalls:?}");
    }
    assert_eq!(report["verified_bytes"], 10 << 20);
    assert_eq!(report["kinds"]["anonymous"]["verified_bytes"], 2 << 20);
    assert_eq!(report["kinds"]["file_dirty"]["verified_bytes"], 2 << 20, "one block in four");
    assert_eq!((&report["seed"], &report["rounds"]), (&7.into(), &20.into()));
    assert_eq!(report["machine"]["nodes"][0]["name"], "fast");
    assert!(report["machine"]["nodes"][1]["numa"].is_string());
    assert!(report["pages_written"].as_u64().unwrap() > 0);
}

/// Name, bytes and time of writing of every file there.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let mut all: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let written = entry.metadata().unwrap().modified().unwrap();
            (entry.path().display().to_string(), fs::read(entry.path()).unwrap(), written)
        })
        .collect();
    all.sort();
    all
}

/// A folder with a large file of an odd length, one of a few bytes, an empty one.
fn some_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3_000_001u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    fs::create_dir(dir.path().join("below")).unwrap();
    fs::write(dir.path().join("odd"), &bytes).unwrap();
    fs::write(dir.path().join("below/short"), b"a few bytes").unwrap();
    fs::write(dir.path().join("below/empty"), b"").unwrap();
    dir
}

#[test]
fn files_of_the_user_stay_as_they_are() {
    let dir = some_files();
    let before = snapshot(dir.path());
    let json = tempfile::NamedTempFile::new().unwrap();
    let json_path = json.path().to_str().unwrap();
    let ended = run(&small(&[dir.path().to_str().unwrap(), "--json", json_path, "--writers", "2"]));
    let ended = ended.expect(0);
    assert!(ended.out.contains("All is well"), "{}", ended.out);
    assert!(ended.out.lines().all(|line| line.chars().count() <= 100), "{}", ended.out);
    assert!(snapshot(dir.path()) == before, "a file of the user has changed");

    let report: Value = serde_json::from_reader(fs::File::open(json.path()).unwrap()).unwrap();
    assert_eq!((&report["files"], &report["empty_files"]), (&2.into(), &1.into()));
    assert_eq!(report["kinds"]["file_clean"]["verified_bytes"], 3_000_012);
    assert_eq!(report["kinds"]["file_dirty"]["verified_bytes"], 3_000_012);
    assert!(report["pages_written"].as_u64().unwrap() > 0);
}

#[test]
fn with_write_the_files_themselves_are_written() {
    let dir = some_files();
    let before = snapshot(dir.path());
    run(&small(&["--write", dir.path().to_str().unwrap()])).expect(0);
    let after = snapshot(dir.path());
    let lens = |all: &[(String, Vec<u8>, _)]| all.iter().map(|f| f.1.len()).collect::<Vec<_>>();
    assert_eq!(lens(&before), lens(&after), "a file has changed its length");
    assert!(before != after, "nothing was written");
}

#[test]
fn an_empty_file_passes() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    fs::write(&empty, b"").unwrap();
    let ended = run(&["migrate", empty.to_str().unwrap(), "--anon", "0"]).expect(0);
    assert!(ended.out.contains("1 empty file passed"), "{}", ended.out);
}

#[test]
fn files_larger_than_the_nodes_stream_through() {
    let options = ["--fast=8M", "--slow=8M", "--anon=1M", "--sample=40M", "--rounds=1", "--json=-"];
    let args: Vec<_> = ["migrate"].into_iter().chain(options).collect();
    let report: Value = serde_json::from_str(&run(&args).expect(0).out).unwrap();
    assert_eq!(report["verified_bytes"], 41 << 20);
    let moved = report["moved"].as_u64().unwrap();
    assert!(moved > (8 << 20) / 4096, "only {moved} pages moved");
}

#[test]
fn a_soak_goes_on_for_its_time_and_judges_what_grows() {
    let options = ["--fast=16M", "--slow=16M", "--anon=2M", "--sample=20M", "--for=3s", "--json=-"];
    let args: Vec<_> = ["migrate"].into_iter().chain(options).collect();
    let ended = run(&args).expect(0);
    assert!(ended.err.contains("Memory grew by"), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["options"]["seconds"], 3);
    assert!(report["seconds_moving"].as_f64().unwrap() >= 3.0);
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
    assert!(number("/memory/early") > 16 << 20 && number("/memory/end") > 16 << 20);
    let own = number("/longest_own_stall_ns");
    // The histogram's steps are of 1 %.
    assert!(own > 0 && own <= number("/stall_ns/max") / 100 * 102, "{own}");
}

#[test]
fn large_folios_and_every_form_move_as_well() {
    for form in ["check-then-freeze", "early-check", "load-then-freeze"] {
        run(&small(&["--sample=4M", "--order", "4", "--mode", "async", "--form", form])).expect(0);
    }
}

/// A check that cannot fail is worth nothing: one byte is changed on the disk while the run goes,
/// and the run must name it.
#[test]
fn one_wrong_byte_is_found_and_named() {
    const OFFSET: u64 = 20 * 4096 + 1000;
    let tmp = tempfile::tempdir().unwrap();
    let args = small(&["--sample", "8M", "--seed", "1"]);
    let mut child = start(&args, tmp.path());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("at rest") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it never said that it was at rest");
    }
    // Block 1 of the sample is one that nobody writes, and all of it is in the cache.
    let folder = fs::read_dir(tmp.path()).unwrap().next().unwrap().unwrap().path();
    let sample = fs::File::options().read(true).write(true).open(folder.join("sample")).unwrap();
    let mut byte = [0];
    sample.read_exact_at(&mut byte, OFFSET).unwrap();
    sample.write_all_at(&[!byte[0]], OFFSET).unwrap();
    told.read_to_string(&mut line).unwrap();
    let ended = Ended::new(&args, child.wait_with_output().unwrap()).expect(1);
    for words in ["NOT WELL: 1 mismatch", "sample, page 20, byte 82920", "other bytes", "disk"] {
        assert!(ended.out.contains(words), "no '{words}':\n{}", ended.out);
    }
    common::assert_empty(tmp.path());
}
