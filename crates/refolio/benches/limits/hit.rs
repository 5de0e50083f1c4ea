//! Hits: reads and pins of pages that are resident, at random places, against a bare load of the
//! same bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use refolio::{File, PAGE_SIZE, PageIndex};

use crate::Plan;
use crate::bare::{Bare, BarePins};
use crate::noise::{self, Lap, Reps, Timing};
use crate::resident;
use crate::table::{Must, Row};

/// How long one measurement takes.
const SPAN: Duration = Duration::from_millis(250);

/// What is read goes to whole cache lines, as what is loaded bare does.
#[repr(align(64))]
struct Aligned<T>(T);

/// A random 64 byte line: its page, and its first byte in there.
#[derive(Clone, Copy, Default)]
struct Line64 {
    page: u32,
    at: u32,
}

/// Runs `operation` for a while, with the page and the byte of random 64 byte lines of `bytes`.
///
/// The lines are drawn before, not in the time that is taken: the fewer instructions there are
/// between two operations, the more of them the processor has in flight, and a random number has
/// as many as the load that it is drawn for.
#[inline(always)]
pub fn random(bytes: usize, mut operation: impl FnMut(u64, usize)) -> Timing {
    let pages = (bytes / PAGE_SIZE) as u32;
    let mut rng = fastrand::Rng::new();
    let mut lines = [Line64::default(); STEPS];
    let (mut lap, mut done, mut taken) = (None, 0, Duration::ZERO);
    loop {
        lines.fill_with(|| Line64 { page: rng.u32(..pages), at: rng.u32(..64) * 64 });
        let start = Instant::now();
        for line in &lines {
            operation(u64::from(line.page), line.at as usize);
        }
        let block = start.elapsed();
        match &lap {
            // The first ones warm up.
            None => lap = Some(Lap::start()),
            Some(lap) => {
                (done, taken) = (done + STEPS as u64, taken + block);
                if lap.elapsed() > SPAN {
                    break;
                }
            }
        }
    }
    lap.map(|lap| lap.stop_busy(taken, done)).expect("begun above")
}

/// Lines that are drawn at a time.
const STEPS: usize = 1024;

/// The same, each line depending on what was found in the one before.
#[inline(always)]
fn dependent(bytes: usize, mut operation: impl FnMut(u64, usize) -> u64) -> Timing {
    let mut found = 0;
    random(bytes, |page, at| found = operation(page ^ (found >> 63), at))
}

/// The same as [`random`], with each line told to `ahead` before [`AHEAD`] others have their turn.
#[inline(always)]
fn told_ahead(
    bytes: usize,
    mut ahead: impl FnMut(u64, usize),
    mut operation: impl FnMut(u64, usize),
) -> Timing {
    let (mut lines, mut turn) = ([(0, 0); AHEAD], 0);
    random(bytes, |page, at| {
        ahead(page, at);
        let (page, at) = std::mem::replace(&mut lines[turn % AHEAD], (page, at));
        turn += 1;
        operation(page, at);
    })
}

/// Lines that are asked for before they are needed.
const AHEAD: usize = 16;

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
    let line = pin[at..].first_chunk::<64>().expect("64 bytes");
    black_box(sum(line));
}

/// The words of a line, added up, as [`Bare::load_words`] does.
#[inline(always)]
fn sum(line: &[u8; 64]) -> u64 {
    let words = line.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(0, u64::wrapping_add)
}

/// A measurement, and what it is held against.
struct Line {
    what: &'static str,
    of: usize,
    limit: (usize, &'static str),
    must: Must,
}

fn line(what: &'static str, of: usize, limit: (usize, &'static str), must: Must) -> Line {
    Line { what, of, limit, must }
}

fn rows_of(reps: &Reps, lines: &[Line]) -> Vec<Row> {
    let row = |line: &Line| Row {
        what: line.what.into(),
        unit: "ns",
        ours: reps.spread(line.of),
        limit: Some((reps.spread(line.limit.0), line.limit.1)),
        ratio: Some(reps.ratio(line.of, line.limit.0)),
        must: line.must,
        rejected: reps.rejected,
    };
    lines.iter().map(row).collect()
}

/// The rows of this bench.
pub fn rows(plan: Plan) -> Vec<Row> {
    noise::stay_on(0);
    let bytes = plan.bytes;
    let mut rows = Vec::new();
    for name_holders in [true, false] {
        let cache = resident::nodes(bytes).name_holders(name_holders).build();
        let file = resident::file(&cache.expect("memory for the nodes"), bytes, 0);
        let bare = Bare::new(&file);
        if name_holders {
            rows.extend(reads(plan, &file, bare));
            rows.extend(told(plan, &file, bare));
        }
        rows.extend(pins(plan, &file, bare, name_holders));
        resident::verify(&file);
    }
    rows
}

