//! What an embedder relies on, claim by claim.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use refolio::testing::{Call, DeferredStore, FailingStore};
use refolio::{
    Cache, EntryState, Error, Event, File, Form, HolderKind, MemStore, Migrate, Mode, NodeId,
    NodeOptions, OpenOptions, Outcome, Owner, PAGE_SIZE, PageIndex, Result, Sharing, Step, Vpn,
    Why,
};

fn cache() -> Cache {
    Cache::builder()
        .node(NodeOptions::new(1 << 20))
        .node(NodeOptions::new(1 << 20))
        .build()
        .unwrap()
}

/// A file of `pages` pages, each filled with its index.
fn file(cache: &Cache, pages: u64) -> File {
    let bytes = (0..pages as usize * PAGE_SIZE).map(|at| (at / PAGE_SIZE) as u8).collect();
    let file = cache.open_store(MemStore::with_bytes(bytes), &OpenOptions::new()).unwrap();
    file.load(0..pages).unwrap();
    file
}

fn first_byte(file: &File, page: u64) -> Result<u8> {
    let mut byte = [0];
    file.read_at(&mut byte, page * PAGE_SIZE as u64)?;
    Ok(byte[0])
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> Error {
    *result.unwrap_err()
}

#[test]
fn what_is_appended_in_odd_pieces_is_read_back_and_synced() {
    let cache = cache();
    let store = MemStore::new();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 4096) as u8).collect();
    for (i, chunk) in data.chunks(5000).enumerate() {
        file.write_at(chunk, i as u64 * 5000).unwrap();
    }
    let mut back = vec![0; data.len()];
    assert_eq!(file.read_at(&mut back, 0).unwrap(), data.len());
    assert!(back == data);
    file.sync().unwrap();
    assert!(store.bytes() == data);
    drop(file);
    for node in cache.nodes() {
        assert_eq!(node.nr_free_pages, node.frames, "the pages of a closed file are free");
    }
}

#[test]
fn pages_move_and_stay_the_same_in_each_form_of_the_check() {
    let cache = cache();
    let file = file(&cache, 98);
    let view = file.view(0..98, Sharing::Shared).unwrap();
    let mut byte = [0];
    view.read(&mut byte, 2 * PAGE_SIZE as u64).unwrap();
    for form in Form::ALL {
        for to in [NodeId(1), NodeId(0)] {
            let report = file.migrate(0..98, to, &Migrate::new().form(form)).unwrap();
            assert_eq!(report.counts().moved, 98, "{form:?}");
            assert_eq!(view.node_of(Vpn(2)), Some(to), "the entry names the page where it is");
            assert!((0..98).all(|page| first_byte(&file, page).unwrap() == page as u8));
        }
    }
}

#[test]
fn a_thread_that_writes_what_it_has_pinned_is_told_which_pin() {
    let cache = cache();
    let file = file(&cache, 2);
    let _pin = file.page(PageIndex(1)).unwrap();
    for error in [
        file.write_at(&[1], PAGE_SIZE as u64).unwrap_err(),
        file.page_mut(PageIndex(1)).unwrap_err(),
    ] {
        let Error::Held { holders } = &*error else { panic!("{error}") };
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].kind, HolderKind::Pin);
        assert!(error.to_string().contains("tests/api.rs"), "{error}");
    }
    file.write_at(&[1], 0).expect("another page is free to be written");
}

#[test]
fn a_thread_with_a_write_guard_gets_errors_where_it_would_wait_for_itself() {
    let cache = cache();
    let file = file(&cache, 3);
    let mut guard = file.page_mut(PageIndex(0)).unwrap();
    guard.write(10, b"mine");
    assert!(matches!(refusal(first_byte(&file, 0)), Error::GuardHeld { .. }));
    assert!(matches!(refusal(file.page(PageIndex(0))), Error::GuardHeld { .. }));
    assert!(matches!(refusal(file.page_mut(PageIndex(0))), Error::GuardHeld { .. }));
    assert!(matches!(refusal(file.sync()), Error::GuardHeld { .. }));
    assert!(matches!(refusal(file.set_len(1)), Error::GuardHeld { .. }));
    assert!(matches!(refusal(cache.drain(NodeId(0), &Migrate::new())), Error::GuardHeld { .. }));
    assert_eq!(first_byte(&file, 1).unwrap(), 1, "other pages can be read");
    let mut second = file.page_mut(PageIndex(2)).expect("and written");
    second.write(0, b"also mine");
    drop((guard, second));
    let mut bytes = [0; 4];
    file.read_at(&mut bytes, 10).unwrap();
    assert_eq!(&bytes, b"mine");
}

