//! What a pattern asks for, and what becomes of it in the queue.

use super::*;
use crate::store::{FileStore, MemStore};
use crate::units::PAGE_SIZE;

const PAGE: u64 = PAGE_SIZE as u64;

/// So many pages, that nobody reads.
fn file_of(pages: u64) -> Arc<Mapping> {
    Arc::new(Mapping::new(1, Arc::new(MemStore::new()), pages * PAGE, 0, None))
}

fn file(id: u32) -> Arc<Mapping> {
    Arc::new(Mapping::new(id, Arc::new(MemStore::new()), 0, 0, None))
}

/// The windows of a reader who comes to these pages, of 64 at most.
fn windows(pattern: &Pattern, file: &Arc<Mapping>, read: &[Range<u64>]) -> Vec<Option<Range<u64>>> {
    let window = |pages: &Range<u64>| Some(pattern.came_to(file, pages.clone(), 64)?.pages);
    read.iter().map(window).collect()
}

#[test]
fn windows_double_while_their_reader_comes_to_each_and_begin_anew_where_he_goes_on() {
    let (pattern, file) = (Pattern::default(), file_of(10_000));
    let read = [0..1, 1..2, 5..6, 17..18, 49..50, 5000..5001, 5001..5002];
    let wanted = [
        Some(1..17),
        Some(17..49),
        None, // on its way
        Some(49..113),
        Some(113..177), // no more than that
        None,           // nobody knows yet
        Some(5002..5018),
    ];
    assert_eq!(windows(&pattern, &file, &read), wanted);
    // From further back, up to the window.
    let pattern = Pattern::default();
    let read = [0..1, 1..2, 0..17];
    assert_eq!(windows(&pattern, &file, &read)[2], Some(17..81));
    // Four times what is read at a time; behind what has been read already.
    let pattern = Pattern::default();
    assert_eq!(windows(&pattern, &file, &[0..8, 8..50]), [Some(8..40), Some(50..114)]);
}

#[test]
fn the_next_window_is_due_at_the_first_page_of_the_last_one() {
    let (pattern, file) = (Pattern::default(), file_of(10_000));
    assert!(!pattern.is_due(&(0..u64::MAX)), "there is none");
    pattern.came_to(&file, 0..1, 64).unwrap();
    assert!(!pattern.is_due(&(0..1)) && pattern.is_due(&(0..2)) && !pattern.is_due(&(2..9)));
    pattern.advise(Advice::Normal);
    assert!(!pattern.is_due(&(0..2)), "all is forgotten");
}

#[test]
fn windows_end_with_their_file() {
    let (pattern, file) = (Pattern::default(), file_of(20));
    let read = [0..1, 1..2, 17..18];
    assert_eq!(windows(&pattern, &file, &read), [Some(1..17), Some(17..20), None]);
    assert!(!pattern.is_due(&(0..100)));
}

#[test]
fn who_says_how_he_reads_is_believed() {
    let (pattern, file) = (Pattern::default(), file_of(10_000));
    pattern.advise(Advice::Random);
    assert_eq!(windows(&pattern, &file, &[0..1, 1..2]), [None, None]);
    pattern.advise(Advice::Sequential);
    assert_eq!(pattern.came_to(&file, 7..8, 64).unwrap().pages, 8..72);
}

#[test]
fn pages_pass_on_the_way_to_the_last_window_and_those_behind_are_used() {
    let (pattern, file) = (Pattern::default(), file_of(10_000));
    assert_eq!(pattern.uses(&(0..1)), Use::Counts, "nobody goes anywhere");
    windows(&pattern, &file, &[4..5, 5..6]); // the window is 6..22
    let uses = |pages| pattern.uses(&pages);
    assert_eq!(uses(4..5), Use::Counts, "he has come to page 5");
    assert_eq!((uses(5..6), uses(6..7)), (Use::Passing, Use::Passing));
    assert_eq!(uses(5..6), Use::Counts, "he has gone on");
    assert_eq!((uses(6..6), uses(6..8)), (Use::Counts, Use::Counts), "none, and beyond");
    assert_eq!(uses(6..7), Use::Passing);
}

