//! From one thread to as many as there are CPUs: reads, pins and moves.

use refolio::PAGE_SIZE;

use super::Run;
use super::migrate::{Kind, Pages, copy};
use crate::contest::Contest;
use crate::cpus;
use crate::error::Result;
use crate::limits::arena::Arena;
use crate::limits::bare::Bare;
use crate::limits::copy::copiers;
use crate::noise::Timing;
use crate::picks::Picks;
use crate::reach::{self, Reach, Shape};
use crate::resident;
use crate::results::Role;
use crate::ways::{Pin, Read};

/// The least speed of two threads, in that of one.
const TWO: f64 = 1.95;

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let most = run.plan.threads.min(cpus::count());
    let counts = counts(most);
    hits(run, &counts)?;
    moves(run, &counts)?;
    if most == 1 {
        run.note("one thread, or one CPU: nothing to compare it with");
    }
    Ok(format!("1 to {most} threads, each on a CPU of its own; all of them together"))
}

/// 1, 2, 4, … and all of them.
fn counts(most: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < most).collect();
    counts.push(most);
    counts
}

fn named(what: &str, threads: usize) -> String {
    if threads == 1 { format!("{what}, 1 thread") } else { format!("{what}, {threads} threads") }
}

/// Reads and pins.
fn hits(run: &mut Run<'_>, counts: &[usize]) -> Result<()> {
    const READ: &str = "Refolio, optimistic read";
    const PIN: &str = "Refolio, pin, read, unpin";
    let bytes = run.plan.bytes;
    let cache = resident::build(resident::nodes(bytes))?;
    let file = resident::file(&cache, bytes, 0, run.host)?;
    let bare = Bare::of_file(&file)?;
    let picks = Picks::Uniform { pages: (bytes / PAGE_SIZE) as u64 };
    for shape in [Shape::Line, Shape::Page] {
        let title = format!("{}, uniform, by threads", shape.name());
        let mut contest = Contest::of_rates(title, "million/s");
        for threads in counts {
            let mut add = Together { contest: &mut contest, run, picks: &picks, shape };
            add.way(Role::Refolio, READ, Read(&file), *threads);
            add.way(Role::Refolio, PIN, Pin(&file), *threads);
            add.way(Role::Other, "bare load", bare, *threads);
        }
        if counts.contains(&2) && shape == Shape::Line {
            for what in [READ, PIN, "bare load"] {
                contest.is_at_least(TWO, &named(what, 2), &named(what, 1));
            }
        }
        run.contest(contest)?;
    }
    Ok(())
}

/// Threads whose reads are added up.
struct Together<'a, 'c> {
    contest: &'a mut Contest<'c>,
    run: &'a Run<'c>,
    picks: &'c Picks,
    shape: Shape,
}

impl<'c> Together<'_, 'c> {
    fn way(&mut self, role: Role, what: &str, way: impl Reach + 'c, threads: usize) {
        let (picks, shape, span) = (self.picks, self.shape, self.run.plan.span);
        self.contest.add(role, named(what, threads), move || {
            let timing = reach::measure(&way, picks, shape, threads, span)?;
            Ok(timing.rate(threads as f64 / 1e6))
        });
    }
}

/// Every thread with a file of its own, and a part of bare memory.
fn moves(run: &mut Run<'_>, counts: &[usize]) -> Result<()> {
    const MOVE: &str = "Refolio, clean pages, order 0";
    let most = counts.iter().copied().max().unwrap_or(1);
    let part = (run.plan.bytes / most / PAGE_SIZE).max(64) * PAGE_SIZE;
    let cache = resident::cache(part * most)?;
    let files: Result<Vec<Pages>> =
        (0..most).map(|_| Pages::new(&cache, Kind::Clean, part, 0, run.host)).collect();
    let files = files?;
    for file in &files {
        file.round(0)?;
    }
    let arenas: Result<Vec<Arena>> = (0..most).map(|_| Arena::large(2 * part)).collect();
    let arenas = std::cell::RefCell::new(arenas?);
    let mut contest = Contest::of_rates("moves, by threads", "pages/s");
    for threads in counts {
        let (files, arenas) = (&files[..*threads], &arenas);
        contest.add(Role::Refolio, named(MOVE, *threads), move || {
            all(files.iter().map(|file| || file.round(0)))
        });
        if let Some((name, copier)) = copiers().pop() {
            contest.add(Role::Other, named(&format!("copy loop, {name}"), *threads), move || {
                let mut arenas = arenas.borrow_mut();
                let arenas = arenas.iter_mut().take(*threads);
                all(arenas.map(|arena| move || Ok(copy(arena, copier, PAGE_SIZE, part))))
            });
        }
    }
    if counts.contains(&2) {
        contest.is_at_least(1.8, &named(MOVE, 2), &named(MOVE, 1));
    }
    run.contest(contest)?;
    files.iter().try_for_each(Pages::verify)
}

/// The rate of all together, each on a CPU of its own.
fn all<W: FnOnce() -> Result<Timing> + Send>(work: impl Iterator<Item = W>) -> Result<Timing> {
    let timings: Result<Vec<Timing>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            work.enumerate().map(|(n, work)| scope.spawn(move || cpus::at(n, work))).collect();
        running.into_iter().map(cpus::join).collect()
    });
    let timings = timings?;
    let each = timings.iter().map(|timing| timing.rate(1.0).each).sum();
    Ok(Timing { each, lost: timings.iter().map(|timing| timing.lost).fold(0.0, f64::max) })
}