#[inline(always)]
fn place(page: u64, at: usize) -> usize {
    page as usize * PAGE_SIZE + at
}

/// Optimistic reads: independent, dependent, of whole pages.
fn reads(plan: Plan, file: &File, bare: Bare<'_>) -> Vec<Row> {
    let bytes = plan.bytes;
    let (mut line64, mut page4k) = (Aligned([0; 64]), Aligned([0; PAGE_SIZE]));
    let (line64, page4k) = (&mut line64.0, &mut page4k.0);
    let independent = noise::repeat(plan.reps, || {
        vec![
            random(bytes, |page, at| _ = black_box(bare.load_words(place(page, at)))),
            random(bytes, |page, at| _ = black_box(&bare.load(place(page, at)))),
            random(bytes, |page, at| read(file, line64, page, at)),
        ]
    });
    let word = |line: &[u8; 64]| line.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let dependent = noise::repeat(plan.reps, || {
        vec![
            dependent(bytes, |page, at| word(black_box(&bare.load(place(page, at))))),
            dependent(bytes, |page, at| {
                read(file, line64, page, at);
                word(line64)
            }),
        ]
    });
    let whole = noise::repeat(plan.reps, || {
        vec![
            random(bytes, |page, _| {
                bare.copy_page(place(page, 0), page4k);
                black_box(&*page4k);
            }),
            random(bytes, |page, _| {
                let done = file.read_at(page4k, page * PAGE_SIZE as u64);
                assert!(matches!(done, Ok(PAGE_SIZE)));
                black_box(&*page4k);
            }),
        ]
    });
    let what = "optimistic read of 64 bytes";
    let mut rows = rows_of(
        &independent,
        &[line(what, 2, WORDS, Must::AtMost(1.6)), line(what, 2, (1, WIDEST), Must::Nothing)],
    );
    let what = "optimistic read of 64 bytes, dependent";
    rows.extend(rows_of(&dependent, &[line(what, 1, (0, WIDEST), Must::AtMost(1.25))]));
    let what = "optimistic read of 4 KiB";
    rows.extend(rows_of(&whole, &[line(what, 1, (0, "memcpy of 4 KiB"), Must::AtMost(1.1))]));
    rows
}

/// Reads and pins of lines that were told ahead.
fn told(plan: Plan, file: &File, bare: Bare<'_>) -> Vec<Row> {
    let bytes = plan.bytes;
    let mut line64 = Aligned([0; 64]);
    let line64 = &mut line64.0;
    let ahead = |page, at| file.prefetch(place(page, at) as u64);
    let reps = noise::repeat(plan.reps, || {
        vec![
            random(bytes, |page, at| _ = black_box(bare.load_words(place(page, at)))),
            told_ahead(bytes, ahead, |page, at| read(file, line64, page, at)),
            told_ahead(bytes, ahead, |page, at| pinned(file, page, at)),
        ]
    });
    let lines = [
        line("prefetch 16 ahead, optimistic read of 64 bytes", 1, WORDS, Must::Nothing),
        line("prefetch 16 ahead, pin, read 64 bytes, unpin", 2, WORDS, Must::Nothing),
    ];
    rows_of(&reps, &lines)
}

/// Pins of a random page.
fn pins(plan: Plan, file: &File, bare: Bare<'_>, named: bool) -> Vec<Row> {
    let bytes = plan.bytes;
    let bare_pins = BarePins::new(bare);
    let reps = noise::repeat(plan.reps, || {
        vec![
            random(bytes, |page, at| _ = black_box(bare.load_words(place(page, at)))),
            random(bytes, |page, at| _ = black_box(&bare_pins.load(page, at))),
            random(bytes, |page, at| pinned(file, page, at)),
        ]
    });
    let what = if named {
        "pin, read 64 bytes, unpin; holders named"
    } else {
        "pin, read 64 bytes, unpin; holders not named"
    };
    let mut lines = vec![
        line(what, 2, WORDS, Must::AtMost(1.8)),
        line(what, 2, (1, "bare exchange, load, subtraction"), Must::Nothing),
    ];
    if named {
        lines.push(line("bare exchange, load, subtraction", 1, WORDS, Must::Nothing));
    }
    rows_of(&reps, &lines)
}

/// What reads and pins are held against. (What must be reached was set by it.)
const WORDS: (usize, &str) = (0, "bare load, 8 words");
const WIDEST: &str = "bare load, widest registers";