#[test]
fn handles_to_one_file_share_its_pages() {
    let cache = cache();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shared");
    std::fs::write(&path, b"on the disk").unwrap();
    std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
    let reader = cache.open_with(&path, &OpenOptions::new().read_only(true)).unwrap();
    let writer = cache.open(dir.path().join("link")).unwrap();
    assert_eq!(reader.number(), writer.number());
    writer.write_at(b"in", 0).unwrap();
    let mut bytes = [0; 11];
    reader.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"in the disk");
    assert!(matches!(refusal(reader.write_at(b"x", 0)), Error::ReadOnly { .. }));
    writer.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"in the disk");
}

#[test]
fn a_patient_migration_is_woken_by_the_last_pin() {
    let cache = cache();
    let file = &file(&cache, 1);
    std::thread::scope(|threads| {
        let (pinned, is_pinned) = std::sync::mpsc::channel();
        threads.spawn(move || {
            let first = file.page(PageIndex(0)).unwrap();
            let second = file.page(PageIndex(0)).unwrap();
            pinned.send(()).unwrap();
            drop(first);
            std::thread::sleep(Duration::from_millis(50));
            drop(second);
        });
        is_pinned.recv().unwrap();
        let patient = Migrate::new().mode(Mode::Until(Instant::now() + Duration::from_secs(60)));
        let report = file.migrate(0..1, NodeId(1), &patient).unwrap();
        assert_eq!(report.counts().moved, 1);
        assert!(report.elapsed < Duration::from_secs(30), "woken by the pin, not by the deadline");
    });
}

#[test]
fn a_dry_run_answers_as_the_migration_and_moves_nothing() {
    let cache = cache();
    let file = file(&cache, 4);
    let pin = file.page(PageIndex(2)).unwrap();
    let dry = file.would_move(0..4, NodeId(1)).unwrap();
    assert_eq!(file.node_of(PageIndex(0)), Some(NodeId(0)));
    let real = file.migrate(0..4, NodeId(1), &Migrate::new()).unwrap();
    for (dry, real) in dry.outcomes.iter().zip(&real.outcomes) {
        match (&dry.outcome, &real.outcome) {
            (Outcome::WouldMove, Outcome::Moved { .. }) => {}
            (Outcome::Busy { holders: dry }, Outcome::Busy { holders: real }) => {
                assert_eq!(dry[0].location, real[0].location);
            }
            other => panic!("{other:?}"),
        }
    }
    drop(pin);
    assert_eq!(file.would_move(0..1, NodeId(1)).unwrap().outcomes[0].outcome, Outcome::Here);
}

#[test]
fn a_report_is_of_the_cached_pages_of_the_range_in_their_order_and_of_nothing_else() {
    let cache = cache();
    let file = file(&cache, 200);
    (0..200).for_each(|page| _ = first_byte(&file, page).unwrap());
    // What was evicted leaves its shadow in the slot, which is not a page.
    assert_eq!(file.evict(3..5).unwrap(), 2);
    let report = file.migrate(2..130, NodeId(1), &Migrate::new()).unwrap();
    let pages = report.outcomes.iter().map(|page| match page.owner {
        Owner::File { index, .. } => index.0,
        ref other => panic!("a file's page is {other:?}'s"),
    });
    assert!(pages.eq((2..3).chain(5..130)));
    assert_eq!(report.counts().moved, 126);
    assert_eq!(file.migrate(500..u64::MAX, NodeId(1), &Migrate::new()).unwrap().outcomes, []);
}

