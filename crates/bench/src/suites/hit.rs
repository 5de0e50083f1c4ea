//! Hits: reads and pins of pages that are resident, at random places, beside bare loads of the same
//! bytes, and beside other ways to the same pages.

use std::fs;

use refolio::{File, PAGE_SIZE};

use super::{Adds, Run};
use crate::contest::{Contest, LIMIT};
use crate::cpus;
use crate::error::Result;
use crate::limits::arena::Arena;
use crate::limits::bare::{Bare, BarePins, Widest};
use crate::limits::mapped::Mapped;
use crate::limits::uring::{Batched, Ring};
use crate::peers::Peers;
use crate::picks::Picks;
use crate::reach::Shape;
use crate::resident;
use crate::results::Role;
use crate::ways::{Ahead, Handed, Pin, Pread, Read};

/// Reads that io_uring is given at a time.
const BATCH: usize = 32;

const WORDS: &str = "bare load, 8 words, the cache's own frames";
const WIDEST: &str = "bare load, widest registers, the same frames";
const MEMCPY: &str = "memcpy, from the cache's own frames";
const READ: &str = "Refolio, optimistic read";
const PIN: &str = "Refolio, pin, read, unpin";
const PREAD: &str = "pread";

/// All that is compared.
struct Ways<'w> {
    file: &'w File,
    bare: Bare<'w>,
    arena: &'w Arena,
    mapped: &'w Mapped,
    plain: &'w fs::File,
    uring: bool,
    peers: Peers,
}

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    all(run)?;
    unnamed(run)?;
    let pages = run.plan.bytes / PAGE_SIZE;
    Ok(format!("{pages} pages of 4 KiB, all resident, at random; ns for each, on each thread"))
}

/// All ways to the same pages.
fn all(run: &mut Run<'_>) -> Result<()> {
    let (plan, host) = (run.plan, run.host);
    let (bytes, pages) = (plan.bytes, (plan.bytes / PAGE_SIZE) as u64);
    let plain = resident::on_disk(&plan.dir.join("hit"), bytes as u64, host)?;
    let mapped = Mapped::new(&plain, bytes, true)?;
    let arena = Arena::small(bytes)?;
    let cache = resident::build(resident::nodes(bytes))?;
    let file = resident::file(&cache, bytes, 0, host)?;
    let uring = Ring::new(&plain, BATCH, PAGE_SIZE);
    if let Err(error) = &uring {
        run.note(format!("io_uring is left out: {error}"));
    }
    let bare = Bare::of_file(&file)?;
    let uring = uring.is_ok();
    let peers = Peers::filled(plan, host)?;
    let ways =
        Ways { file: &file, bare, arena: &arena, mapped: &mapped, plain: &plain, uring, peers };
    let (uniform, zipf) = (Picks::Uniform { pages }, Picks::zipf(pages, 0.99));
    for (shape, picks) in [
        (Shape::Line, &uniform),
        (Shape::Line, &zipf),
        (Shape::Chain, &uniform),
        (Shape::Page, &uniform),
        (Shape::Page, &zipf),
    ] {
        group(run, &ways, shape, picks, 1)?;
    }
    let threads = plan.threads.min(cpus::count());
    if threads > 1 {
        for shape in [Shape::Line, Shape::Page] {
            group(run, &ways, shape, &uniform, threads)?;
        }
    }
    pins(run, &ways, &uniform)
}

