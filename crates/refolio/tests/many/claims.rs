//! What `read_many`, large reads and `load` claim.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use refolio::testing::{Call, FailingStore};
use refolio::{Error, File, MemStore, OpenOptions, PAGE_SIZE, PageIndex, ReadAt};

use crate::stores::{Does, Handful};
use crate::{bytes, cache, open};

const PAGE: u64 = PAGE_SIZE as u64;
const EIO: i32 = 5;

/// Reads of 100 bytes around the starts of these pages.
fn read_around(file: &File, pages: &[u64], found: &mut [[u8; 100]]) -> refolio::Result<Vec<usize>> {
    let mut reads: Vec<_> = pages
        .iter()
        .zip(found)
        .map(|(page, into)| ReadAt::new((page * PAGE).saturating_sub(50), into))
        .collect();
    let result = file.read_many(&mut reads);
    let done = reads.iter().map(ReadAt::done).collect();
    result.map(|()| done)
}

#[test]
fn reads_of_one_call_are_in_the_stores_hand_together() {
    for order in [0, 2] {
        let all = bytes(40, 10);
        let store = Arc::new(Handful::new(all.clone(), Does::Answer));
        let (cache, file) = open(store.clone(), order);
        let pages = [31, 3, 40, 17, 3, 24, 9, 41];
        let mut found = [[0xEE; 100]; 8];
        let done = read_around(&file, &pages, &mut found).unwrap();
        for ((page, found), done) in pages.iter().zip(&found).zip(&done) {
            let start = (page * PAGE - 50) as usize;
            let there = all.len().saturating_sub(start).min(100);
            assert_eq!(*done, there, "bytes around page {page}");
            assert_eq!(found[..there], all[start.min(all.len())..][..there]);
            assert!(found[there..].iter().all(|byte| *byte == 0xEE), "bytes behind the end");
        }
        // Each is of two pages, or ends with the file: all were missed, and none was read twice.
        assert_eq!(store.alone.load(Relaxed), 0, "reads by themselves");
        let most = store.most.load(Relaxed);
        assert!(most >= if order == 0 { 11 } else { 5 }, "{most} at a time");
        assert_eq!(cache.stats().pgmajfault, file.cached_pages());
    }
}

#[test]
fn a_large_read_and_a_load_are_one_batch_each() {
    let all = bytes(60, 5);
    let store = Arc::new(Handful::new(all.clone(), Does::Answer));
    let (_cache, file) = open(store.clone(), 0);
    let mut found = vec![0; 30 * PAGE_SIZE];
    assert_eq!(file.read_at(&mut found, 77).unwrap(), found.len());
    assert!(found == all[77..][..found.len()]);
    assert_eq!(store.most.swap(0, Relaxed), 31);
    assert_eq!(file.load(20..100).unwrap(), 61 - 31);
    assert_eq!((store.most.load(Relaxed), store.alone.load(Relaxed)), (30, 0));
    assert_eq!(file.cached_pages(), 61);
}

#[test]
fn what_a_store_does_not_answer_in_full_is_read_by_itself() {
    for does in [Does::AnswerSome, Does::AnswerShort, Does::Interrupted, Does::Nothing] {
        for order in [0, 2] {
            let all = bytes(33, 77);
            let store = Arc::new(Handful::new(all.clone(), does));
            let (_cache, file) = open(store.clone(), order);
            let mut found = vec![0; all.len() + 9];
            assert_eq!(file.read_at(&mut found, 0).unwrap(), all.len(), "{does:?}");
            assert!(found[..all.len()] == all, "{does:?}");
            assert!(store.alone.load(Relaxed) > 0, "{does:?}: nothing was left over");
        }
    }
}

#[test]
fn a_file_larger_than_the_nodes_is_read_in_one_call() {
    let all = bytes(500, 1);
    let cache = cache(64);
    let store = Arc::new(Handful::new(all.clone(), Does::Answer));
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    let mut found = vec![0; all.len()];
    assert_eq!(file.read_at(&mut found, 0).unwrap(), all.len());
    assert!(found == all);
    let most = store.most.load(Relaxed);
    assert!((1..=16).contains(&most), "{most} of 128 frames were in hand at a time");
}

