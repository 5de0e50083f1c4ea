//! What reading ahead claims.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use refolio::{Advice, Cache, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex};

use crate::{bytes, value};

const PAGE: u64 = PAGE_SIZE as u64;

/// A cache with threads of its own, and room for 4096 pages on each node.
fn cache() -> Cache {
    let node = || NodeOptions::new(4096 * PAGE);
    Cache::builder().node(node()).node(node()).build().unwrap()
}

fn file_of(pages: usize) -> tempfile::TempPath {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&path, bytes(pages, 0)).unwrap();
    path
}

/// Whether it comes true within ten seconds.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let since = Instant::now();
    while !is_so() && since.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    is_so()
}

fn files_pages(cache: &Cache) -> u64 {
    cache.nodes().iter().map(|node| node.nr_file_pages).sum()
}

#[test]
fn who_reads_from_front_to_back_finds_the_next_pages_there() {
    let path = file_of(1500);
    let cache = cache();
    let file = cache.open(&path).unwrap();
    let mut word = [0; 8];
    for index in 0..1500 {
        file.read_at(&mut word, index * PAGE).unwrap();
        assert_eq!(word, [value(index); 8]);
        if index == 100 {
            assert!(soon(|| file.cached_pages() > 150), "{} pages", file.cached_pages());
        }
        if index == 1000 {
            // Windows have grown: the rest of the file is there before it is asked for.
            assert!(soon(|| file.cached_pages() == 1500), "{} pages", file.cached_pages());
        }
    }
}

/// Reads the file from this page on, in pieces of so many bytes.
fn stream(file: &refolio::File, from: u64, piece: usize) {
    let mut bytes = vec![0; piece];
    for offset in (from * PAGE..file.len()).step_by(piece) {
        let done = file.read_at(&mut bytes, offset).unwrap();
        for (at, byte) in (offset..).zip(&bytes[..done]).step_by(512) {
            assert_eq!(*byte, value(at / PAGE));
        }
    }
}

/// What streams through is not worth another page's place on the lower node: moving it there takes
/// longer than reading it did.
#[test]
fn what_is_read_from_front_to_back_once_takes_no_place_on_the_lower_node_and_what_is_used_does() {
    let path = file_of(1500);
    for piece in [PAGE_SIZE, 2 * PAGE_SIZE, 48 * PAGE_SIZE] {
        let cache = crate::cache(128);
        let file = cache.open(&path).unwrap();
        stream(&file, 0, piece);
        let streamed = cache.stats();
        assert!(streamed.pgsteal > 1000, "{streamed:?}");
        // The lower node's 128 frames were free; the last pages are not known to be a window's.
        assert!(streamed.pgdemote < 250, "by {piece} bytes: {streamed:?}");
        let file = cache.open(&path).unwrap();
        file.advise(0..u64::MAX, Advice::Random).unwrap();
        stream(&file, 0, piece);
        assert!(cache.stats().pgdemote - streamed.pgdemote > 1000, "by {piece} bytes");
    }
}

/// Whoever reads a page in parts comes back to it: asking each time whether it is on the way through the
/// file would take longer than the read.
#[test]
fn what_is_read_in_parts_of_pages_is_in_use() {
    let cache = crate::cache(128);
    let file = cache.open(file_of(1500)).unwrap();
    stream(&file, 0, 512);
    assert!(cache.stats().pgdemote > 1000, "{:?}", cache.stats());
}

#[test]
fn what_is_written_from_front_to_back_takes_no_place_on_the_lower_node_either() {
    let path = file_of(1500);
    let demoted = |indices: &mut dyn Iterator<Item = u64>| {
        let cache = crate::cache(128);
        let file = cache.open(&path).unwrap();
        for index in indices {
            file.write_at(&[value(index); PAGE_SIZE], index * PAGE).unwrap();
        }
        file.sync().unwrap();
        cache.stats().pgdemote
    };
    // Until it is as long as one large write, nothing is known of it.
    let streamed = demoted(&mut (0..1500));
    assert!(streamed < 500, "{streamed}");
    let scattered = demoted(&mut (0..1500).map(|n| n * 7 % 1500));
    assert!(scattered > 1000, "{scattered}");
    assert!(std::fs::read(&path).unwrap() == bytes(1500, 0));
}

#[test]
fn a_file_that_has_room_in_all_nodes_together_stays_whole_when_it_is_read_through() {
    let path = file_of(1500);
    let cache = crate::cache(1024);
    let file = cache.open(&path).unwrap();
    stream(&file, 0, 48 * PAGE_SIZE);
    assert_eq!(file.cached_pages(), 1500, "{:?}", cache.stats());
}

/// Before a window was limited by the memory, 1500 pages were read in 2900 times where 256 have room.
#[test]
fn what_is_read_ahead_stays_until_its_reader_comes_however_small_the_nodes_are() {
    let path = file_of(1500);
    let node = || NodeOptions::new(128 * PAGE);
    let cache = Cache::builder().node(node()).node(node()).build().unwrap();
    stream(&cache.open(&path).unwrap(), 0, 48 * PAGE_SIZE);
    let read = cache.stats().pgmajfault;
    assert!(read < 2500, "{read} pages were read in");
}