#[test]
fn a_pinned_page_is_not_even_copied() {
    let cache = cache();
    let file = file(&cache, 1);
    let steps = RefCell::new(Vec::new());
    let watcher = |event: &Event| steps.borrow_mut().push(event.step);
    let how = Migrate::new().mode(Mode::Async).watch(&watcher);
    let pin = file.page(PageIndex(0)).unwrap();
    let report = file.migrate(0..1, NodeId(1), &how).unwrap();
    assert!(matches!(report.outcomes[0].outcome, Outcome::Busy { .. }), "{report:?}");
    assert!(steps.borrow().contains(&Step::Unmap) && !steps.borrow().contains(&Step::Copy));
    assert_eq!(pin.node(), NodeId(0));
}

#[test]
fn who_watches_hears_of_a_page_that_somebody_else_is_moving() {
    let cache = cache();
    let file = file(&cache, 1);
    let heard = RefCell::new(Vec::new());
    let other = |event: &Event| heard.borrow_mut().push((event.step, event.what.clone()));
    let watcher = |event: &Event| {
        if event.step == Step::Isolate {
            let at_once = Migrate::new().mode(Mode::Async).watch(&other);
            let report = file.migrate(0..1, NodeId(1), &at_once).unwrap();
            assert_eq!(report.outcomes[0].outcome, Outcome::Again(Why::Isolated));
        }
    };
    file.migrate(0..1, NodeId(1), &Migrate::new().watch(&watcher)).unwrap();
    let heard = heard.borrow();
    assert!(heard.iter().all(|(step, what)| *step == Step::Undo && what.contains("another mover")));
    assert!(!heard.is_empty());
}

#[test]
fn large_folios_move_to_a_node_that_has_room_for_them_and_no_more() {
    // 15 folios of 16 pages, and as many frames.
    let nodes = [NodeOptions::new(1 << 20), NodeOptions::new(15 * 16 * PAGE_SIZE as u64)];
    let builder = nodes.into_iter().fold(Cache::builder(), |builder, node| builder.node(node));
    let cache = builder.background(false).build().unwrap();
    let store = MemStore::with_bytes(vec![7; 15 * 16 * PAGE_SIZE]);
    let file = cache.open_store(store, &OpenOptions::new().order(4)).unwrap();
    file.load(0..15 * 16).unwrap();
    let at_once = Migrate::new().mode(Mode::Async);
    let report = file.migrate(0..15 * 16, NodeId(1), &at_once).unwrap();
    assert!(report.outcomes.iter().all(|page| page.order == 4), "{report:?}");
    assert_eq!((report.outcomes.len(), report.counts().moved), (15, 15 * 16));
}

#[test]
fn who_watches_a_batch_may_use_its_file_meanwhile() {
    let cache = cache();
    let store = MemStore::with_bytes(vec![7; (8 + 64) * PAGE_SIZE]);
    let file = cache.open_store(store, &OpenOptions::new()).unwrap();
    file.load(0..8).unwrap();
    let read = Cell::new(0);
    let watcher = |_: &Event| {
        // A page that is not cached: it takes its slot while others are being moved.
        let mut byte = [0];
        file.read_at(&mut byte, (8 + read.get()) * PAGE_SIZE as u64).unwrap();
        read.set(read.get() + 1);
    };
    let report = file.migrate(0..8, NodeId(1), &Migrate::new().watch(&watcher)).unwrap();
    assert_eq!((report.counts().moved, read.get()), (8, 8 * Step::ALL.len() as u64));
}

