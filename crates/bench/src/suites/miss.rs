//! Misses: reads of a file on a device that is larger than the cache, at random and one after the
//! other, a single one, by many threads, and many in one call.

use std::collections::VecDeque;
use std::fs;
use std::time::{Duration, Instant};

use refolio::{Cache, File, NodeOptions, OpenOptions, PAGE_SIZE, ReadAt};
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

/// Bytes of one read in sequence, where nothing else is said.
const PIECE: usize = 128 << 10;

/// The nodes together have room for this part of the file, within bounds: so few reads are hits.
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
    for (many, depth) in [(DEPTH, DEPTH), (1024, 128)] {
        together(run, &scratch, many, depth)?;
    }
    sequential(run, &scratch)?;
    idle(run, &scratch)?;
    run.note(format!(
        "Refolio's nodes hold {} MiB, and nothing of the file before each sequential measurement, \
         which ends with the file. The system's page cache forgets the file before each measurement \
         of what goes through it, and holds all that was read since",
        room(scratch.bytes) >> 20
    ));
    Ok(format!("a file of {} MiB in {}", scratch.bytes >> 20, run.place()))
}

/// Into as much memory as the cache has, since a device writes faster to a little of it, which the
/// processor's caches hold.
const ALL_OVER: &str = "into as much memory as the cache has";

/// Bytes in both nodes of the cache, for a file of so many; no more than the kernel registers as one.
fn room(bytes: u64) -> usize {
    (bytes / PART).clamp(16 << 20, 512 << 20) as usize
}

/// A cache with room for a part of the file.
fn cache(bytes: u64) -> Result<Cache> {
    let node = || NodeOptions::new(room(bytes) as u64 / 2);
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
    let raw = Raw { depth, ended: 1, unit: PAGE_SIZE, order: Order::Random };
    contest.add(Role::Limit, "io_uring, O_DIRECT", || raw.read(scratch, depth * PAGE_SIZE, span));
    let all_over = format!("io_uring, O_DIRECT, {ALL_OVER}");
    contest.add(Role::Limit, all_over.clone(), || raw.read(scratch, room(scratch.bytes), span));
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
        contest.is_at_least(0.95, &ours, &all_over);
    }
    run.contest(contest)
}

fn of_threads(depth: usize) -> String {
    if depth == 1 { "1 thread".into() } else { format!("{depth} threads") }
}

