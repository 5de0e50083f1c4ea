//! What is said of those who hold a page, and what asking for a page ahead may not change.

use std::panic::Location;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::sleep;
use std::time::{Duration, Instant};

use refolio::{
    Cache, File, Holder, HolderKind, MemStore, Migrate, NodeId, NodeOptions, OpenOptions, Outcome,
    PAGE_SIZE, Page, PageIndex, PageMut,
};

const PAGES: u64 = 64;

fn file(background: bool) -> File {
    cached(background).1
}

fn cached(background: bool) -> (Cache, File) {
    let node = || NodeOptions::new(1 << 20);
    let cache = Cache::builder().node(node()).node(node()).background(background).build().unwrap();
    let bytes = (0..PAGES as usize * PAGE_SIZE).map(|at| (at / PAGE_SIZE) as u8).collect();
    let file = cache.open_store(MemStore::with_bytes(bytes), &OpenOptions::new()).unwrap();
    file.load(0..PAGES).unwrap();
    (cache, file)
}

/// Runs what would wait for itself for ever if it were wrong.
fn without_waiting(act: impl FnOnce() + Send + 'static) {
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        act();
        let _ = done.send(());
    });
    let late = is_done.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout);
    assert!(!late, "it waits for a page that it holds itself");
    thread.join().unwrap();
}

/// Who stands in the way of a move of the page.
fn holders(file: &File, index: u64) -> Vec<Holder> {
    let elsewhere = NodeId((file.node_of(PageIndex(index)) == Some(NodeId(0))).into());
    let report = file.would_move(index..index + 1, elsewhere).unwrap();
    match &report.outcomes[0].outcome {
        Outcome::Busy { holders } => holders.clone(),
        Outcome::WouldMove => Vec::new(),
        other => panic!("{other}"),
    }
}

/// The kind and the line of each.
fn lines(file: &File, index: u64) -> Vec<(HolderKind, u32)> {
    let line = |holder: &Holder| (holder.kind, holder.location.map_or(0, Location::line));
    holders(file, index).iter().map(line).collect()
}

#[track_caller]
fn pin(file: &File, index: u64) -> (Page<'_>, (HolderKind, u32)) {
    (file.page(PageIndex(index)).unwrap(), (HolderKind::Pin, Location::caller().line()))
}

/// A page in the hands of one or the other, at the place of the caller.
enum Hold<'f> {
    Pin(#[allow(dead_code)] Page<'f>),
    Guard(#[allow(dead_code)] PageMut<'f>),
}

#[track_caller]
fn hold(file: &File, index: u64, guard: bool) -> Hold<'_> {
    if guard {
        return Hold::Guard(file.page_mut(PageIndex(index)).unwrap());
    }
    Hold::Pin(file.page(PageIndex(index)).unwrap())
}

#[test]
fn each_pin_is_named_by_its_own_place_one_after_the_other_and_nested() {
    let file = file(true);
    for _ in 0..3 {
        let (first, here) = pin(&file, 1);
        assert_eq!(lines(&file, 1), [here]);
        let (second, there) = pin(&file, 2);
        assert_ne!(here, there);
        assert_eq!((lines(&file, 1), lines(&file, 2)), (vec![here], vec![there]));
        drop(first);
        assert_eq!((lines(&file, 1), lines(&file, 2)), (vec![], vec![there]));
        let (_third, elsewhere) = pin(&file, 1);
        assert_eq!((lines(&file, 1), lines(&file, 2)), (vec![elsewhere], vec![there]));
        drop(second);
    }
    assert_eq!((lines(&file, 1), lines(&file, 2)), (vec![], vec![]));
}

#[test]
fn a_guard_at_the_place_of_a_pin_is_a_guard_and_the_other_way_round() {
    without_waiting(|| {
        let file = file(true);
        for turn in 0..6 {
            let held = hold(&file, 3, turn % 2 == 1);
            let refused = file.write_at(b"x", 3 * PAGE_SIZE as u64).unwrap_err().to_string();
            let word = match held {
                Hold::Pin(_) => "a pin taken at",
                Hold::Guard(_) => "a write guard taken at",
            };
            assert!(refused.contains(word), "{refused}");
        }
    });
}