/// The n-th read of the store fails, for each n: the read that wants that page says so, and the
/// others have their bytes.
#[test]
fn a_read_that_fails_is_the_failure_of_those_who_want_its_page() {
    const PAGES: u64 = 12;
    let all = bytes(PAGES as usize, 0);
    for order in [0, 1] {
        let folio = 1 << order;
        for nth in 1..=PAGES / folio {
            let store = Arc::new(FailingStore::new(MemStore::with_bytes(all.clone())));
            let (_cache, file) = open(store.clone(), order);
            store.fail_nth(&[Call::Read], nth, EIO);
            let mut found = vec![vec![0; PAGE_SIZE]; PAGES as usize];
            let mut reads: Vec<_> = (0..PAGES)
                .zip(&mut found)
                .map(|(page, into)| ReadAt::new(page * PAGE, into))
                .collect();
            let error = file.read_many(&mut reads).unwrap_err();
            assert!(
                matches!(&*error, Error::Io { source, .. } if source.raw_os_error() == Some(EIO)),
                "{error}"
            );
            // Of the folio that failed one read is told; whoever else wanted it has tried again.
            let empty: Vec<u64> =
                (0..PAGES).filter(|page| reads[*page as usize].done() == 0).collect();
            assert_eq!(empty, [(nth - 1) * folio]);
            drop(reads);
            for (page, found) in (0..PAGES).zip(&found).filter(|(page, _)| !empty.contains(page)) {
                assert!(found[..] == all[(page * PAGE) as usize..][..PAGE_SIZE], "page {page}");
            }
            // It works when it is done again.
            let mut again = vec![0; all.len()];
            assert_eq!(file.read_at(&mut again, 0).unwrap(), all.len());
            assert!(again == all);
        }
    }
}

#[test]
fn a_large_read_has_the_bytes_before_the_page_that_failed_and_says_why() {
    for nth in 1..=8 {
        let store = Arc::new(FailingStore::new(MemStore::with_bytes(bytes(8, 0))));
        let (_cache, file) = open(store.clone(), 0);
        store.fail_nth(&[Call::Read], nth, EIO);
        let mut found = vec![0; 8 * PAGE_SIZE];
        let mut reads = [ReadAt::new(0, &mut found)];
        let error = file.read_many(&mut reads).unwrap_err();
        assert!(matches!(*error, Error::Io { .. }), "{error}");
        assert_eq!(reads[0].done(), (nth as usize - 1) * PAGE_SIZE);
        assert_eq!(file.cached_pages(), 7, "the others are cached");
        assert!(file.page(PageIndex(nth - 1)).is_ok(), "it works when it is done again");
    }
}

#[test]
fn a_store_that_ends_too_early_is_said_to_have_shrunk() {
    let store = Arc::new(FailingStore::new(MemStore::with_bytes(bytes(8, 0))));
    let (_cache, file) = open(store.clone(), 0);
    store.shorten_nth(&[Call::Read], 3, 0);
    let error = file.read_at(&mut vec![0; 8 * PAGE_SIZE], 0).unwrap_err();
    assert!(matches!(*error, Error::Shrunk { offset: 8192, .. }), "{error}");
}

#[test]
fn a_store_that_panics_with_reads_in_hand_leaves_nothing_behind() {
    let all = bytes(20, 0);
    let (cache, file) = open(Handful::new(all.clone(), Does::Panic), 0);
    let panics = std::panic::AssertUnwindSafe(|| file.load(0..20));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(file.cached_pages(), 0);
    assert!(cache.nodes().iter().all(|node| node.nr_file_pages == 0));
    // By itself each page can be read.
    let mut found = [0; 8];
    file.read_at(&mut found, 5 * PAGE).unwrap();
    assert_eq!(found, all[5 * PAGE_SIZE..][..8]);
}

#[test]
fn no_reads_and_empty_ones_are_none() {
    let (_cache, file) = open(MemStore::with_bytes(bytes(2, 0)), 0);
    file.read_many(&mut []).unwrap();
    let mut reads = [ReadAt::new(u64::MAX, &mut []), ReadAt::new(0, &mut [])];
    file.read_many(&mut reads).unwrap();
    assert!(reads.iter().all(|read| read.done() == 0));
    let mut far = [0; 4];
    let mut reads = [ReadAt::new(u64::MAX - 1, &mut far)];
    file.read_many(&mut reads).unwrap();
    assert_eq!((reads[0].done(), file.cached_pages()), (0, 0));
}
