//! A few pages under everybody's eyes, all the time: what goes wrong within nanoseconds goes wrong
//! here, if anywhere.
//!
//! Every word of a page says which page it is and which generation. So a reader needs a glance to see
//! that it has been given a page torn, foreign or old, and can come back at once. Two files share nodes
//! so small that each frame holds another page every few microseconds: pages of the one are written,
//! moved and evicted, those of the other are cut off and come back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use fastrand::Rng;
use refolio::{
    Cache, Error, File, Form, MemStore, Migrate, Mode, NodeId, NodeOptions, OpenOptions, PAGE_SIZE,
    PageIndex, Sharing, View, Vpn,
};

use crate::crew::crew;
use crate::{rest, seed};

/// Pages of each file; readers keep coming back to the first of them.
const PAGES: u64 = 90;
const HOT: u64 = 6;

/// One page's words: which file, which page, which generation.
fn word(file: u64, page: u64, generation: u64) -> u64 {
    file << 56 | page << 40 | generation
}

fn bytes(word: u64) -> Vec<u8> {
    word.to_le_bytes().repeat(PAGE_SIZE / 8)
}

/// A file whose pages are written whole, and how far they have come.
struct Hot {
    number: u64,
    file: File,
    view: View,
    begun: Vec<AtomicU64>,
    acknowledged: Vec<AtomicU64>,
    /// Whether pages may be missing, or zeros, since the file is cut off.
    cut: bool,
}

impl Hot {
    fn new(cache: &Cache, number: u64, order: u32, cut: bool) -> Self {
        let all = (0..PAGES).flat_map(|page| bytes(word(number, page, 0))).collect();
        let options = OpenOptions::new().order(order);
        let file = cache.open_store(MemStore::with_bytes(all), &options).unwrap();
        let view = file.view(0..PAGES, Sharing::Shared).unwrap();
        let zeros = || (0..PAGES).map(|_| AtomicU64::new(0)).collect();
        Self { number, file, view, begun: zeros(), acknowledged: zeros(), cut }
    }

    /// Reads one page in one of four ways, and looks at every word.
    fn read(&self, page: u64, way: u8, into: &mut [u8]) {
        let known = self.acknowledged[page as usize].load(SeqCst);
        let offset = page * PAGE_SIZE as u64;
        let result = match way {
            0 => self.file.read_at(into, offset),
            1 => self.view.read(into, offset).map(|()| PAGE_SIZE),
            2 => self.file.page(PageIndex(page)).map(|pin| copy(&pin, into)),
            _ => self.view.pin(Vpn(page)).map(|pin| copy(&pin, into)),
        };
        match result.map_err(|error| *error) {
            Ok(PAGE_SIZE) => self.check(page, known, into, way),
            Ok(0) | Err(Error::OutOfRange { .. }) => assert!(self.cut, "page {page} is missing"),
            other => panic!("page {page}: {other:?}"),
        }
    }

    /// Reads a word of the page, over and over.
    fn glance(&self, page: u64) {
        let mut word = [0; 8];
        for _ in 0..64 {
            let got = self.file.read_at(&mut word, page * PAGE_SIZE as u64).unwrap();
            let found = u64::from_le_bytes(word);
            let empty = self.cut && (got == 0 || found == 0);
            let its_own = found >> 40 == self.number << 16 | page;
            assert!(empty || its_own, "a glance at page {page}: {found:#x}");
        }
    }

    fn check(&self, page: u64, known: u64, found: &[u8], way: u8) {
        let words = found.as_chunks::<8>().0;
        let first = u64::from_le_bytes(words[0]);
        let torn = words.iter().position(|word| *word != words[0]);
        assert_eq!(torn, None, "page {page} is torn, read in way {way}: {first:#x} first");
        if self.cut && first == 0 {
            return;
        }
        let newest = self.begun[page as usize].load(SeqCst);
        let allowed = word(self.number, page, known)..=word(self.number, page, newest);
        assert!(allowed.contains(&first), "page {page}, way {way}: {first:#x}, not {allowed:#x?}");
    }