/// One shape and one draw, by all ways.
fn group(
    run: &mut Run<'_>,
    ways: &Ways<'_>,
    shape: Shape,
    picks: &Picks,
    threads: usize,
) -> Result<()> {
    let plan = run.plan;
    let many = if threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
    let title = format!("{}, {}, {many}", shape.name(), picks.name());
    let mut contest = Contest::of_times(title, "ns");
    let mut add = Adds { contest: &mut contest, plan, picks, shape, threads };
    match shape {
        Shape::Line => {
            add.way(Role::Limit, WORDS, ways.bare);
            add.way(Role::Other, WIDEST, Widest(ways.bare));
        }
        Shape::Chain => add.way(Role::Limit, WIDEST, Widest(ways.bare)),
        Shape::Page => add.way(Role::Limit, MEMCPY, ways.bare),
    }
    add.way(Role::Other, "an arena on 4 KiB pages", Bare::of_arena(ways.arena));
    add.way(Role::Refolio, READ, Read(ways.file));
    add.way(Role::Refolio, PIN, Pin(ways.file));
    if shape != Shape::Chain {
        add.way(
            Role::Refolio,
            "Refolio, prefetch 16 ahead, read",
            Ahead(ways.file, Read(ways.file)),
        );
        add.way(Role::Refolio, "Refolio, prefetch 16 ahead, pin", Ahead(ways.file, Pin(ways.file)));
    }
    add.way(Role::Peer, "mmap", Bare::of_mapped(ways.mapped));
    add.way(Role::Peer, PREAD, Pread(ways.plain));
    if shape != Shape::Chain && ways.uring {
        let batched = Batched { file: ways.plain, batch: BATCH };
        add.way(Role::Peer, "io_uring, batches of 32", batched);
    }
    ways.peers.add_to(&mut add);
    goals(&mut contest, shape, picks, threads);
    run.contest(contest)
}

/// What must be reached.
fn goals(contest: &mut Contest<'_>, shape: Shape, picks: &Picks, threads: usize) {
    if threads > 1 || !matches!(picks, Picks::Uniform { .. }) {
        return;
    }
    match shape {
        Shape::Line => {
            contest.costs_at_most(1.6, READ, LIMIT);
            contest.costs_at_most(1.8, PIN, LIMIT);
            contest.is_at_least(15.0, READ, PREAD);
            contest.is_at_least(4.0, READ, "quick_cache");
            contest.is_at_least(15.0, READ, "foyer (S3-FIFO)");
        }
        Shape::Chain => contest.costs_at_most(1.25, READ, LIMIT),
        Shape::Page => contest.costs_at_most(1.1, READ, LIMIT),
    }
}

/// What a pin costs beside the least that it could.
fn pins(run: &mut Run<'_>, ways: &Ways<'_>, picks: &Picks) -> Result<()> {
    let least = BarePins::new(ways.file, ways.bare)?;
    let title = "pins: 64 bytes, uniform, 1 thread";
    let mut contest = Contest::of_times(title, "ns");
    let mut add =
        Adds { contest: &mut contest, plan: run.plan, picks, shape: Shape::Line, threads: 1 };
    add.way(Role::Limit, WORDS, ways.bare);
    add.way(Role::Refolio, PIN, Pin(ways.file));
    add.way(Role::Refolio, "Refolio, the pin handed on by a function", Handed(ways.file));
    add.way(Role::Other, "the least a pin can be: exchange, load, subtraction", least);
    run.contest(contest)
}

/// Pins that do not write down who took them.
fn unnamed(run: &mut Run<'_>) -> Result<()> {
    let bytes = run.plan.bytes;
    let picks = &Picks::Uniform { pages: (bytes / PAGE_SIZE) as u64 };
    let cache = resident::build(resident::nodes(bytes).name_holders(false))?;
    let file = resident::file(&cache, bytes, 0, run.host)?;
    let title = "pins, holders not named: 64 bytes, uniform, 1 thread";
    let mut contest = Contest::of_times(title, "ns");
    let mut add =
        Adds { contest: &mut contest, plan: run.plan, picks, shape: Shape::Line, threads: 1 };
    add.way(Role::Limit, WORDS, Bare::of_file(&file)?);
    add.way(Role::Refolio, PIN, Pin(&file));
    contest.costs_at_most(1.8, PIN, LIMIT);
    run.contest(contest)
}
