//! `kill -9` and loss of power at random moments, while many threads are at work.
//!
//! A child process writes through a cache to a file ([`layout`]), on nodes so small that reclaim
//! and background writeback run all the time; one thread migrates, one makes the file longer and
//! shorter behind what is written, and one syncs now and then. After each sync that succeeded it
//! says on its standard output how far each writer had come before. The parent kills it at a random
//! moment, reads the file without any cache, and checks that everything is there that was
//! acknowledged, and nothing that was never written.
//!
//! ```text
//! cargo test -p refolio --test crash                                      20 crashes each way
//! REFOLIO_CRASHES=1000 cargo test --release -p refolio --test crash -- --nocapture
//! REFOLIO_SEED=… REFOLIO_CRASHES=1 cargo test -p refolio --test crash     as far as moments can
//!                                                                         be repeated
//! ```
//! A killed process loses its own memory only. What a loss of power does to what was not synced is
//! played in memory: each sector is left as it was at the last sync, or as it is now.

mod child;
mod layout;

#[path = "../support/crew.rs"]
mod crew;
#[path = "../support/record.rs"]
mod record;

use std::io::{BufRead, BufReader};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use refolio::testing::CrashStore;
use refolio::{FileStoreOptions, PAGE_SIZE};

use child::Child;
use crew::crew;
use layout::{Counts, WRITERS, beginning, check};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    })
}

/// How often there is a crash.
fn crashes() -> u64 {
    number("REFOLIO_CRASHES", 20)
}

fn seed() -> u64 {
    number("REFOLIO_SEED", fastrand::u64(..1 << 32))
}

#[test]
fn what_was_synced_before_a_kill_is_there_after_it() {
    let dir = tempfile::tempdir().unwrap();
    crash(&dir.path().join("file"), false);
}

/// Past the system's page cache, on the disk that the build is on.
#[test]
fn what_was_synced_past_the_page_cache_is_there_after_a_kill() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![0; PAGE_SIZE]).unwrap();
    if let Err(error) = FileStoreOptions::new().direct(true).open(&path) {
        println!("skipped: {error}");
        return;
    }
    crash(&path, true);
}

#[test]
fn what_was_synced_is_there_after_a_loss_of_power() {
    // Two lives: one begins with nothing.
    let first = seed();
    let records: u64 = [first, first + 1].map(|seed| lose_power(seed, crashes() * 3)).iter().sum();
    println!("seed {first}: {records} writes acknowledged before the last loss of power");
    assert!(records > 0);
}

/// How many writes were acknowledged in the end.
fn lose_power(seed: u64, losses: u64) -> u64 {
    let store = Arc::new(CrashStore::new(beginning(seed)));
    let cache = child::cache();
    let file = cache.open_store(store.clone(), &child::options(seed)).unwrap();
    let (over, acknowledged) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; WRITERS]);
    let now = || acknowledged.each_ref().map(|count| count.load(SeqCst));
    crew(|threads| {
        threads.spawn(|| {
            child::work(&cache, &file, seed, &over, |counts| {
                acknowledged.iter().zip(counts).for_each(|(now, count)| now.store(count, SeqCst));
            });
        });
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..losses {
                let before = now();
                let left = store.after_crash(fastrand::u64(..));
                check(left, seed, &before, &now());
                std::thread::sleep(Duration::from_micros(fastrand::u64(..10_000)));
            }
        }));
        over.store(true, SeqCst);
        assert!(result.is_ok(), "seed {seed}");
    });
    now().iter().sum()
}

fn crash(path: &Path, direct: bool) {
    let (mut syncs, mut records, first) = (0, 0, seed());
    for round in 0..crashes() {
        let seed = first.wrapping_add(round);
        std::fs::write(path, beginning(seed)).unwrap();
        // Half of the children are killed at any moment, the others when they have synced.
        let acknowledged = killed(Child { path, direct, seed }, seed % 4 < 2);
        syncs += acknowledged.len();
        let last = acknowledged.last().copied().unwrap_or_default();
        records += last.iter().sum::<u64>();
        let found = std::fs::read(path).unwrap();
        let checked = std::panic::catch_unwind(|| check(found, seed, &last, &last));
        assert!(checked.is_ok(), "round {round}, seed {seed}, acknowledged: {last:?}");
    }
    println!(
        "{} crashes from seed {first} on, {syncs} syncs, {records} writes acknowledged before them",
        crashes()
    );
    assert!(
        syncs as u64 >= crashes() / 2,
        "the children were killed before they had done anything"
    );
}

/// Runs a child and kills it; how far its writers had come at each sync that it acknowledged.
fn killed(child: Child<'_>, when_synced: bool) -> Vec<Counts> {
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
            if line == child::BEGUN {
                let _ = said.send(None);
            }
            // A line that was cut short has no full stop.
            let line = line.strip_prefix(child::SYNCED).and_then(|line| line.strip_suffix('.'));
            let Some(line) = line else { continue };
            let counts: Vec<u64> = line.split(' ').map(|count| count.parse().unwrap()).collect();
            let _ = said.send(Some(counts.try_into().expect("a number for each writer")));
        }
    });
    let mut acknowledged = Vec::new();
    for _ in 0..1 + u32::from(when_synced) {
        acknowledged.extend(hears.recv_timeout(Duration::from_secs(30)));
    }
    std::thread::sleep(Duration::from_micros(fastrand::u64(..150_000)));
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "the child has failed:\n{said}");
    reader.join().unwrap();
    acknowledged.extend(hears.try_iter());
    acknowledged.into_iter().flatten().collect()
}
