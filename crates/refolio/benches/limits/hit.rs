//! Hits: reads of pages that are resident, at independent random places, against a bare load of
//! the same 64 bytes.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::time::Duration;

use refolio::{Cache, File, FillBuf, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex, Store};

use crate::Plan;
use crate::arena::Arena;
use crate::noise::{self, Lap, Timing};
use crate::table::{Must, Row};

/// How long one measurement takes.
const SPAN: Duration = Duration::from_millis(250);

/// A store of any size that takes no memory: every word is a number of its own. What is written to
/// it is lost.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub bytes: usize,
}

/// Word `n` of [`Words`].
#[inline]
pub fn word(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// A page of [`Words`].
pub fn page(index: u64) -> [u8; PAGE_SIZE] {
    let mut bytes = [0; PAGE_SIZE];
    for (at, chunk) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *chunk = word(index * (PAGE_SIZE / 8) as u64 + at as u64).to_le_bytes();
    }
    bytes
}

impl Store for Words {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        for at in (0..into.len()).step_by(PAGE_SIZE) {
            into.write(at, &page((offset + at as u64) / PAGE_SIZE as u64));
        }
        Ok(into.len())
    }

    fn write(&self, _offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A cache with two nodes, each of which has room for `bytes`; nothing runs in the background.
pub fn cache(bytes: usize, name_holders: bool) -> Cache {
    // Allocation leaves a 256th part free.
    let node = || NodeOptions::new((bytes + bytes / 64).next_multiple_of(2 << 20) as u64);
    let builder = Cache::builder().node(node()).node(node());
    builder.name_holders(name_holders).background(false).build().expect("memory for the nodes")
}

/// A file of `bytes` that is resident on the first node, its pages in shuffled frames.
pub fn resident(cache: &Cache, bytes: usize, order: u32) -> File {
    let options = OpenOptions::new().order(order);
    let file = cache.open_store(Words { bytes }, &options).expect("a store that does not fail");
    let mut folios: Vec<u64> = (0..(bytes / PAGE_SIZE) as u64).step_by(1 << order).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut folios);
    for index in folios {
        file.load(index..index + 1).expect("room in the node");
    }
    assert_eq!(file.cached_pages(), (bytes / PAGE_SIZE) as u64);
    file
}

/// Runs `operation` for a while, with the page and the byte of a random 64 byte line.
#[inline(always)]
pub fn random(bytes: usize, mut operation: impl FnMut(u64, usize)) -> Timing {
    let pages = (bytes / PAGE_SIZE) as u64;
    let mut rng = fastrand::Rng::new();
    let (mut lap, mut done) = (None, 0);
    loop {
        for _ in 0..4096 {
            let random = rng.u64(..);
            let line = random as usize % (PAGE_SIZE / 64);
            operation(((random >> 32) * pages) >> 32, line * 64);
        }
        match &lap {
            // The first ones warm up.
            None => lap = Some(Lap::start()),
            Some(lap) if lap.elapsed() < SPAN => done += 4096,
            Some(_) => break,
        }
    }
    lap.map(|lap| lap.stop(done + 4096)).expect("begun above")
}

/// An optimistic read of 64 bytes.
#[inline(always)]
pub fn read(file: &File, line: &mut [u8; 64], page: u64, at: usize) {
    let done = file.read_at(line, page * PAGE_SIZE as u64 + at as u64);
    assert!(matches!(done, Ok(64)));
    black_box(line);
}

#[inline(always)]
fn pinned(file: &File, page: u64, at: usize) {
    let pin = file.page(PageIndex(page)).expect("a page that can be pinned");
    let line = *pin[at..].first_chunk::<64>().expect("64 bytes");
    black_box(&line);
}

/// Whether the pages are what they were.
pub fn verify(file: &File) {
    let mut bytes = [0; PAGE_SIZE];
    for index in 0..file.len() / PAGE_SIZE as u64 {
        file.read_at(&mut bytes, index * PAGE_SIZE as u64).expect("a page that can be read");
        assert!(bytes == page(index), "page {index} has changed");
    }
}

/// The rows of this bench.
pub fn rows(plan: Plan) -> Vec<Row> {
    noise::stay_on(0);
    let (bytes, arena) = (plan.bytes, Arena::new(plan.bytes));
    let (plain, named) = (cache(bytes, false), cache(bytes, true));
    let (plain, named) = (resident(&plain, bytes, 0), resident(&named, bytes, 0));
    let mut line = [0; 64];
    let reps = noise::repeat(plan.reps, || {
        let place = |page: u64, at| page as usize * PAGE_SIZE + at;
        vec![
            random(bytes, |page, at| _ = black_box(arena.load_words(place(page, at)))),
            random(bytes, |page, at| _ = black_box(&arena.load(place(page, at)))),
            random(bytes, |page, at| read(&plain, &mut line, page, at)),
            random(bytes, |page, at| pinned(&plain, page, at)),
            random(bytes, |page, at| pinned(&named, page, at)),
        ]
    });
    verify(&plain);
    verify(&named);
    let row = |at: usize, what: &str, limit: usize, must| Row {
        what: what.into(),
        unit: "ns",
        ours: reps.spread(at),
        limit: Some((reps.spread(limit), LIMITS[limit])),
        ratio: Some(reps.ratio(at, limit)),
        must,
        rejected: reps.rejected,
    };
    let operations = [
        (2, "optimistic read of 64 bytes", Must::AtMost(2.2)),
        (3, "pin, read 64 bytes, unpin; holders unnamed", Must::AtMost(2.5)),
        (4, "pin, read 64 bytes, unpin; holders named", Must::AtMost(2.5)),
    ];
    let by_words = operations.map(|(at, what, must)| row(at, what, 0, must));
    let widest = operations.map(|(at, what, _)| row(at, what, 1, Must::Nothing));
    let naming = row(4, "naming the holder of a pin", 3, Must::Nothing);
    by_words.into_iter().chain(widest).chain([naming]).collect()
}

/// What each measurement is called where it is held against. (What must be reached was set by the
/// first one: eight loads of a word.)
const LIMITS: [&str; 4] =
    ["bare load, 8 words", "bare load, widest registers", "", "holder not named"];