#[test]
fn what_was_written_one_after_the_other_is_written_behind_in_large_pieces() {
    let temp = tempfile::NamedTempFile::new().unwrap();
    let store = Arc::new(FileStore::open(temp.path()).unwrap());
    let file = Arc::new(Mapping::new(1, store, 0, 0, None));
    let (pattern, large) = (Pattern::default(), BEHIND * PAGE);
    let wrote = |bytes, enough: bool| {
        let wanted = pattern.wrote(&file, bytes, || enough)?;
        assert_eq!(wanted.task, Task::Write);
        Some(wanted.pages)
    };
    assert_eq!(wrote(0..large - 1, true), None);
    assert_eq!(wrote(large - 1..large, false), None, "too little is dirty");
    assert_eq!(wrote(large..large + 100, true), Some(0..BEHIND), "the last page is left");
    assert_eq!(wrote(large + 100..2 * large, true), Some(BEHIND..2 * BEHIND));
    assert_eq!(wrote(9 * large..10 * large - PAGE, true), None, "it begins elsewhere");
    assert_eq!(wrote(10 * large - PAGE..10 * large, true), Some(9 * BEHIND..10 * BEHIND));
}

#[test]
fn nothing_is_written_behind_where_the_store_gains_nothing_by_it() {
    let (pattern, file) = (Pattern::default(), file(1));
    assert!(pattern.wrote(&file, 0..2 * BEHIND * PAGE, || true).is_none());
}

#[test]
fn what_is_written_passes_when_so_much_before_it_was_written_that_makes_a_large_write() {
    let temp = tempfile::NamedTempFile::new().unwrap();
    let store = Arc::new(FileStore::open(temp.path()).unwrap());
    let file = Arc::new(Mapping::new(1, store, 0, 0, None));
    let (pattern, large) = (Pattern::default(), BEHIND * PAGE);
    let begin = 3 * large;
    pattern.wrote(&file, begin..begin + large - PAGE, || false);
    let end = begin + large;
    assert_eq!(pattern.use_of_write(&(end - PAGE..end)), Use::Counts);
    pattern.wrote(&file, end - PAGE..end, || false);
    assert_eq!(pattern.use_of_write(&(end..end + 1)), Use::Passing);
    assert_eq!(pattern.use_of_write(&(end + PAGE..end + 2 * PAGE)), Use::Counts, "not the next");
    assert_eq!(pattern.use_of_write(&(0..1)), Use::Counts, "before all of that");
}

fn read(mapping: &Arc<Mapping>, pages: Range<u64>, uses: Use) -> Wanted {
    Wanted { mapping: mapping.clone(), pages, task: Task::Read { uses } }
}

#[test]
fn what_is_next_in_a_file_is_read_on_and_what_is_of_another_file_or_use_waits() {
    let (this, other) = (file(1), file(2));
    let queue = Queue::default();
    queue.join();
    queue.ask(read(&this, 0..600, Use::Passing));
    queue.ask(read(&this, 600..700, Use::Passing));
    queue.ask(read(&this, 900..910, Use::Counts));
    queue.ask(read(&other, 5..10, Use::Counts));
    let mut running = queue.next().unwrap();
    assert_eq!(running.size_hint().0, PIECE as usize);
    assert!(running.by_ref().map(|page| page.0).eq(0..700));
    for pages in [900..910, 5..10] {
        let next = queue.next().unwrap();
        assert!(next.map(|page| page.0).eq(pages));
    }
}

#[test]
fn no_more_is_asked_for_than_may_wait_and_nothing_where_nobody_would_do_it() {
    let (file, queue) = (file(1), Queue::default());
    let ask = |at| queue.ask(read(&file, at..at + 1, Use::Counts));
    assert!(!ask(0));
    queue.join();
    assert!((0..MAX_WAITING as u64 + 9).all(ask));
    let running = queue.next().unwrap();
    assert_eq!(running.count(), MAX_WAITING);
}

#[test]
fn a_file_that_is_forgotten_waits_for_what_is_read_of_it_and_for_nothing_of_others() {
    let (this, other, queue) = (file(1), file(2), Queue::default());
    queue.join();
    queue.ask(read(&other, 0..5, Use::Counts));
    queue.ask(read(&this, 0..2 * PIECE, Use::Counts));
    queue.ask(read(&other, 5..9, Use::Counts));
    let others = queue.next().unwrap();
    let its = queue.next().unwrap();
    let gone = plain::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            queue.forget(&this);
            assert!(gone.load(Relaxed));
        });
        std::thread::sleep(std::time::Duration::from_millis(20));
        gone.store(true, Relaxed);
        drop(its);
    });
    // What waited of it will not be read; what waits of others will.
    let next = queue.next().unwrap();
    assert!(Arc::ptr_eq(&next.wanted.mapping, &other) && next.map(|page| page.0).eq(5..9));
    drop(others);
    queue.stop();
    assert!(queue.next().is_none());
}
