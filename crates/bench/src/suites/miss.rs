//! Misses: reads of a file on a device that is larger than the cache, at random and one after the
//! other, a single one and many at a time.

use std::fs;
use std::time::Duration;

use refolio::{Cache, File, NodeOptions, OpenOptions, PAGE_SIZE};
use rustix::fs::Advice;

use super::Run;
use super::device::{self, Scratch, threads};
use crate::contest::{Contest, LIMIT};
use crate::error::{Error, Result};
use crate::limits::arena::HUGE;
use crate::limits::blocks::Blocks;
use crate::limits::mapped::Mapped;
use crate::limits::uring::Ring;
use crate::noise::Timing;
use crate::peers::Disk;
use crate::resident;
use crate::results::Role;

const DEPTH: usize = 32;

/// Bytes of one read in sequence.
const PIECE: usize = 128 << 10;

/// The nodes together have room for this part of the file: so few reads are hits.
const PART: u64 = 32;

const REFOLIO: &str = "Refolio, read_at, O_DIRECT";
const IDLE: &str = "Refolio, a cache that nobody uses";

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let scratch = Scratch::new(run, "miss")?;
    {
        let disk = Disk::filled(run, scratch.pages())?;
        for depth in [1, DEPTH] {
            random(run, &scratch, &disk, depth)?;
        }
    }
    sequential(run, &scratch)?;
    idle(run, &scratch)?;
    run.note(format!(
        "Refolio's nodes hold 1/{PART} of the file. The system's page cache forgets the file before \
         each measurement of what goes through it, and holds all that was read since"
    ));
    Ok(format!("a file of {} MiB in {}", scratch.bytes >> 20, run.place()))
}

/// A cache with room for a part of the file.
fn cache(bytes: u64) -> Result<Cache> {
    let node = || NodeOptions::new((bytes / PART / 2).max(8 << 20));
    resident::build(Cache::builder().node(node()).node(node()))
}

fn open(cache: &Cache, scratch: &Scratch, options: &OpenOptions) -> Result<File> {
    let file = cache.open_with(&scratch.path, &options.clone().read_only(true));
    file.map_err(Error::while_("opening the scratch file"))
}

/// Pages at random.
fn random(run: &mut Run<'_>, scratch: &Scratch, disk: &Disk, depth: usize) -> Result<()> {
    let span = run.plan.span;
    let cache = cache(scratch.bytes)?;
    let file = open(&cache, scratch, &OpenOptions::new().direct(true))?;
    let title = format!("random reads of 4 KiB, {depth} at a time");
    let mut contest = Contest::of_rates(title, "reads/s").with_device();
    contest.add(Role::Limit, "io_uring, O_DIRECT", || {
        ring(&scratch.direct, depth, PAGE_SIZE, scratch.bytes, Order::Random, span)
    });
    contest.add(Role::Limit, format!("pread, O_DIRECT, {}", of_threads(depth)), || {
        threads(depth, span, page, |page, rng| {
            at_random(scratch, rng, page, |page, at| pread(&scratch.direct, page, at))
        })
    });
    let ours = if depth == 1 { REFOLIO.into() } else { format!("{REFOLIO}, {depth} threads") };
    contest.add(Role::Refolio, ours.clone(), || {
        threads(depth, span, page, |page, rng| {
            at_random(scratch, rng, page, |page, at| read_at(&file, page, at))
        })
    });
    contest.add(Role::Peer, format!("mmap, {}", of_threads(depth)), || {
        scratch.forget()?;
        let mapped = Mapped::new(&scratch.buffered, scratch.bytes as usize, false)?;
        threads(depth, span, page, |page, rng| {
            at_random(scratch, rng, page, |page, at| {
                mapped.read(at as usize, page);
                Ok(())
            })
        })
    });
    contest.add(Role::Peer, format!("pread, buffered, {}", of_threads(depth)), || {
        scratch.forget()?;
        advise(&scratch.buffered, Advice::Random)?;
        threads(depth, span, page, |page, rng| {
            at_random(scratch, rng, page, |page, at| pread(&scratch.buffered, page, at))
        })
    });
    disk.add_to(&mut contest, depth, span);
    if depth > 1 {
        contest.is_at_least(0.95, &ours, LIMIT);
    }
    run.contest(contest)
}

fn of_threads(depth: usize) -> String {
    if depth == 1 { "1 thread".into() } else { format!("{depth} threads") }
}

fn page() -> Result<Blocks> {
    Ok(Blocks::new(PAGE_SIZE))
}

fn piece() -> Result<(Blocks, u64)> {
    Ok((Blocks::new(PIECE), 0))
}

/// Reads a page anywhere, and looks whether it is the right one.
fn at_random(
    scratch: &Scratch,
    rng: &mut fastrand::Rng,
    page: &mut Blocks,
    read: impl FnOnce(&mut [u8], u64) -> Result<()>,
) -> Result<u64> {
    let at = rng.u64(..scratch.pages()) * PAGE_SIZE as u64;
    read(page.bytes_mut(), at)?;
    device::check(page.bytes(), at)?;
    Ok(1)
}

/// Reads the next piece, and looks whether it is the right one; how many bytes it has.
fn in_turn(
    scratch: &Scratch,
    (piece, at): &mut (Blocks, u64),
    read: impl FnOnce(&mut [u8], u64) -> Result<()>,
) -> Result<u64> {
    read(piece.bytes_mut(), *at)?;
    device::check(piece.bytes(), *at)?;
    *at = (*at + PIECE as u64) % scratch.bytes;
    Ok(PIECE as u64)
}

fn pread(file: &fs::File, into: &mut [u8], at: u64) -> Result<()> {
    let len = into.len();
    match rustix::io::pread(file, into, at) {
        Ok(done) if done == len => Ok(()),
        other => Err(Error::failed("reading the scratch file", format!("{other:?}"))),
    }
}

