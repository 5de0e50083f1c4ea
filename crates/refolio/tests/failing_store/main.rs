//! A store that fails at every moment at which it can.
//!
//! One script (reads, writes, extensions, reclaim under pressure, holes, truncation, syncs) is
//! played once without failures, which counts the calls it makes of its store. Then it is played
//! again for every n: the n-th call fails, or all from the n-th on do, or move few bytes only. Each
//! time:
//!
//! - what an operation answers is true: a read gives bytes that the file can have, and an operation
//!   that failed has left the file as its documentation says ([`trial`]);
//! - what `sync` acknowledged is in the store then, and stays there;
//! - a page whose write failed is still dirty and has its new bytes, and the next `sync` after the
//!   store has recovered writes it;
//! - every failure of a write is told once by `sync`, and no failure is told twice;
//! - nothing leaks: no frame, no reference, no mark.

mod limit;
mod trial;

#[path = "../support/rest.rs"]
mod rest;

use std::sync::Arc;
use std::time::Duration;

use refolio::testing::{Call, DeferredStore, FailingStore};
use refolio::{Cache, Error, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, Store};

use trial::{Trial, cache, initial};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What is to fail, in one trial.
#[derive(Clone, Copy, Debug)]
struct Failure {
    call: Call,
    nth: u64,
    errno: i32,
    for_ever: bool,
}

/// Plays the script once.
fn play(failure: Failure, order: u32) -> Trial {
    let mut trial = Trial::new(order);
    let Failure { call, nth, errno, for_ever } = failure;
    match for_ever {
        true => trial.store.fail_from(&[call], nth, errno),
        false => trial.store.fail_nth(&[call], nth, errno),
    }
    trial.script();
    trial.store.heal();
    trial.finish();
    trial
}

/// How often the script makes each call.
fn calls(order: u32) -> Vec<(Call, u64)> {
    let mut trial = Trial::new(order);
    trial.script();
    let calls = Call::ALL.into_iter().filter(|call| *call != Call::Len);
    let calls = calls.map(|call| (call, trial.store.calls(call))).collect();
    trial.finish();
    assert_eq!((trial.failed, trial.failed_syncs), (0, 0));
    calls
}

fn every_failure(order: u32) {
    for (call, count) in calls(order) {
        assert!(count > 0, "the script never makes the call {call:?}");
        for (nth, errno, for_ever) in
            (1..=count).flat_map(|nth| [(nth, EIO, false), (nth, ENOSPC, false), (nth, EIO, true)])
        {
            let failure = Failure { call, nth, errno, for_ever };
            let played = std::panic::catch_unwind(|| play(failure, order));
            let trial = played.unwrap_or_else(|_| panic!("with order {order} and {failure:?}"));
            assert!(trial.failed > 0, "nobody was told of {failure:?}");
            if for_ever {
                continue;
            }
            match call {
                Call::Write | Call::Sync => assert_eq!(trial.failed_syncs, 1, "{failure:?}"),
                Call::Read => assert_eq!((trial.failed, trial.failed_syncs), (1, 0), "{failure:?}"),
                _ => assert_eq!(trial.failed, 1, "{failure:?}"),
            }
        }
        println!("order {order}: {call:?} failed at each of {count} calls, three ways");
    }
}

#[test]
fn every_call_fails_once_and_for_ever() {
    every_failure(0);
}

#[test]
fn every_call_fails_under_large_folios() {
    every_failure(2);
}

#[test]
fn short_transfers_are_no_errors() {
    for at_most in [1, 511, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE] {
        let mut trial = Trial::new(0);
        trial.store.shorten(&[Call::Read, Call::Write], at_most);
        trial.script();
        trial.finish();
        assert_eq!((trial.failed, trial.failed_syncs), (0, 0), "{at_most} bytes at a time");
    }
}

