//! `kill -9` at random moments during writes: everything before the last acknowledged `sync` is
//! there afterwards.
//!
//! The test starts itself as a child, which writes records through a cache to a real file, while
//! its pages move, are evicted and written back in the background, and says on its standard output
//! what a `sync` has made durable. The parent kills it at a moment of its choice and reads the file
//! through the ordinary file system. (What the kernel had taken is there after the death of a
//! process; that it survives the loss of power is `fdatasync`'s part, and the store's.)
//!
//! `REFOLIO_SEED=<seed> REFOLIO_ROUNDS=<n>` repeats a run, as far as moments can be repeated.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use refolio::{Cache, Error, Migrate, NodeId, NodeOptions, OpenError, OpenOptions};

/// Tells a process that it is the child, with the file and the seed.
const CHILD: &str = "REFOLIO_CRASH_CHILD";
const DIRECT: &str = "REFOLIO_CRASH_DIRECT";

/// Records are a third of a page, so that they meet in pages and cross their boundaries.
const RECORD: u64 = 1365;
const RECORDS: u64 = 3000;

/// Writes between two syncs at most.
const BATCH: u64 = 400;

/// What a record says after its `generation`-th write: everything in it tells which one it is.
fn record(at: u64, generation: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(at << 32 | generation);
    let mut bytes = vec![0; RECORD as usize];
    random.fill(&mut bytes);
    bytes[..8].copy_from_slice(&generation.to_le_bytes());
    bytes
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_synced_before_a_kill_is_there_after_it() {
    rounds(false);
}

#[test]
fn what_was_synced_past_the_page_cache_is_there_after_a_kill() {
    rounds(true);
}

fn rounds(direct: bool) {
    let seed = number("REFOLIO_SEED", fastrand::u64(0..1 << 32));
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..number("REFOLIO_ROUNDS", 20) {
        let path = dir.path().join(format!("{round}"));
        std::fs::write(&path, []).unwrap();
        match crash(&path, seed.wrapping_add(round), direct) {
            Some(synced) => acknowledged += synced,
            None => {
                println!("skipped: the file system of {} has no O_DIRECT", dir.path().display());
                return;
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
    assert!(acknowledged > 0, "seed {seed}: every child was killed before its first sync");
    println!("seed {seed}: {acknowledged} syncs were acknowledged before the kills");
}

/// One child, killed at a random moment; how many syncs it had acknowledged. None when its file
/// system cannot do what is asked.
fn crash(path: &Path, seed: u64, direct: bool) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .env(DIRECT, if direct { "1" } else { "" })
        .env("REFOLIO_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (lines, said) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    // The child has begun when it says so; from then on, any moment will do.
    let mut skipped = false;
    while let Ok(line) = said.recv() {
        skipped = line.contains("no O_DIRECT");
        if skipped || line.contains("begun") {
            break;
        }
    }
    let moment = fastrand::Rng::with_seed(seed).u64(1..300);
    std::thread::sleep(Duration::from_millis(if skipped { 0 } else { moment }));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    if skipped {
        return None;
    }
    Some(check(path, seed, said.try_iter()))
}

/// Reads the file as the kernel has it: what the last acknowledged sync covers is there, but for
/// what the next writes may have gone over. How many syncs were acknowledged.
fn check(path: &Path, seed: u64, said: impl Iterator<Item = String>) -> u64 {
    let (mut synced, mut syncs) = (0, 0);
    for line in said {
        // A line that the kill has cut short is no acknowledgement: it lacks the full stop.
        let count = line.strip_prefix("synced ").and_then(|count| count.strip_suffix('.'));
        if let Some(count) = count {
            synced = count.parse().unwrap();
            syncs += 1;
        }
    }
    let mut written = [0; RECORDS as usize];
    for (write, at) in (1..=synced).zip(order(seed)) {
        written[at as usize] = write;
    }
    for at in order(seed).skip(synced as usize).take(BATCH as usize) {
        written[at as usize] = 0;
    }
    let bytes = std::fs::read(path).unwrap();
    for (at, write) in written.into_iter().enumerate().filter(|(_, write)| *write > 0) {
        let start = at * RECORD as usize;
        let found = bytes.get(start..start + RECORD as usize);
        let found = found.unwrap_or_else(|| panic!("seed {seed}: record {at} is cut off"));
        let generation = u64::from_le_bytes(found[..8].try_into().unwrap());
        assert!(
            found == record(at as u64, write),
            "seed {seed}: record {at} was synced as of write {write}, and has bytes of {generation}"
        );
    }
    syncs
}

/// Which record each write goes to: none twice until all were written, so that little of what a
/// `sync` acknowledged is overwritten right after it.
fn order(seed: u64) -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all: Vec<u64> = (0..RECORDS).collect();
    std::iter::repeat_with(move || {
        random.shuffle(&mut all);
        all.clone()
    })
    .flatten()
}

/// Not a test: the process that is killed.
#[test]
#[ignore = "started by the tests above"]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (seed, direct) = (number("REFOLIO_SEED", 0), !std::env::var(DIRECT).unwrap().is_empty());
    // Far too small for the file: pages are evicted and read in again all the time.
    let cache = Cache::builder()
        .node(NodeOptions::new(256 << 10))
        .node(NodeOptions::new(512 << 10))
        .writeback_interval(Duration::from_millis(3))
        .build()
        .unwrap();
    let file = match cache.open_with(&path, &OpenOptions::new().direct(direct)) {
        Ok(file) => file,
        Err(Error::Open(OpenError::NoDirect { .. })) => {
            println!("no O_DIRECT");
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        Err(error) => panic!("{error}"),
    };
    std::thread::scope(|threads| {
        threads.spawn(|| {
            loop {
                for node in [1, 0] {
                    file.migrate(0..u64::MAX, NodeId(node), &Migrate::new()).unwrap();
                }
            }
        });
        say("begun");
        let mut random = fastrand::Rng::with_seed(!seed);
        let mut next_sync = random.u64(BATCH / 8..BATCH);
        for (write, at) in (1..).zip(order(seed)) {
            file.write_at(&record(at, write), at * RECORD).unwrap();
            if write == next_sync {
                file.sync().unwrap();
                say(&format!("synced {write}."));
                next_sync = write + random.u64(BATCH / 8..BATCH);
            }
        }
    });
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}
