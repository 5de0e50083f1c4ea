//! Reads of pages at random places, over and over, by whatever reaches them.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;

use crate::cpus;
use crate::error::{Error, Result};
use crate::noise::{Lap, Timing};
use crate::picks::{Draws, Pick, Picks};

/// A way to reach a page, for many threads at a time.
pub trait Reach: Sync {
    /// What a thread needs for it besides room.
    type Own;

    /// For a new thread.
    fn own(&self) -> Result<Self::Own>;

    /// Reads all of 64 bytes, to the hand's room or where they are.
    fn line(&self, hand: &mut Hand, own: &mut Self::Own, page: u64, at: usize);

    /// The same, and a number that depends on what was found.
    #[inline(always)]
    fn chain(&self, hand: &mut Hand, own: &mut Self::Own, page: u64, at: usize) -> u64 {
        self.line(hand, own, page, at);
        first_word(&hand.line.0)
    }

    /// Reads all of a page, to the hand's room or where it is.
    fn page(&self, hand: &mut Hand, own: &mut Self::Own, page: u64);
}

/// What a thread has for itself. What is read goes to whole cache lines, as what is loaded bare
/// does.
#[derive(Debug)]
#[repr(align(4096))]
pub struct Hand {
    /// Room for a page.
    pub page: [u8; PAGE_SIZE],
    /// Room for a line.
    pub line: Line,
    /// Something could not be read.
    wrong: bool,
}

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Line(pub [u8; 64]);

impl Hand {
    fn new() -> Box<Self> {
        Box::new(Self { page: [0; PAGE_SIZE], line: Line([0; 64]), wrong: false })
    }

    /// Something could not be read, or not all of it: the measurement will be an error. (What it was
    /// is not kept: that would make each read slower.)
    #[cold]
    pub fn fail(&mut self) {
        self.wrong = true;
    }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 64 bytes.
    Line,
    /// 64 bytes, which ones depending on what was found in those before.
    Chain,
    /// A whole page.
    Page,
}

impl Shape {
    /// For titles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "64 bytes",
            Self::Chain => "64 bytes, each known only from the last",
            Self::Page => "4 KiB",
        }
    }
}

/// Lines that are drawn at a time.
const STEPS: usize = 1024;

/// Reads for so long on so many threads, each on a CPU of its own; the time for a read on a thread.
pub fn measure<R: Reach>(
    reach: &R,
    picks: &Picks,
    shape: Shape,
    threads: usize,
    span: Duration,
) -> Result<Timing> {
    let start = Barrier::new(threads);
    let one = || race(reach, picks, shape, &start, span);
    let timings: Result<Vec<Timing>> = std::thread::scope(|scope| {
        let spawn = |n| scope.spawn(move || cpus::at(n, one));
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().map(cpus::join).collect()
    });
    Ok(mean(&timings?))
}

/// Of threads that ran side by side.
pub fn mean(timings: &[Timing]) -> Timing {
    let each = timings.iter().map(|timing| timing.each).sum::<f64>() / timings.len() as f64;
    Timing { each, lost: timings.iter().map(|timing| timing.lost).fold(0.0, f64::max) }
}

fn race<R: Reach>(
    reach: &R,
    picks: &Picks,
    shape: Shape,
    start: &Barrier,
    span: Duration,
) -> Result<Timing> {
    let own = reach.own();
    start.wait();
    let (hand, own) = (&mut *Hand::new(), &mut own?);
    let timing = match shape {
        Shape::Line => repeat(picks, span, |page, at| reach.line(hand, own, page, at)),
        Shape::Chain => {
            let mut found = 0;
            // Pages come in pairs.
            repeat(picks, span, |page, at| {
                found = reach.chain(hand, own, page ^ (found >> 63), at);
            })
        }
        Shape::Page => repeat(picks, span, |page, _| {
            reach.page(hand, own, page);
            black_box(&hand.page);
        }),
    };
    match hand.wrong {
        false => Ok(timing),
        true => Err(Error::failed("reading at random", "a page could not be read whole")),
    }
}

/// Calls `step` for a while, with random lines; the time for a call.
///
/// The lines are drawn before, not in the time that is taken: the fewer instructions there are
/// between two steps, the more of them the processor has in flight, and a random number has as many
/// as the load that it is drawn for.
#[inline(always)]
pub fn repeat(picks: &Picks, span: Duration, mut step: impl FnMut(u64, usize)) -> Timing {
    let mut draws = Draws::new(picks);
    let mut lines = [Pick::default(); STEPS];
    let (mut lap, mut done, mut taken) = (None, 0, Duration::ZERO);
    loop {
        draws.fill(&mut lines);
        let start = Instant::now();
        // The one place that calls it: else it would be a function.
        for line in &lines {
            step(u64::from(line.page), line.at as usize);
        }
        let block = start.elapsed();
        match &lap {
            // The first ones warm up.
            None => lap = Some(Lap::start()),
            Some(lap) => {
                (done, taken) = (done + STEPS as u64, taken + block);
                if lap.elapsed() >= span {
                    break;
                }
            }
        }
    }
    lap.map_or(Timing { each: f64::NAN, lost: 1.0 }, |lap| lap.stop_busy(taken, done))
}

/// The words of a line, added up, where they are.
#[inline(always)]
pub fn sum(line: &[u8; 64]) -> u64 {
    let words = line.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(0, u64::wrapping_add)
}

/// The first word of a line.
#[inline(always)]
pub fn first_word(line: &[u8; 64]) -> u64 {
    line.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}
