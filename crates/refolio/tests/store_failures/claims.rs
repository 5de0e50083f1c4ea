//! One claim at a time, each to the page.

use refolio::testing::{Call, FailingStore};
use refolio::{Error, File, MemStore, Migrate, NodeId, OpenOptions, PAGE_SIZE, PageIndex, Sharing};

use crate::play::{Play, cache, initial};
use crate::{EIO, ENOSPC};

const PAGE: u64 = PAGE_SIZE as u64;

/// What the store has said.
fn os_error(error: &Error) -> Option<i32> {
    match error {
        Error::Io { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

fn dirty(play: &Play) -> u64 {
    play.cache.nodes().iter().map(|node| node.nr_dirty).sum()
}

/// The pages that a run of writes goes to, each for itself.
const RUNS: u64 = 12;

#[test]
fn a_page_whose_write_failed_stays_dirty_and_readable_and_is_written_later() {
    for (nth, errno) in (1..=RUNS).flat_map(|nth| [(nth, EIO), (nth, ENOSPC)]) {
        let mut play = Play::new(0);
        play.name = format!("write {nth}");
        for run in 0..RUNS {
            play.write(2 * run as usize * PAGE_SIZE + 9, 50);
        }
        assert_eq!(dirty(&play), RUNS);
        play.store.fail_nth(&[Call::Write], nth, errno);
        let told = play.file.sync().unwrap_err();
        assert_eq!(os_error(&told), Some(errno), "{}: {told}", play.name);
        // Its page only: the others were tried all the same.
        assert_eq!(dirty(&play), 1, "{}", play.name);
        let (stored, holds) = (play.stored(), play.holds.bytes());
        let differ = stored.chunks(PAGE_SIZE).zip(holds.chunks(PAGE_SIZE));
        let differ: Vec<_> = differ.enumerate().filter(|(_, (a, b))| a != b).collect();
        assert_eq!(differ.len(), 1);
        assert_eq!(differ[0].0 as u64, 2 * (nth - 1), "{}", play.name);
        // It is neither evicted nor lost by a move.
        let moved = play.file.migrate(0..64, NodeId(1), &Migrate::new()).unwrap();
        assert_eq!((moved.left().count(), dirty(&play)), (0, 1));
        play.read(0, 2 * RUNS as usize * PAGE_SIZE);
        play.take_told();
        play.sync();
        assert_eq!((play.failed, dirty(&play)), (0, 0), "{}", play.name);
        play.finish();
    }
}

#[test]
fn neighbours_are_written_back_together() {
    let mut play = Play::new(0);
    for page in [5, 3, 40, 4, 7, 41] {
        play.write(page * PAGE_SIZE + 9, 50);
    }
    let before = play.store.calls(Call::Write);
    play.sync();
    assert_eq!(play.store.calls(Call::Write) - before, 3, "pages 3 to 5, 7, and 40 and 41");
    play.finish();
}

/// Gets at a page that is not cached, and says what is in it.
type Touch = fn(&File, u64) -> refolio::Result<Vec<u8>>;

fn page(file: &File, index: u64) -> refolio::Result<Vec<u8>> {
    file.page(PageIndex(index)).map(|page| page.to_vec())
}

/// All ways to a page.
const WAYS: [(&str, Touch); 6] = [
    ("a pin", page),
    ("a read", |file, index| {
        let mut bytes = vec![0; PAGE_SIZE];
        file.read_at(&mut bytes, index * PAGE).map(|_| bytes)
    }),
    ("a guard", |file, index| {
        let mut bytes = vec![0; PAGE_SIZE];
        file.page_mut(PageIndex(index)).map(|page| page.read(0, &mut bytes))?;
        Ok(bytes)
    }),
    ("a load", |file, index| file.load(index..index + 1).and_then(|_| page(file, index))),
    ("a view", |file, index| {
        let mut bytes = vec![0; PAGE_SIZE];
        file.view(index..index + 1, Sharing::Shared)?.read(&mut bytes, 0).map(|()| bytes)
    }),
    // The byte that is there already.
    ("a write of a part", |file, index| {
        let at = index as usize * PAGE_SIZE + 7;
        file.write_at(&[initial()[at]], at as u64).and_then(|()| page(file, index))
    }),
];

#[test]
fn a_read_that_failed_leaves_nothing_half_filled() {
    for (order, (name, touch)) in [0, 2].into_iter().flat_map(|order| WAYS.map(|way| (order, way)))
    {
        for nth in 1..=3 {
            let mut play = Play::new(order);
            play.name = format!("order {order}, {name}, read {nth}");
            for index in [0, 5, 33, 139] {
                half_filled(&play, touch, index, nth);
            }
            play.store.heal();
            play.read_all();
            play.finish();
        }
    }
}

/// The `nth` read for a page fails, after the others brought a part of it.
fn half_filled(play: &Play, touch: Touch, index: u64, nth: u64) {
    play.store.shorten(&[Call::Read], 1000);
    play.store.fail_nth(&[Call::Read], nth, EIO);
    let free = || play.cache.nodes()[0].nr_free_pages;
    let before = (play.file.cached_pages(), free());
    let error = touch(&play.file, index).unwrap_err();
    assert!(matches!(*error, Error::Io { doing: "reading", .. }), "{}: {error}", play.name);
    assert_eq!(os_error(&error), Some(EIO));
    let after = (play.file.cached_pages(), free());
    assert_eq!(after, before, "{}: cached pages, free frames", play.name);
    // All of it this time.
    let seen = touch(&play.file, index).unwrap();
    let expected = &initial()[index as usize * PAGE_SIZE..][..PAGE_SIZE];
    assert!(seen == expected, "{}: other bytes", play.name);
}

/// Cuts a file, lengthens it, or makes a hole: its name, the call that is refused, the change, and
/// what it does to the bytes.
type Change = (&'static str, Call, fn(&File) -> refolio::Result<()>, fn(&mut Play));

const CHANGES: [Change; 5] = [
    ("cut all", Call::SetLen, |file| file.set_len(0), |play| play.resized(0)),
    (
        "cut",
        Call::SetLen,
        |file| file.set_len(40 * PAGE + 9),
        |play| play.resized(40 * PAGE_SIZE + 9),
    ),
    (
        "lengthen",
        Call::SetLen,
        |file| file.set_len(300 * PAGE),
        |play| play.resized(300 * PAGE_SIZE),
    ),
    (
        "a hole",
        Call::Punch,
        |file| file.punch_hole(4 * PAGE, 60 * PAGE),
        |play| play.punched(4 * PAGE_SIZE, 60 * PAGE_SIZE, true),
    ),
    (
        "a hole up to the end",
        Call::Punch,
        |file| file.punch_hole(100 * PAGE, u64::MAX),
        |play| play.punched(100 * PAGE_SIZE, usize::MAX, true),
    ),
];

/// (Where a hole ends within a page or a folio, that part may be zeros although it was refused. So
/// it is with a hole up to the end of the file, where the last folio is large.)
#[test]
fn a_set_len_or_hole_that_was_refused_leaves_the_file_as_it_was() {
    for ((name, call, change, effect), errno) in
        CHANGES.into_iter().flat_map(|change| [EIO, ENOSPC].map(|errno| (change, errno)))
    {
        refused_and_done(0, name, call, change, effect, errno);
        if name != "a hole up to the end" {
            refused_and_done(2, name, call, change, effect, errno);
        }
    }
}

fn refused_and_done(
    order: u32,
    name: &str,
    call: Call,
    change: fn(&File) -> refolio::Result<()>,
    effect: fn(&mut Play),
    errno: i32,
) {
    let mut play = Play::new(order);
    play.name = format!("order {order}, {name}");
    // Clean pages and dirty ones, ones that are not cached, and the last one.
    play.read(0, 20 * PAGE_SIZE);
    for page in [3, 5, 41, 50, 140] {
        play.write(page * PAGE_SIZE + 60, 40);
    }
    let before = (dirty(&play), play.file.cached_pages(), play.file.len());
    play.store.fail_from(&[call], 1, errno);
    for _ in 0..2 {
        let error = change(&play.file).unwrap_err();
        assert_eq!(os_error(&error), Some(errno), "{}: {error}", play.name);
        let after = (dirty(&play), play.file.cached_pages(), play.file.len());
        assert_eq!(after, before, "{}: dirty pages, cached ones, length", play.name);
    }
    play.read_all();
    play.store.heal();
    play.sync();
    // And it works, now.
    change(&play.file).unwrap();
    effect(&mut play);
    play.read_all();
    play.finish();
}

#[test]
fn a_store_that_ends_too_early_is_an_error_and_can_be_read_again() {
    let mut play = Play::new(0);
    play.store.shorten(&[Call::Read], 0);
    let error = play.file.read_at(&mut [0; 10], 0).unwrap_err();
    assert!(matches!(*error, Error::Shrunk { offset: 0, .. }), "{error}");
    assert_eq!(play.file.cached_pages(), 0, "half a page stayed");
    play.store.heal();
    play.read(0, 10 * PAGE_SIZE);
    // A store that takes nothing is full.
    play.write(5, 100);
    play.store.shorten(&[Call::Write], 0);
    let error = play.file.sync().unwrap_err();
    assert!(error.to_string().contains("writing"), "{error}");
    assert_eq!(dirty(&play), 1, "the page must stay dirty");
    play.store.heal();
    play.sync();
    play.finish();
}

#[test]
fn a_store_without_a_length_cannot_be_opened() {
    let store = FailingStore::new(MemStore::new());
    store.fail_nth(&[Call::Len], 1, EIO);
    let error = cache().open_store(store, &OpenOptions::new()).unwrap_err();
    assert!(matches!(*error, Error::Io { doing: "opening", .. }), "{error}");
}