#[test]
fn a_store_that_ends_too_early_is_an_error_and_can_be_read_again() {
    let mut trial = Trial::new(0);
    trial.store.shorten(&[Call::Read], 0);
    let error = trial.file.read_at(&mut [0; 10], 0).unwrap_err();
    assert!(matches!(error, Error::Shrunk { offset: 0, .. }), "{error}");
    assert_eq!(trial.file.cached_pages(), 0, "half a page stayed");
    trial.store.heal();
    trial.read(0, 10 * PAGE_SIZE);
    // A store that takes nothing is full.
    trial.write(5, 100);
    trial.store.shorten(&[Call::Write], 0);
    let error = trial.file.sync().unwrap_err();
    assert!(error.to_string().contains("writing"), "{error}");
    trial.store.heal();
    trial.file.sync().unwrap();
    trial.finish();
}

#[test]
fn a_store_without_a_length_cannot_be_opened() {
    let store = FailingStore::new(MemStore::new());
    store.fail_nth(&[Call::Len], 1, EIO);
    let error = cache().open_store(store, &OpenOptions::new()).unwrap_err();
    assert!(matches!(error, Error::Io { doing: "opening", .. }), "{error}");
}

/// Many readers wait for one fill; it fails. One of them is told, and the others try themselves.
#[test]
fn who_waits_for_a_fill_that_fails_fills_the_page_himself() {
    let failing = Arc::new(FailingStore::new(MemStore::with_bytes(initial())));
    let store = Arc::new(DeferredStore::new(failing.clone()));
    let cache = cache();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    for round in 0..20 {
        let offset = round * PAGE_SIZE as u64;
        store.hold(&[Call::Read]);
        failing.fail_nth(&[Call::Read], 1, EIO);
        let failed: usize = std::thread::scope(|threads| {
            let read = || {
                let mut bytes = [0; 100];
                let result = file.read_at(&mut bytes, offset);
                assert!(result.is_err() || bytes == initial()[offset as usize..][..100]);
                usize::from(result.is_err())
            };
            let readers: Vec<_> = (0..4).map(|_| threads.spawn(read)).collect();
            store.wait_held(1);
            std::thread::sleep(Duration::from_millis(2));
            store.release_all();
            readers.into_iter().map(|reader| reader.join().unwrap()).sum()
        });
        assert_eq!(failed, 1);
    }
    file.sync().unwrap();
    rest::check(&cache, &[&file]);
    drop(file);
    rest::check_empty(&cache);
}

/// The last handle goes while the store fails: the pages stay until it works again.
#[test]
fn a_file_that_is_closed_in_vain_is_written_later() {
    let store = Arc::new(FailingStore::new(MemStore::with_bytes(initial())));
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node.clone()).node(node);
    let cache = cache.writeback_interval(Duration::from_millis(5)).build().unwrap();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    store.fail_from(&[Call::Write], 1, ENOSPC);
    file.write_at(b"not lost", 3 * PAGE_SIZE as u64).unwrap();
    let error = file.close().unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    let dirty = || cache.nodes().iter().map(|node| node.nr_dirty).sum::<u64>();
    assert_eq!(dirty(), 1, "the page must stay dirty");
    store.heal();
    rest::check_empty(&cache);
    assert_eq!(&store.inner().bytes()[3 * PAGE_SIZE..][..8], b"not lost");
}

/// A page that waits for its store is read meanwhile, and not written; nobody reads half of it.
#[test]
fn a_write_waits_for_a_writeback_that_fails() {
    let failing = Arc::new(FailingStore::new(MemStore::with_bytes(initial())));
    let store = Arc::new(DeferredStore::new(failing.clone()));
    let cache = cache();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    file.write_at(b"first", 0).unwrap();
    store.hold(&[Call::Write]);
    failing.fail_nth(&[Call::Write], 1, EIO);
    std::thread::scope(|threads| {
        let sync = threads.spawn(|| file.sync().is_err());
        store.wait_held(1);
        let write = threads.spawn(|| file.write_at(b"second", 0).unwrap());
        let mut bytes = [0; 5];
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"first");
        std::thread::sleep(Duration::from_millis(5));
        assert!(!write.is_finished(), "a page changed on its way to the store");
        store.release_all();
        assert!(sync.join().unwrap(), "the failure was not told");
        write.join().unwrap();
    });
    assert_eq!(&failing.inner().bytes()[..5], &initial()[..5]);
    file.sync().unwrap();
    assert_eq!(&failing.inner().bytes()[..6], b"second");
    assert_eq!(failing.len().unwrap(), initial().len() as u64);
}
