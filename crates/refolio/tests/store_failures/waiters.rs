//! Who waits for a store that fails.

use std::sync::Arc;
use std::time::Duration;

use refolio::testing::{Call, DeferredStore, FailingStore};
use refolio::{Cache, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, Store};

use crate::play::{cache, initial};
use crate::{EIO, ENOSPC, rest};

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
