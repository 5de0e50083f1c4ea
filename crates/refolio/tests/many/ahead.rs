//! What reading ahead claims.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use refolio::{Advice, Cache, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex};

use crate::{bytes, value};

const PAGE: u64 = PAGE_SIZE as u64;

/// A cache with threads of its own, and room for 2048 pages on each node.
fn cache() -> Cache {
    let node = || NodeOptions::new(2048 * PAGE);
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
            let file = cache.open(path).unwrap();
            let mut rng = fastrand::Rng::with_seed(1);
            for _ in 0..300 {
                file.set_len(rng.u64(0..600) * PAGE).unwrap();
                file.set_len(600 * PAGE).unwrap();
            }
            done.store(true, Relaxed);
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
