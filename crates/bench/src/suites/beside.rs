//! Readers and writers while every page is moving, beside the same next to a thread that only
//! copies memory; and what they cost the mover.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use refolio::{Event, File, Migrate, NodeId, PAGE_SIZE};

use super::Run;
use super::migrate::{Kind, Pages, copy};
use crate::contest::{Contest, LIMIT};
use crate::cpus;
use crate::error::{Error, Result};
use crate::limits::arena::Arena;
use crate::limits::copy::{Copier, copiers};
use crate::noise::{Lap, Timing};
use crate::picks::Picks;
use crate::reach;
use crate::resident;
use crate::results::Role;

/// Pages in one call of `migrate`, so that the mover sees in time that the others are done.
const CHUNK: u64 = 4096;

const COPYING: &str = "beside a thread that copies (memcpy)";
const MOVING: &str = "Refolio, while every page moves";
const ALONE: &str = "while nothing else goes on";

/// What users of pages do.
#[derive(Clone, Copy, Debug)]
enum Use {
    Read,
    Write,
}

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let bytes = run.plan.bytes;
    let cache = resident::cache(bytes)?;
    let pages = Pages::new(&cache, Kind::Clean, bytes, 0, run.host)?;
    let Pages::File(file) = &pages else { return Ok(()) };
    pages.round(0)?;
    pages.round(0)?;
    let things = RefCell::new(Things {
        mover: Mover { pages: &pages, at: 0, node: 1 },
        copier: Copying { arena: Arena::large(2 * bytes)?, copier: copiers()[0].1 },
    });
    users(run, &things, file, Use::Read)?;
    users(run, &things, file, Use::Write)?;
    stalls(run, &things, file)?;
    frozen(run, &things, file)?;
    movers(run, &things, file)?;
    pages.verify()
}

/// What goes on beside.
struct Things<'p> {
    mover: Mover<'p>,
    copier: Copying,
}

/// Moves chunk after chunk to the other node, and then all of them back.
struct Mover<'p> {
    pages: &'p Pages,
    at: u64,
    node: u8,
}

impl Mover<'_> {
    /// How many pages moved: one that a writer has in hands stays where it is.
    fn chunk(&mut self) -> Result<u64> {
        self.chunk_as(&Migrate::new())
    }

    fn chunk_as(&mut self, how: &Migrate<'_>) -> Result<u64> {
        let count = self.pages.count();
        let end = (self.at + CHUNK).min(count);
        let moved = self.pages.shift(self.at..end, NodeId(self.node), how)?;
        self.at = end % count;
        self.node ^= u8::from(self.at == 0);
        Ok(moved)
    }

    /// Looks at the clock when a page is frozen, and when it is not any more: a quantile of the times
    /// between, in nanoseconds; and how many pages moved.
    fn chunk_timed(&mut self, quantile: f64) -> Result<(f64, u64)> {
        let times = Histogram::<u64>::new(2).map_err(Error::while_("making a histogram"))?;
        let times = RefCell::new(times);
        let watcher = |event: &Event| {
            if let Some(frozen) = event.frozen {
                times.borrow_mut().saturating_record(frozen.as_nanos() as u64);
            }
        };
        let moved = self.chunk_as(&Migrate::new().watch(&watcher))?;
        let times = times.into_inner();
        Ok((times.value_at_quantile(quantile) as f64, moved))
    }
}

struct Copying {
    arena: Arena,
    copier: Copier,
}

impl Copying {
    /// How many pages were copied.
    fn chunk(&mut self) -> Result<u64> {
        copy(&mut self.arena, self.copier, PAGE_SIZE, CHUNK as usize * PAGE_SIZE);
        Ok(CHUNK)
    }
}