#[test]
fn holds_beyond_the_records_of_a_thread_are_counted() {
    without_waiting(|| {
        let file = file(true);
        let mut pins: Vec<_> = (0..40).map(|index| file.page(PageIndex(index)).unwrap()).collect();
        assert!((0..40).all(|index| holders(&file, index).len() == 1), "all are held");
        // The first ones are those on record.
        let last = pins.split_off(30);
        drop(pins);
        assert!((0..30).all(|index| holders(&file, index).is_empty()));
        for index in 30..40 {
            assert_eq!(holders(&file, index)[0].kind, HolderKind::Unnamed);
            file.write_at(b"x", index * PAGE_SIZE as u64).unwrap_err();
        }
        drop(last);
        assert!((0..40).all(|index| holders(&file, index).is_empty()));
        file.write_at(b"x", 39 * PAGE_SIZE as u64).unwrap();
    });
}

#[test]
fn a_thread_does_not_inherit_the_place_of_the_one_whose_records_it_gets() {
    let file = file(true);
    for _ in 0..3 {
        let one = std::thread::scope(|scope| scope.spawn(|| pin(&file, 5).1).join().unwrap());
        let (said, other) = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let (_page, other) = pin(&file, 5);
                (lines(&file, 5), other)
            });
            thread.join().unwrap()
        });
        assert_ne!(one, other);
        assert_eq!(said, [other]);
    }
}

/// The clock is behind the time by a tick at most when it is late, and never ahead of it.
#[test]
fn a_hold_is_never_said_to_be_younger_than_it_is() {
    for background in [true, false] {
        let file = file(background);
        for _ in 0..3 {
            let begun = Instant::now();
            let page = file.page(PageIndex(0)).unwrap();
            sleep(Duration::from_millis(60));
            let held_for = holders(&file, 0)[0].held_for.unwrap();
            assert!(held_for >= Duration::from_millis(40), "{held_for:?}");
            // An hour: the unit is right, however busy the machine is.
            assert!(held_for < begun.elapsed() + Duration::from_secs(3600), "{held_for:?}");
            drop(page);
        }
    }
}

#[test]
fn asking_ahead_changes_nothing_whatever_is_asked_for() {
    let file = file(false);
    file.evict(32..PAGES).unwrap();
    let cached = file.cached_pages();
    for offset in [0, 4095, 31 << 12, 40 << 12, PAGES << 12, 1 << 62, u64::MAX - 1, u64::MAX] {
        file.prefetch(offset);
    }
    assert_eq!(file.cached_pages(), cached, "pages that are not cached are not read in");
    assert!((0..32).all(|index| holders(&file, index).is_empty()), "nobody is held");
    let mut byte = [0];
    for index in 0..PAGES {
        file.prefetch((index + 4) * PAGE_SIZE as u64);
        file.read_at(&mut byte, index * PAGE_SIZE as u64).unwrap();
        assert_eq!(byte, [index as u8]);
    }
    file.set_len(10).unwrap();
    file.prefetch(1 << 12);
    file.prefetch(5);
    assert_eq!(file.len(), 10);
}

#[test]
fn a_pin_knows_its_page_its_cache_and_its_hold_wherever_it_is_handed_to() {
    assert_eq!(size_of::<Page<'_>>(), 2 * size_of::<usize>(), "it travels in registers");
    // One that is gone, whose descriptors may be where another's are now.
    drop(file(true));
    let both = [cached(true), cached(false)];
    let mut pins = Vec::new();
    for (_, file) in &both {
        file.migrate(5..6, NodeId(1), &Migrate::new()).unwrap();
        for index in [5, 3, 5] {
            pins.push((file, index, pin(file, index).0));
        }
    }
    for (file, index, pin) in &pins {
        let last = file.page(PageIndex(*index)).unwrap();
        assert_eq!((pin.as_ptr(), pin.frame()), (last.as_ptr(), last.frame()));
        assert_eq!((pin[0], pin.len()), (*index as u8, PAGE_SIZE));
        assert_eq!(pin.node(), NodeId((*index == 5).into()));
    }
    let held = || both.each_ref().map(|(_, file)| [3, 5].map(|index| holders(file, index).len()));
    assert_eq!(held(), [[1, 2], [1, 2]]);
    // The last pin of what was cut off frees it, in its own cache.
    let used = || {
        both.each_ref().map(|(cache, _)| {
            let nodes = cache.nodes();
            nodes.iter().map(|node| node.frames - node.nr_free_pages).sum::<u64>()
        })
    };
    both.iter().for_each(|(_, file)| file.set_len(0).unwrap());
    assert_eq!(used(), [2, 2]);
    let mut of_the_first = pins.drain(..3);
    of_the_first.next();
    assert_eq!(used(), [2, 2], "it was not the last one");
    drop(of_the_first);
    assert_eq!(used(), [0, 2]);
    drop(pins);
    assert_eq!(used(), [0, 0]);
}