#[test]
fn who_watches_is_told_how_long_each_page_was_frozen_file_or_not() {
    let cache = cache();
    let store = MemStore::with_bytes(vec![7; 4 * PAGE_SIZE]);
    let file = cache.open_store(store, &OpenOptions::new()).unwrap();
    file.load(0..4).unwrap();
    let view = cache.anonymous(4, 0).unwrap();
    (0..4).for_each(|page| view.write(&[7], page * PAGE_SIZE as u64).unwrap());
    let frozen = RefCell::new(Vec::new());
    let watcher = |event: &Event| {
        assert_eq!(event.frozen.is_some(), event.step == Step::Switch, "{event:?}");
        frozen.borrow_mut().extend(event.frozen);
    };
    let start = Instant::now();
    let how = Migrate::new().watch(&watcher);
    assert_eq!(file.migrate(0..4, NodeId(1), &how).unwrap().counts().moved, 4);
    assert_eq!(view.migrate(0..4, NodeId(1), &how).unwrap().counts().moved, 4);
    assert_eq!(frozen.borrow().len(), 8);
    assert!(frozen.borrow().iter().sum::<Duration>() < start.elapsed());
}

#[test]
fn a_page_on_its_way_to_the_store_moves_when_it_is_there() {
    let store = Arc::new(DeferredStore::new(MemStore::with_bytes(vec![0; PAGE_SIZE])));
    let node = NodeOptions::new(1 << 20);
    let cache = Cache::builder().node(node.clone()).node(node).background(false).build().unwrap();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    file.write_at(b"new", 0).unwrap();
    store.hold(&[Call::Write]);
    std::thread::scope(|threads| {
        let sync = threads.spawn(|| file.sync().unwrap());
        store.wait_held(1);
        let moved = |mode| {
            let report = file.migrate(0..1, NodeId(1), &Migrate::new().mode(mode)).unwrap();
            report.outcomes[0].outcome.clone()
        };
        assert_eq!(moved(Mode::Async), Outcome::Again(Why::Writeback));
        assert_eq!(file.node_of(PageIndex(0)), Some(NodeId(0)));
        // (The thread that wrote it back holds it for a moment longer.)
        let until = Mode::Until(Instant::now() + Duration::from_secs(60));
        let patient = threads.spawn(move || moved(until));
        std::thread::sleep(Duration::from_millis(5));
        assert!(!patient.is_finished(), "it did not wait for the writeback");
        store.release_all();
        assert!(matches!(patient.join().unwrap(), Outcome::Moved { .. }));
        sync.join().unwrap();
    });
    assert_eq!(&store.inner().bytes()[..3], b"new");
}

#[test]
fn the_embedders_word_travels_with_the_page() {
    let cache = cache();
    let file = file(&cache, 2);
    file.page_mut(PageIndex(1)).unwrap().set_private(Some(42));
    let free = || cache.nodes()[0].nr_free_pages;
    let before = free();
    let report = file.migrate(0..2, NodeId(1), &Migrate::new()).unwrap();
    assert_eq!(report.counts().moved, 2);
    assert_eq!(free(), before + 2, "nothing is left behind");
    assert_eq!(file.page(PageIndex(1)).unwrap().private(), Some(42));
    assert_eq!(file.page(PageIndex(0)).unwrap().private(), None);
    file.page_mut(PageIndex(1)).unwrap().set_private(None);
    assert_eq!(file.page(PageIndex(1)).unwrap().private(), None);
    // Its reference has gone with it: nothing keeps the page.
    let report = file.migrate(0..2, NodeId(0), &Migrate::new().mode(Mode::Async)).unwrap();
    assert_eq!(report.counts().moved, 2);
}

#[test]
fn a_poisoned_page_is_neither_read_nor_moved_until_it_is_overwritten() {
    let cache = cache();
    let file = file(&cache, 2);
    file.page_mut(PageIndex(1)).unwrap().poison();
    assert!(matches!(refusal(first_byte(&file, 1)), Error::Poisoned { index: PageIndex(1) }));
    let report = file.migrate(0..2, NodeId(1), &Migrate::new()).unwrap();
    assert_eq!(report.outcomes[1].outcome, Outcome::Poisoned);
    assert_eq!(file.load(0..2).unwrap(), 0, "it is cached, and nobody fills it");
    file.write_at(&[9; PAGE_SIZE], PAGE_SIZE as u64).unwrap();
    assert_eq!(first_byte(&file, 1).unwrap(), 9);
}