#[test]
fn what_a_reader_goes_back_to_is_in_use() {
    let path = file_of(1500);
    let cache = crate::cache(512);
    let file = cache.open(&path).unwrap();
    let mut bytes = vec![0; 48 * PAGE_SIZE];
    // There and back, and then on: 48 of the pages have been used.
    file.read_at(&mut bytes, 0).unwrap();
    file.read_at(&mut bytes, 0).unwrap();
    for offset in (0..1400 * PAGE).step_by(bytes.len()).skip(1) {
        file.read_at(&mut bytes, offset).unwrap();
    }
    let there = file.cached_pages();
    assert!(cache.stats().pgsteal > 300);
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(file.cached_pages(), there, "they had not to be read again");
}

#[test]
fn what_somebody_said_will_be_needed_is_not_merely_passing() {
    let path = file_of(1500);
    let node = || NodeOptions::new(128 * PAGE);
    let cache = Cache::builder().node(node()).node(node()).build().unwrap();
    let file = cache.open(&path).unwrap();
    file.advise(0..100, Advice::WillNeed).unwrap();
    assert!(soon(|| file.cached_pages() == 100), "{} pages", file.cached_pages());
    stream(&file, 100, 48 * PAGE_SIZE);
    assert!(cache.stats().pgdemote > 90, "{:?}", cache.stats());
}

#[test]
fn pins_are_reads_too() {
    let path = file_of(300);
    let cache = cache();
    let file = cache.open(&path).unwrap();
    for index in 0..40 {
        assert_eq!(file.page(PageIndex(index)).unwrap()[0], value(index));
    }
    assert!(soon(|| file.cached_pages() > 60), "{} pages", file.cached_pages());
}

/// Nothing comes of itself: so long as to see that is what the sleep is for.
#[test]
fn nothing_is_read_ahead_for_who_reads_here_and_there_or_says_so() {
    let path = file_of(1500);
    let cache = cache();
    let file = cache.open(&path).unwrap();
    let mut word = [0; 8];
    for index in [700, 20, 1300, 400, 21, 900] {
        file.read_at(&mut word, index * PAGE).unwrap();
    }
    let told = cache.open(&path).unwrap();
    told.advise(0..u64::MAX, Advice::Random).unwrap();
    for index in 100..120 {
        told.read_at(&mut word, index * PAGE).unwrap();
    }
    let memory = MemStore::with_bytes(bytes(100, 0));
    let memory = cache.open_store(memory, &OpenOptions::new()).unwrap();
    memory.read_at(&mut word, 0).unwrap();
    memory.read_at(&mut word, PAGE).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((file.cached_pages(), memory.cached_pages()), (26, 2));
}

#[test]
fn what_will_be_needed_is_there_soon_and_without_threads_at_once() {
    let path = file_of(1500);
    let cache = cache();
    let file = cache.open(&path).unwrap();
    file.advise(100..1300, Advice::WillNeed).unwrap();
    assert!(soon(|| file.cached_pages() == 1200), "{} pages", file.cached_pages());
    file.advise(100..200, Advice::DontNeed).unwrap();
    assert_eq!(file.cached_pages(), 1100);
    file.advise(1400..u64::MAX, Advice::WillNeed).unwrap();
    assert!(soon(|| file.cached_pages() == 1200), "{} pages", file.cached_pages());

    let alone = crate::cache(256);
    let file = alone.open(&path).unwrap();
    file.advise(10..90, Advice::WillNeed).unwrap();
    assert_eq!(file.cached_pages(), 80);
    // There is no memory for all of it: the rest is not read ahead, and that is no error.
    file.advise(0..u64::MAX, Advice::WillNeed).unwrap();
    assert!(file.cached_pages() >= 80);
}

#[test]
fn a_file_that_is_closed_while_it_is_read_ahead_leaves_nothing_behind() {
    let path = file_of(1500);
    let cache = cache();
    for round in 0..20 {
        let file = cache.open(&path).unwrap();
        file.advise(0..1500, Advice::WillNeed).unwrap();
        let mut word = [0; 8];
        file.read_at(&mut word, (round * 70) * PAGE).unwrap();
        assert_eq!(word, [value(round * 70); 8]);
        drop(file);
        assert_eq!(files_pages(&cache), 0);
    }
}

/// Stops the readers when the file changes no more, also by a panic: nobody would hear of that otherwise.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// read-ahead × truncate, read × truncate: while a file gets shorter and longer again it is read
/// from front to back, and each page is what it was, or the zeros that it was made longer by.
#[test]
fn read_ahead_meets_truncate() {
    let path = file_of(600);
    let cache = cache();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (cache, path, done): (&Cache, &Path, _) = (&cache, &path, &done);
        scope.spawn(move || {
            let _over = Over(done);
            let file = cache.open(path).unwrap();
            let mut rng = fastrand::Rng::with_seed(1);
            for _ in 0..300 {
                file.set_len(rng.u64(0..600) * PAGE).unwrap();
                file.set_len(600 * PAGE).unwrap();
            }
        });
        for piece in [PAGE_SIZE / 4, 5 * PAGE_SIZE] {
            scope.spawn(move || {
                let file = cache.open(path).unwrap();
                let mut bytes = vec![0; piece];
                while !done.load(Relaxed) {
                    for at in (0..600 * PAGE).step_by(piece) {
                        let got = file.read_at(&mut bytes, at).unwrap();
                        for (n, byte) in bytes[..got].iter().enumerate().step_by(256) {
                            let index = (at + n as u64) / PAGE;
                            assert!([0, value(index)].contains(byte), "page {index}: {byte}");
                        }
                    }
                    file.evict(0..u64::MAX).unwrap();
                }
            });
        }
    });
    let file = cache.open(&path).unwrap();
    assert_eq!(file.len(), 600 * PAGE);
}