/// `user` on one CPU, while `other` goes on, on another one, until it is told that the user is done;
/// it says how many pages it came to. Lost is what either thread lost; the figures are the user's,
/// and the other's for a page.
pub fn beside<T: Send>(
    user: impl FnOnce() -> Result<(Timing, T)> + Send,
    other: impl FnOnce(&AtomicBool) -> Result<u64> + Send,
) -> Result<(Timing, T, Timing)> {
    let done = &AtomicBool::new(false);
    let (user, other) = std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            cpus::at(0, || {
                let lap = Lap::start();
                other(done).map(|pages| lap.stop(pages))
            })
        });
        let user = scope.spawn(|| cpus::at(1, user));
        let user = cpus::join(user);
        done.store(true, Ordering::Relaxed);
        (user, cpus::join(other))
    });
    let ((user, found), other) = (user?, other?);
    let lost = user.lost.max(other.lost);
    Ok((Timing { lost, ..user }, found, Timing { lost, ..other }))
}

/// Calls it until the user is done; how many pages that came to.
fn over_and_over(
    mut call: impl FnMut() -> Result<u64> + Send,
) -> impl FnOnce(&AtomicBool) -> Result<u64> + Send {
    move |done| {
        let mut pages = 0;
        while !done.load(Ordering::Relaxed) {
            pages += call()?;
        }
        Ok(pages)
    }
}

/// Its pages, each as often as any other.
fn all_of(file: &File) -> Picks {
    Picks::Uniform { pages: file.len() / PAGE_SIZE as u64 }
}

/// 64 bytes at random places, over and over.
fn using(file: &File, what: Use, span: Duration) -> Result<(Timing, ())> {
    let (mut line, mut wrong) = ([0; 64], None);
    let timing = reach::repeat(&all_of(file), span, |page, at| {
        let offset = page * PAGE_SIZE as u64 + at as u64;
        let failed = match what {
            Use::Read => file.read_at(std::hint::black_box(&mut line), offset).err(),
            Use::Write => {
                // The bytes that are there already: all of them are checked at the end.
                let first = offset / 8;
                for (word, n) in line.as_chunks_mut::<8>().0.iter_mut().zip(0..) {
                    *word = resident::word(first + n).to_le_bytes();
                }
                file.write_at(&line, offset).err()
            }
        };
        if failed.is_some() {
            wrong = failed;
        }
    });
    match wrong {
        None => Ok((timing, ())),
        Some(error) => Err(Error::failed("using a page that moves", error)),
    }
}

/// A reader, or a writer.
fn users(run: &mut Run<'_>, things: &RefCell<Things<'_>>, file: &File, what: Use) -> Result<()> {
    let span = run.plan.span;
    let title = match what {
        Use::Read => "a reader, 64 bytes, uniform",
        Use::Write => "a writer, 64 bytes, uniform",
    };
    let mut contest = Contest::of_times(title, "ns");
    contest.add(Role::Limit, COPYING, || {
        let copier = &mut things.borrow_mut().copier;
        let copying = over_and_over(|| copier.chunk());
        Ok(beside(|| using(file, what, span), copying)?.0)
    });
    contest.add(Role::Refolio, MOVING, || {
        let mover = &mut things.borrow_mut().mover;
        Ok(beside(|| using(file, what, span), over_and_over(|| mover.chunk()))?.0)
    });
    contest.add(Role::Other, ALONE, || Ok(cpus::on(1, || using(file, what, span))?.0));
    if matches!(what, Use::Read) {
        contest.costs_at_most(1.10, MOVING, LIMIT);
    }
    run.contest(contest)
}