#[test]
fn a_private_view_keeps_its_writes_to_itself() {
    let cache = cache();
    let file = file(&cache, 2);
    let (private, shared) =
        (file.view(0..2, Sharing::Private).unwrap(), file.view(0..2, Sharing::Shared).unwrap());
    private.write(b"mine", 0).unwrap();
    shared.write(b"ours", PAGE_SIZE as u64).unwrap();
    cache.migrate(NodeId(0), NodeId(1), &Migrate::new()).unwrap();
    let mut bytes = [0; 4];
    private.read(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"mine");
    private.read(&mut bytes, PAGE_SIZE as u64).unwrap();
    assert_eq!(&bytes, b"ours");
    assert_eq!(first_byte(&file, 0).unwrap(), 0);
    assert!(matches!(private.entry(Vpn(0)), EntryState::Present { writable: true, .. }));
    assert!(matches!(private.entry(Vpn(1)), EntryState::Present { writable: false, .. }));
}

#[test]
fn a_drain_names_who_holds_what_stays_even_an_orphan() {
    let cache = cache();
    let file = file(&cache, 5);
    let pin = file.page(PageIndex(3)).unwrap();
    let orphan = file.page(PageIndex(4)).unwrap();
    file.set_len(4 * PAGE_SIZE as u64).unwrap();
    let report = cache.drain(NodeId(0), &Migrate::new()).unwrap();
    assert_eq!(report.counts().moved, 3);
    let left: Vec<_> = report.left().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|page| page.owner == Owner::Orphan));
    for page in left {
        assert!(page.outcome.to_string().contains("tests/api.rs"), "{}", page.outcome);
    }
    assert_eq!(&orphan[..], &[4; PAGE_SIZE]);
    drop((pin, orphan));
    let report = cache.drain(NodeId(0), &Migrate::new()).unwrap();
    assert_eq!(report.left().count(), 0);
    let node = &cache.nodes()[0];
    assert_eq!(node.nr_free_pages, node.frames);
    let error = cache.drain(NodeId(1), &Migrate::new()).unwrap_err();
    assert!(error.to_string().contains("the last one in use"), "{error}");
    cache.undrain(NodeId(0)).unwrap();
}

/// The word counts some 2^20 references; the next one is refused, and nothing is broken by that.
#[test]
fn more_pins_than_can_be_counted_are_refused() {
    let node = NodeOptions::new(1 << 20);
    let cache = Cache::builder().node(node.clone()).node(node).name_holders(false);
    let cache = cache.background(false).build().unwrap();
    let file = file(&cache, 1);
    let view = file.view(0..1, Sharing::Shared).unwrap();
    view.read(&mut [0], 0).unwrap();
    let mut pins = Vec::new();
    let refused = loop {
        match file.page(PageIndex(0)) {
            Ok(pin) => pins.push(pin),
            Err(error) => break error,
        }
    };
    assert!(matches!(*refused, Error::TooManyReferences), "{refused}");
    assert!(pins.len() > 1_000_000, "{} pins", pins.len());
    assert!(matches!(refusal(view.pin(Vpn(0))), Error::TooManyReferences));
    // A read takes no reference.
    assert_eq!(first_byte(&file, 0).unwrap(), 0);
    pins.truncate(1);
    assert_eq!(&pins[0][..2], [0, 0]);
    drop(pins);
    file.write_at(&[7], 0).unwrap();
    view.read(&mut [0], 0).unwrap();
    assert_eq!(file.evict(0..1).unwrap(), 1);
}

