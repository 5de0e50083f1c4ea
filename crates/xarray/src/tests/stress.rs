//! Loads on real threads, while everything around them comes and goes.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::sync::plain::{AtomicBool, AtomicU64};
use crate::sync::{Acquire, Relaxed, Release};
use crate::{Entry, Locked, MAX_ORDER, XArray};

const TIME: Duration = Duration::from_millis(600);
const READERS: u64 = 3;

/// Where entries come and go: far enough apart that the root grows and shrinks, and that nodes
/// serve now this place and now that one.
const NEIGHBOURHOODS: [u64; 6] = [0, 512, 4096, 1 << 20, 1 << 42, u64::MAX - 511];

/// A small generator: the test needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Says which indices the entry is for, and which one it is there.
fn entry(base: u64, order: u32, turn: u64) -> Entry {
    Entry::item((name(base) << 4 | u64::from(order)) << 16 | turn & 0xffff)
}

/// 36 bits that are different for all indices used here.
fn name(base: u64) -> u64 {
    ((base >> 9).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 37 << 9) + base % 512
}

fn assert_is_for(found: Entry, index: u64) {
    let order = (found.payload() >> 16 & 15) as u32;
    assert_eq!(order, found.order(), "the order it was stored with");
    assert_eq!(found.payload() >> 20, name(index >> order << order), "an entry of {index:#x}");
}

fn change(locked: &mut Locked<'_>, dice: &mut Dice, turn: u64) {
    let start = NEIGHBOURHOODS[dice.roll(NEIGHBOURHOODS.len() as u64) as usize];
    let index = start + dice.roll(512);
    let order = [0, 0, 1, 3, 6, 7, MAX_ORDER][dice.roll(7) as usize];
    let base = index >> order << order;
    match dice.roll(8) {
        0..4 => _ = locked.store(base, order, entry(base, order, turn)),
        4 => _ = locked.erase(index),
        5 => _ = locked.split(index, order, |base| entry(base, order, turn)),
        _ => {
            let mut cursor = locked.cursor(start);
            while cursor.next().is_some_and(|(base, _)| base - start < 512) {
                cursor.erase();
            }
        }
    }
}

/// Stops the readers when the writer is done, also by a panic: nobody would hear of that otherwise.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Waits for each thread: the end of a scope, too, would do, but not for ThreadSanitizer, which
/// sees only what is not hidden in the standard library.
fn join(threads: Vec<ScopedJoinHandle<'_, ()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_load_finds_only_what_its_index_has() {
    let (array, end) = (XArray::new(), Instant::now() + TIME);
    let (done, hits) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let readers = (0..READERS).map(|seed| {
            let (array, done, hits) = (&array, &done, &hits);
            scope.spawn(move || {
                let mut dice = Dice(seed + 1);
                while !done.load(Relaxed) {
                    let near = NEIGHBOURHOODS[dice.roll(NEIGHBOURHOODS.len() as u64) as usize];
                    let index = near + dice.roll(512);
                    if let Some(found) = array.load(index) {
                        assert_is_for(found, index);
                        hits.fetch_add(1, Relaxed);
                    }
                    array.peek(index);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let over = Over(&done);
        let mut dice = Dice(77);
        for turn in 0.. {
            if turn % 64 == 0 && Instant::now() > end {
                break;
            }
            change(&mut array.lock(), &mut dice, turn);
        }
        drop(over);
        join(readers);
    });
    array.lock().check();
    assert!(hits.into_inner() > 1000, "loads found entries");
}

/// An index that always has an entry is never found without, whatever happens around it and to
/// the entry itself, and never goes back to an entry it had before.
#[test]
fn a_load_finds_what_is_there_and_nothing_older() {
    const HOME: u64 = 512;
    let (array, end) = (XArray::new(), Instant::now() + TIME);
    let (done, newest) = (AtomicBool::new(false), AtomicU64::new(0));
    array.lock().store(HOME, MAX_ORDER, Entry::item(0)).unwrap();
    thread::scope(|scope| {
        let readers = (0..READERS).map(|seed| {
            let (array, done, newest) = (&array, &done, &newest);
            scope.spawn(move || {
                let mut dice = Dice(seed + 1);
                let mut seen = [0; 512];
                while !done.load(Relaxed) {
                    let offset = dice.roll(512);
                    // Acquire: pairs with the Release below; what was stored before that is seen.
                    let stored = newest.load(Acquire);
                    let Some(found) = array.load(HOME + offset) else {
                        panic!("nothing at {offset}");
                    };
                    let seen: &mut u64 = &mut seen[offset as usize];
                    assert!(found.payload() >= stored, "older than what was stored before");
                    assert!(found.payload() >= *seen, "older than what was found before");
                    *seen = found.payload();
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let over = Over(&done);
        let mut dice = Dice(77);
        for turn in 1.. {
            if turn % 64 == 0 && Instant::now() > end {
                break;
            }
            let mut locked = array.lock();
            match dice.roll(3) {
                0 => _ = locked.store(HOME, MAX_ORDER, Entry::item(turn)),
                1 => {
                    let index = HOME + dice.roll(512);
                    let order = dice.roll(u64::from(MAX_ORDER)) as u32;
                    locked.split(index, order, |_| Entry::item(turn));
                    continue;
                }
                _ => {
                    // Roots above come and go.
                    let far = NEIGHBOURHOODS[2 + dice.roll(4) as usize];
                    locked
                        .erase(far)
                        .map_or_else(|| _ = locked.store(far, 0, Entry::item(turn)), |_| ());
                    continue;
                }
            }
            // Release: pairs with the Acquire above.
            newest.store(turn, Release);
        }
        drop(over);
        join(readers);
    });
    array.lock().check();
}