fn page() -> Result<Blocks> {
    Blocks::new(PAGE_SIZE)
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

/// Reads the file from its beginning, piece by piece, until the time is up or the file ends (a
/// second time some of it would be cached somewhere), and looks whether it is the right one; MiB in
/// a second.
fn in_turn(
    scratch: &Scratch,
    span: Duration,
    piece: usize,
    read: impl Fn(&mut [u8], u64) -> Result<()>,
) -> Result<Timing> {
    let (mut bytes, mut at, start) = (Blocks::new(piece)?, 0, Instant::now());
    while at + piece as u64 <= scratch.bytes && start.elapsed() < span {
        read(bytes.bytes_mut(), at)?;
        device::check(bytes.bytes(), at)?;
        at += piece as u64;
    }
    let each = at as f64 / f64::from(1 << 20) / start.elapsed().as_secs_f64();
    Ok(Timing { each, lost: 0.0 })
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

/// Reads of the bare device through a ring.
#[derive(Clone, Copy)]
struct Raw {
    /// How many are on their way at most.
    depth: usize,
    /// How many of them are waited for before others are begun.
    ended: usize,
    /// Bytes of each.
    unit: usize,
    order: Order,
}

impl Raw {
    /// Reads into so much memory, one part of it after the other; units in a second.
    fn read(self, scratch: &Scratch, room_bytes: usize, span: Duration) -> Result<Timing> {
        let Self { depth, ended, unit, order } = self;
        let slots = (room_bytes / unit).max(depth);
        let mut ring = Ring::with_slots(&scratch.direct, depth, slots, unit)?;
        let units = scratch.bytes / unit as u64;
        let (mut rng, mut turn) = (fastrand::Rng::new(), 0);
        let mut next = || {
            turn = if order == Order::Random { rng.u64(..units) } else { (turn + 1) % units };
            turn * unit as u64
        };
        let start = Instant::now();
        let (mut places, mut done, mut on_their_way) = (vec![0; slots], 0, 0);
        let mut idle: VecDeque<usize> = (0..slots).collect();
        while start.elapsed() < span {
            while on_their_way < depth
                && let Some(slot) = idle.pop_front()
            {
                places[slot] = next();
                ring.prepare(slot, places[slot], unit);
                on_their_way += 1;
            }
            ring.wait(ended).map_err(Error::while_("reading through io_uring"))?;
            let (mut wrong, before) = (None, idle.len());
            ring.ended(|slot, result| {
                idle.push_back(slot);
                if result != unit as i32 {
                    wrong = Some(result);
                }
            });
            if let Some(result) = wrong {
                let which = format!("it returned {result}");
                return Err(Error::failed("reading through io_uring", which));
            }
            for slot in idle.range(before..) {
                device::check(ring.bytes(*slot), places[*slot])?;
            }
            done += idle.len() - before;
            on_their_way -= idle.len() - before;
        }
        Ok(Timing { each: done as f64 / start.elapsed().as_secs_f64(), lost: 0.0 })
    }
}

/// Pages at random, many of them in one call.
fn together(run: &mut Run<'_>, scratch: &Scratch, many: usize, depth: usize) -> Result<()> {
    let span = run.plan.span;
    let title = format!("random reads of 4 KiB, {many} in one call");
    let mut contest = Contest::of_rates(title, "reads/s").with_device();
    let (limit, ended) = if many == depth {
        (format!("io_uring, O_DIRECT, {depth} submitted and all waited for"), depth)
    } else {
        (format!("io_uring, O_DIRECT, always {depth} in flight"), 1)
    };
    let raw = Raw { depth, ended, unit: PAGE_SIZE, order: Order::Random };
    let all_over = format!("{limit}, {ALL_OVER}");
    contest.add(Role::Limit, limit, move || raw.read(scratch, depth * PAGE_SIZE, span));
    contest
        .add(Role::Limit, all_over.clone(), move || raw.read(scratch, room(scratch.bytes), span));
    let direct = OpenOptions::new().direct(true);
    let by_ring = format!("Refolio, read_many of {many}, O_DIRECT, io_uring");
    let ways = [
        (by_ring.clone(), direct.clone().io_uring(true)),
        (format!("Refolio, read_many of {many}, O_DIRECT"), direct),
    ];
    for (name, options) in ways {
        let cache = cache(scratch.bytes)?;
        let file = open(&cache, scratch, &options)?;
        contest.add(Role::Refolio, name, move || {
            let _cache = &cache;
            let room = || Blocks::new(many * PAGE_SIZE);
            threads(1, span, room, |room, rng| read_many(scratch, &file, room, rng))
        });
    }
    contest.is_at_least(0.95, &by_ring, LIMIT);
    contest.is_at_least(0.95, &by_ring, &all_over);
    run.contest(contest)
}

/// Reads pages anywhere in one call, and looks whether they are the right ones; how many.
fn read_many(
    scratch: &Scratch,
    file: &File,
    room: &mut Blocks,
    rng: &mut fastrand::Rng,
) -> Result<u64> {
    let pages = room.bytes_mut().chunks_mut(PAGE_SIZE);
    let at = |rng: &mut fastrand::Rng| rng.u64(..scratch.pages()) * PAGE_SIZE as u64;
    let mut reads: Vec<_> = pages.map(|page| ReadAt::new(at(rng), page)).collect();
    file.read_many(&mut reads).map_err(Error::while_("reading through the cache"))?;
    for read in &reads {
        device::check(read.bytes(), read.offset())?;
    }
    Ok(reads.len() as u64)
}

/// From the beginning to the end, in pieces.
fn sequential(run: &mut Run<'_>, scratch: &Scratch) -> Result<()> {
    let span = run.plan.span;
    let mut contest = Contest::of_rates("sequential reads", "MiB/s").with_device();
    let raw = |depth, unit, room_bytes| {
        let raw = Raw { depth, ended: 1, unit, order: Order::InTurn };
        move || {
            let units = raw.read(scratch, room_bytes, span)?;
            Ok(units.times(unit as f64 / f64::from(1 << 20)))
        }
    };
    for (depth, unit) in [(1, PIECE), (8, PIECE), (4, 1 << 20), (4, HUGE)] {
        let name = format!("io_uring, O_DIRECT, {depth} x {} KiB at a time", unit >> 10);
        contest.add(Role::Limit, name, raw(depth, unit, depth * unit));
    }
    let all_over = format!("io_uring, O_DIRECT, 4 x {} KiB at a time, {ALL_OVER}", HUGE >> 10);
    contest.add(Role::Limit, all_over.clone(), raw(4, HUGE, room(scratch.bytes)));
    let direct = OpenOptions::new().direct(true);
    let by_ring = direct.clone().io_uring(true);
    let goal = "Refolio, read_at of 1 MiB, O_DIRECT, io_uring";
    for (name, piece, options) in [
        (goal, 1 << 20, by_ring.clone()),
        ("Refolio, read_at of 4 KiB, O_DIRECT, io_uring", PAGE_SIZE, by_ring.clone()),
        (
            "Refolio, read_at of 1 MiB, O_DIRECT, io_uring, folios of 64 KiB",
            1 << 20,
            by_ring.clone().order(4),
        ),
        (
            "Refolio, read_at of 1 MiB, O_DIRECT, io_uring, folios of 2 MiB",
            1 << 20,
            by_ring.order(9),
        ),
        ("Refolio, read_at of 1 MiB, O_DIRECT", 1 << 20, direct),
        ("Refolio, read_at of 1 MiB, buffered store", 1 << 20, OpenOptions::new()),
    ] {
        let cache = cache(scratch.bytes)?;
        let file = open(&cache, scratch, &options)?;
        contest.add(Role::Refolio, name, move || {
            let _cache = &cache;
            scratch.forget()?;
            file.evict(0..u64::MAX).map_err(Error::while_("evicting a file"))?;
            in_turn(scratch, span, piece, |into, at| read_at(&file, into, at))
        });
    }
    contest.add(Role::Peer, "mmap, not in the page cache before", || {
        scratch.forget()?;
        let mapped = Mapped::new(&scratch.buffered, scratch.bytes as usize, false)?;
        mapped.advise_sequential();
        in_turn(scratch, span, PIECE, |into, at| {
            mapped.read(at as usize, into);
            Ok(())
        })
    });
    contest.add(Role::Peer, "pread of 128 KiB, buffered, not in the page cache before", || {
        scratch.forget()?;
        advise(&scratch.buffered, Advice::Sequential)?;
        in_turn(scratch, span, PIECE, |into, at| pread(&scratch.buffered, into, at))
    });
    contest.is_at_least(0.95, goal, LIMIT);
    contest.is_at_least(0.95, goal, &all_over);
    run.contest(contest)
}

/// What a cache costs that nobody uses.
fn idle(run: &mut Run<'_>, scratch: &Scratch) -> Result<()> {
    let cache = cache(scratch.bytes)?;
    let file = open(&cache, scratch, &OpenOptions::new().direct(true).io_uring(true))?;
    // Used, and so that pages were read ahead.
    let mut piece = Blocks::new(PIECE)?;
    for at in (0..scratch.bytes.min(64 << 20)).step_by(PIECE) {
        read_at(&file, piece.bytes_mut(), at)?;
    }
    std::thread::sleep(Duration::from_millis(200));
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