fn read_at(file: &File, into: &mut [u8], at: u64) -> Result<()> {
    match file.read_at(into, at) {
        Ok(done) if done == into.len() => Ok(()),
        other => Err(Error::failed("reading through the cache", format!("{other:?}"))),
    }
}

fn advise(file: &fs::File, advice: Advice) -> Result<()> {
    rustix::fs::fadvise(file, 0, None, advice).map_err(Error::while_("advising the system"))
}

/// In which order a ring reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Random,
    InTurn,
}

/// Reads in units through a ring that always has `depth` of them on their way; units in a second.
fn ring(
    file: &fs::File,
    depth: usize,
    unit: usize,
    bytes: u64,
    order: Order,
    span: Duration,
) -> Result<Timing> {
    let mut ring = Ring::new(file, depth, unit)?;
    let (units, mut rng, mut turn) = (bytes / unit as u64, fastrand::Rng::new(), 0);
    let mut next = || {
        turn = if order == Order::Random { rng.u64(..units) } else { (turn + 1) % units };
        turn * unit as u64
    };
    let start = std::time::Instant::now();
    let (mut places, mut done) = (vec![0; depth], 0);
    let mut idle: Vec<usize> = (0..depth).collect();
    while start.elapsed() < span {
        for slot in idle.drain(..) {
            places[slot] = next();
            ring.prepare(slot, places[slot], unit);
        }
        ring.wait(1).map_err(Error::while_("reading through io_uring"))?;
        let mut wrong = None;
        ring.ended(|slot, result| {
            idle.push(slot);
            if result != unit as i32 {
                wrong = Some(result);
            }
        });
        if let Some(result) = wrong {
            return Err(Error::failed("reading through io_uring", format!("it returned {result}")));
        }
        for slot in &idle {
            device::check(ring.bytes(*slot), places[*slot])?;
        }
        done += idle.len();
    }
    Ok(Timing { each: done as f64 / start.elapsed().as_secs_f64(), lost: 0.0 })
}

/// From the beginning to the end, in pieces.
fn sequential(run: &mut Run<'_>, scratch: &Scratch) -> Result<()> {
    let span = run.plan.span;
    let direct = OpenOptions::new().direct(true);
    let goal = format!("{REFOLIO}, folios of 2 MiB");
    let ways = [
        ("Refolio, read_at, buffered store".to_owned(), OpenOptions::new()),
        (REFOLIO.to_owned(), direct.clone()),
        (goal.clone(), direct.order(9)),
    ];
    let (_caches, files): (Vec<_>, Vec<_>) = ways
        .iter()
        .map(|(_, options)| {
            let cache = cache(scratch.bytes)?;
            let file = open(&cache, scratch, options)?;
            Ok((cache, file))
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    let title = format!("sequential reads of {} KiB", PIECE >> 10);
    let mut contest = Contest::of_rates(title, "MiB/s").with_device();
    let mib = |timing: Timing| timing.times(1.0 / f64::from(1 << 20));
    for (depth, unit) in [(1, PIECE), (8, PIECE), (4, HUGE)] {
        let name = format!("io_uring, O_DIRECT, {depth} x {} KiB at a time", unit >> 10);
        contest.add(Role::Limit, name, move || {
            let units = ring(&scratch.direct, depth, unit, scratch.bytes, Order::InTurn, span)?;
            Ok(mib(units.times(unit as f64)))
        });
    }
    for ((name, _), file) in ways.iter().zip(&files) {
        contest.add(Role::Refolio, name.clone(), move || {
            scratch.forget()?;
            let again = |own: &mut (Blocks, u64), _: &mut fastrand::Rng| {
                in_turn(scratch, own, |into, at| read_at(file, into, at))
            };
            Ok(mib(threads(1, span, piece, again)?))
        });
    }
    contest.add(Role::Peer, "mmap", || {
        scratch.forget()?;
        let mapped = Mapped::new(&scratch.buffered, scratch.bytes as usize, false)?;
        mapped.advise_sequential();
        let again = |own: &mut (Blocks, u64), _: &mut fastrand::Rng| {
            in_turn(scratch, own, |into, at| {
                mapped.read(at as usize, into);
                Ok(())
            })
        };
        Ok(mib(threads(1, span, piece, again)?))
    });
    contest.add(Role::Peer, "pread, buffered", || {
        scratch.forget()?;
        advise(&scratch.buffered, Advice::Sequential)?;
        let again = |own: &mut (Blocks, u64), _: &mut fastrand::Rng| {
            in_turn(scratch, own, |into, at| pread(&scratch.buffered, into, at))
        };
        Ok(mib(threads(1, span, piece, again)?))
    });
    contest.is_at_least(0.95, &goal, LIMIT);
    run.contest(contest)
}

/// What a cache costs that nobody uses.
fn idle(run: &mut Run<'_>, scratch: &Scratch) -> Result<()> {
    let cache = cache(scratch.bytes)?;
    let file = open(&cache, scratch, &OpenOptions::new().direct(true))?;
    let mut page = Blocks::new(PAGE_SIZE);
    read_at(&file, page.bytes_mut(), 0)?;
    let span = run.plan.span.max(Duration::from_millis(500));
    let mut contest = Contest::of_times("while nobody reads", "% of a core").with_device();
    contest.add(Role::Refolio, IDLE, move || {
        let before = crate::noise::process_cpu();
        std::thread::sleep(span);
        let used = crate::noise::process_cpu() - before;
        Ok(Timing { each: used.as_secs_f64() * 100.0 / span.as_secs_f64(), lost: 0.0 })
    });
    contest.is_at_most(1.0, IDLE);
    run.contest(contest)
}
