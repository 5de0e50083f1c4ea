//! `kill -9` and loss of power at random moments, while many threads are at work.
//!
//! A child process writes records that describe themselves through a cache to a file, on nodes so
//! small that reclaim and background writeback run all the time; one thread migrates, one makes the
//! file longer and shorter behind the records, and one syncs now and then. After each sync that
//! succeeded it says on its standard output how many records each writer had written before. The
//! parent kills it at a random moment, reads the file without any cache, and checks that everything
//! is there that was acknowledged, and nothing that was never written.
//!
//! ```text
//! cargo test -p refolio --test crash_threads                                   20 crashes each way
//! REFOLIO_CRASHES=1000 cargo test --release -p refolio --test crash_threads -- --nocapture
//! ```
//! A killed process loses its own memory only. What a loss of power does to what was not synced is
//! played in memory: each sector is left as it was at the last sync, or as it is now.

mod child;

#[path = "../support/record.rs"]
mod record;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use refolio::testing::CrashStore;
use refolio::{FileStoreOptions, PAGE_SIZE};

use child::{BLOCKS, Child, PREFILLED, WRITERS, written};
use record::{BLOCK, decode, encode};

/// How often a child is killed.
fn crashes() -> usize {
    std::env::var("REFOLIO_CRASHES").map_or(20, |text| text.parse().expect("a number of crashes"))
}

#[test]
fn buffered() {
    let dir = tempfile::tempdir().unwrap();
    crash(&dir.path().join("file"), false);
}

/// Past the system's page cache, on the disk that the build is on.
#[test]
fn direct() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![0; PAGE_SIZE]).unwrap();
    if let Err(error) = FileStoreOptions::new().direct(true).open(&path) {
        println!("skipped: {error}");
        return;
    }
    crash(&path, true);
}

/// The bytes that the file begins with.
fn prefilled() -> Vec<u8> {
    (0..PREFILLED as u64).flat_map(|block| encode(block, 0, 0)).collect()
}

#[test]
fn loss_of_power() {
    let store = Arc::new(CrashStore::new(prefilled()));
    let (cache, seed) = (child::cache(), fastrand::u64(..));
    let file = cache.open_store(store.clone(), &child::options(seed)).unwrap();
    let (over, acknowledged) = (AtomicBool::new(false), Mutex::new([0; WRITERS]));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            child::work(&cache, &file, seed, &over, |counts| {
                *acknowledged.lock().unwrap() = counts
            });
        });
        let result = std::panic::catch_unwind(|| {
            for _ in 0..crashes() * 5 {
                let counts = *acknowledged.lock().unwrap();
                check(&store.after_crash(fastrand::u64(..)), &counts);
                std::thread::sleep(Duration::from_micros(fastrand::u64(..10_000)));
            }
        });
        over.store(true, SeqCst);
        assert!(result.is_ok(), "seed {seed}");
    });
    let records: u64 = acknowledged.into_inner().unwrap().iter().sum();
    assert!(records > 0);
    println!(
        "power was lost {} times, {records} records acknowledged before the last",
        crashes() * 5
    );
}

fn crash(path: &Path, direct: bool) {
    let (mut syncs, mut records) = (0, 0);
    for round in 0..crashes() {
        let seed = fastrand::u64(..);
        std::fs::write(path, prefilled()).unwrap();
        let acknowledged = killed(Child { path, direct, seed });
        syncs += acknowledged.len();
        let last = acknowledged.last().cloned().unwrap_or_default();
        records += last.iter().sum::<u64>();
        let checked = std::panic::catch_unwind(|| check(&std::fs::read(path).unwrap(), &last));
        assert!(checked.is_ok(), "round {round}, seed {seed}, acknowledged: {last:?}");
    }
    println!("{} crashes, {syncs} syncs, {records} records acknowledged before them", crashes());
    assert!(syncs >= crashes(), "the children were killed before they had done anything");
}

/// Runs a child and kills it; how far its writers had come at each sync that it acknowledged.
fn killed(child: Child<'_>) -> Vec<Vec<u64>> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::child", "--nocapture"])
        .env(child::ENV, child.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let (said, hears) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // A line that was cut short has no full stop.
            let line = line.strip_prefix(child::SYNCED).and_then(|line| line.strip_suffix('.'));
            let Some(line) = line else { continue };
            let counts: Vec<u64> = line.split(' ').map(|count| count.parse().unwrap()).collect();
            assert_eq!(counts.len(), WRITERS);
            let _ = said.send(counts);
        }
    });
    let mut acknowledged: Vec<_> =
        hears.recv_timeout(Duration::from_secs(30)).into_iter().collect();
    std::thread::sleep(Duration::from_micros(fastrand::u64(..150_000)));
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "the child has failed:\n{said}");
    reader.join().unwrap();
    acknowledged.extend(hears.try_iter());
    acknowledged
}

/// Every block has a generation that was written, and none older than what was acknowledged.
fn check(bytes: &[u8], acknowledged: &[u64]) {
    for block in 0..BLOCKS {
        let writer = block % WRITERS;
        let oldest = written(block, acknowledged.get(writer).copied().unwrap_or(0));
        match bytes.get(block * BLOCK..(block + 1) * BLOCK) {
            // The file was not as long yet.
            None => assert_eq!(oldest, 0, "block {block} is missing"),
            Some(found) if oldest == 0 && found.iter().all(|byte| *byte == 0) => {
                assert!(block >= PREFILLED, "block {block} is zeros");
            }
            Some(found) => {
                let generation = decode(block as u64, found).unwrap_or_else(|why| panic!("{why}"));
                assert!(generation >= oldest, "block {block}: {generation}, not {oldest} or newer");
            }
        }
    }
}