#[test]
fn nonsense_is_refused_with_a_word_of_advice() {
    let one = Cache::builder().node(NodeOptions::new(1 << 20)).build().unwrap_err();
    assert!(one.to_string().contains("2 to 255 nodes"), "{one}");
    let small = Cache::builder().node(NodeOptions::new(1)).node(NodeOptions::new(1)).build();
    assert!(small.unwrap_err().to_string().contains("too small"));
    let huge = NodeOptions::new(u64::MAX);
    assert!(Cache::builder().node(huge.clone()).node(huge).build().is_err());
    let large = NodeOptions::new(8 << 40);
    assert!(Cache::builder().node(large.clone()).node(large).build().is_err());

    let cache = cache();
    let order = cache.open_store(MemStore::new(), &OpenOptions::new().order(10)).unwrap_err();
    assert!(order.to_string().contains("up to order 9"), "{order}");
    let missing = cache.open("/nowhere/at/all").unwrap_err();
    assert!(missing.to_string().contains("/nowhere/at/all"), "{missing}");
    assert!(cache.open("/dev/null").unwrap_err().to_string().contains("regular file"));
    assert!(cache.open("/").unwrap_err().to_string().contains("regular file"));
    let file = file(&cache, 2);
    assert!(matches!(refusal(file.page(PageIndex(2))), Error::OutOfRange { pages: 2, .. }));
    assert!(matches!(refusal(file.page(PageIndex(u64::MAX))), Error::OutOfRange { .. }));
    assert!(matches!(refusal(file.write_at(&[1], u64::MAX)), Error::Invalid(_)));
    assert!(matches!(refusal(file.set_len(u64::MAX)), Error::Invalid(_)));
    assert!(matches!(refusal(file.migrate(0..2, NodeId(7), &Migrate::new())), Error::Node { .. }));
    assert_eq!(file.read_at(&mut [0; 8], u64::MAX).unwrap(), 0);
    file.punch_hole(u64::MAX, u64::MAX).unwrap();
    assert!(file.view(5..5, Sharing::Shared).is_err());
    assert!(file.view(0..u64::MAX, Sharing::Shared).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "that is the nonsense")]
    let reversed = file.migrate(9..3, NodeId(1), &Migrate::new()).unwrap();
    assert!(reversed.outcomes.is_empty());
    assert!(cache.anonymous(0, 0).is_err());
    assert!(cache.anonymous(u64::MAX, 0).is_err());
    assert!(cache.anonymous(1, 10).is_err());
    let view = cache.anonymous(1, 9).unwrap();
    assert!(matches!(refusal(view.write(&[1; 2], PAGE_SIZE as u64 - 1)), Error::OutOfRange { .. }));
    assert!(matches!(refusal(view.read(&mut [0; 2], u64::MAX)), Error::OutOfRange { .. }));
    assert!(matches!(refusal(view.pin(Vpn(u64::MAX))), Error::OutOfRange { .. }));
    view.discard(5..u64::MAX).unwrap();
}

#[test]
fn a_large_folio_that_is_written_whole_is_not_read_in_first() {
    const FOLIO: usize = PAGE_SIZE << 2;
    let cache = cache();
    let store = Arc::new(FailingStore::new(MemStore::with_bytes(vec![1; 4 * FOLIO])));
    let file = cache.open_store(store.clone(), &OpenOptions::new().order(2)).unwrap();
    // Two whole ones of those that are there, and two that make the file longer.
    file.write_at(&vec![2; 2 * FOLIO], FOLIO as u64).unwrap();
    file.write_at(&vec![3; 2 * FOLIO], 4 * FOLIO as u64).unwrap();
    assert_eq!((store.calls(Call::Read), file.cached_pages()), (0, 16));
    let report = cache.migrate(NodeId(0), NodeId(1), &Migrate::new()).unwrap();
    assert!(report.outcomes.iter().all(|page| page.order == 2), "{report:?}");
    // A part of one is.
    file.write_at(&vec![4; FOLIO - 1], 0).unwrap();
    assert_eq!((store.calls(Call::Read), file.cached_pages()), (1, 20));
    file.sync().unwrap();
    file.evict(0..u64::MAX).unwrap();
    assert_eq!(file.len(), 6 * FOLIO as u64);
    let mut all = vec![0; 6 * FOLIO];
    file.read_at(&mut all, 0).unwrap();
    let value = |at: usize| match at / FOLIO {
        0 if at == FOLIO - 1 => 1,
        0 => 4,
        folio => [2, 2, 1, 3, 3][folio - 1],
    };
    assert!(all.iter().enumerate().all(|(at, byte)| *byte == value(at)));
}