    fn write(&self, page: u64, way: u8) {
        let generation = self.begun[page as usize].fetch_add(1, SeqCst) + 1;
        let (new, offset) = (bytes(word(self.number, page, generation)), page * PAGE_SIZE as u64);
        match way {
            0 => self.file.write_at(&new, offset).unwrap(),
            1 => self.view.write(&new, offset).unwrap(),
            _ => self.file.page_mut(PageIndex(page)).unwrap().write(0, &new),
        }
        self.acknowledged[page as usize].store(generation, SeqCst);
    }

    /// Cuts the file off at a page, and writes what was cut off again.
    fn cut(&self, rng: &mut Rng) {
        let first = rng.u64(..PAGES);
        self.file.set_len(first * PAGE_SIZE as u64).unwrap();
        for page in first..(first + rng.u64(1..8)).min(PAGES) {
            self.write(page, 0);
        }
        if rng.bool() {
            self.file.set_len(PAGES * PAGE_SIZE as u64).unwrap();
        }
    }
}

fn copy(pin: &[u8], into: &mut [u8]) -> usize {
    into[..pin.len()].copy_from_slice(pin);
    pin.len()
}

/// Plays one round of so many reads.
pub fn play(seed: u64, reads: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node.clone()).node(node).background(rng.bool());
    let cache = cache.build().unwrap();
    let order = *rng.choice([0, 0, 1].iter()).unwrap();
    let hot = [Hot::new(&cache, 1, order, false), Hot::new(&cache, 2, order, true)];
    let over = AtomicBool::new(false);
    crew(|threads| {
        let (hot, over) = (&hot, &over);
        for work in [write, churn, cut] {
            let mut rng = rng.fork();
            threads.spawn(move || {
                let _alarm = Alarm(over);
                while !over.load(SeqCst) {
                    work(hot, &mut rng);
                }
            });
        }
        for _ in 0..2 {
            let rng = rng.fork();
            threads.spawn(move || {
                let _alarm = Alarm(over);
                look(hot, reads / 2, rng, over);
            });
        }
    });
    drop(hot);
    rest::check_empty(&cache);
    reads
}

/// Ends the round when a thread is done, or has failed.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn look(hot: &[Hot; 2], reads: u64, mut rng: Rng, over: &AtomicBool) {
    let mut into = vec![0; PAGE_SIZE];
    for read in 0..reads {
        let page = if read % 16 == 0 { rng.u64(..PAGES) } else { rng.u64(..HOT) };
        hot[usize::from(read % 4 == 0)].read(
            page,
            [0, 0, 0, 1, 1, 2, 3][rng.usize(..7)],
            &mut into,
        );
        hot[usize::from(read % 4 == 1)].glance(page);
        if read % 64 == 0 {
            seed::step();
            if over.load(SeqCst) {
                return;
            }
        }
    }
}

fn write(hot: &[Hot; 2], rng: &mut Rng) {
    hot[0].write(rng.u64(..HOT), rng.u8(..3));
}

/// Frames change their pages.
fn churn(hot: &[Hot; 2], rng: &mut Rng) {
    let file = &hot[usize::from(rng.u8(..4) == 0)].file;
    let how = Migrate::new().mode(Mode::Async).form(*rng.choice(Form::ALL.iter()).unwrap());
    let pages = rng.u64(..HOT)..HOT;
    match rng.u8(..3) {
        0 => drop(file.migrate(pages, NodeId(rng.u8(..2)), &how).unwrap()),
        1 => drop(file.evict(pages).unwrap()),
        _ => drop(file.load(HOT..PAGES).unwrap()),
    }
}

fn cut(hot: &[Hot; 2], rng: &mut Rng) {
    hot[1].cut(rng);
}