/// How long the slowest reads take: each is timed by itself.
fn stalls(run: &mut Run<'_>, things: &RefCell<Things<'_>>, file: &File) -> Result<()> {
    let span = run.plan.span;
    for (quantile, name) in [(0.99, "p99"), (0.999, "p99.9")] {
        let title = format!("a read of 64 bytes, {name} of its time, each timed");
        let mut contest = Contest::of_times(title, "ns");
        let timed = move || timed(file, span, quantile);
        contest.add(Role::Other, COPYING, || {
            let copier = &mut things.borrow_mut().copier;
            let copying = over_and_over(|| copier.chunk());
            let (timing, each, _) = beside(timed, copying)?;
            Ok(Timing { each, ..timing })
        });
        contest.add(Role::Refolio, MOVING, || {
            let mover = &mut things.borrow_mut().mover;
            let (timing, each, _) = beside(timed, over_and_over(|| mover.chunk()))?;
            Ok(Timing { each, ..timing })
        });
        if name == "p99.9" {
            contest.is_at_most(20_000.0, MOVING);
        }
        run.contest(contest)?;
    }
    Ok(())
}

/// How long nobody can get a reference to a page that moves.
fn frozen(run: &mut Run<'_>, things: &RefCell<Things<'_>>, file: &File) -> Result<()> {
    const ALONE: &str = "Refolio, each page timed, nobody reads";
    const READ: &str = "Refolio, each page timed, beside a reader";
    let span = run.plan.span;
    let mut contest = Contest::of_times("how long a page is frozen, p99", "ns");
    contest.add(Role::Refolio, ALONE, || {
        let mover = &mut things.borrow_mut().mover;
        cpus::on(0, || {
            let lap = Lap::start();
            let (each, pages) = mover.chunk_timed(0.99)?;
            Ok(Timing { each, ..lap.stop(pages) })
        })
    });
    contest.add(Role::Other, READ, || {
        let mover = &mut things.borrow_mut().mover;
        let mut each = 0.0;
        let moving = |done: &AtomicBool| {
            let mut pages = 0;
            loop {
                let (of_chunk, moved) = mover.chunk_timed(0.99)?;
                (each, pages) = (of_chunk, pages + moved);
                if done.load(Ordering::Relaxed) {
                    return Ok(pages);
                }
            }
        };
        let (timing, ..) = beside(|| using(file, Use::Read, span), moving)?;
        Ok(Timing { each, ..timing })
    });
    contest.is_at_most(300.0, ALONE);
    contest.is_at_most(300.0, READ);
    run.contest(contest)
}

/// Reads for a while; a quantile of their times, in nanoseconds.
fn timed(file: &File, span: Duration, quantile: f64) -> Result<(Timing, f64)> {
    let mut rng = fastrand::Rng::new();
    let mut line = [0; 64];
    let mut times = Histogram::<u64>::new(2).map_err(Error::while_("making a histogram"))?;
    let mut one = || {
        let offset = rng.u64(..file.len() / 64) * 64;
        let start = Instant::now();
        let done = file.read_at(std::hint::black_box(&mut line), offset);
        times.saturating_record(start.elapsed().as_nanos() as u64);
        match done {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    };
    let (lap, mut done) = (Lap::start(), 0);
    while lap.elapsed() < span {
        if let ControlFlow::Break(error) = (0..1024).try_for_each(|_| one()) {
            return Err(Error::failed("reading a page that moves", error));
        }
        done += 1024;
    }
    Ok((lap.stop(done), times.value_at_quantile(quantile) as f64))
}

/// What users cost the mover.
fn movers(run: &mut Run<'_>, things: &RefCell<Things<'_>>, file: &File) -> Result<()> {
    let span = run.plan.span;
    let mut contest = Contest::of_times("moving clean pages, order 0, beside users", "ns per page");
    contest.add(Role::Limit, "memcpy beside a reader", || {
        let copier = &mut things.borrow_mut().copier;
        let copying = over_and_over(|| copier.chunk());
        Ok(beside(|| using(file, Use::Read, span), copying)?.2)
    });
    for (name, what) in
        [("Refolio, beside a reader", Use::Read), ("Refolio, beside a writer", Use::Write)]
    {
        contest.add(Role::Refolio, name, move || {
            let mover = &mut things.borrow_mut().mover;
            Ok(beside(|| using(file, what, span), over_and_over(|| mover.chunk()))?.2)
        });
    }
    run.contest(contest)
}
