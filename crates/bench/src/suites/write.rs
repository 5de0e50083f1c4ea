//! Writes: a file is overwritten, at random or from the beginning to the end, and made durable.

use std::fs;

use refolio::{Cache, File, NodeOptions, OpenOptions, PAGE_SIZE};

use super::Run;
use super::device::Scratch;
use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::limits::blocks::Blocks;
use crate::noise::{Lap, Timing};
use crate::picks::Picks;
use crate::resident;
use crate::results::Role;

/// Bytes of one write in sequence.
const PIECE: usize = 1 << 20;

/// The part of the pages that is overwritten at random between two syncs.
const PART: u64 = 16;

const DIRECT: &str = "pwrite, O_DIRECT, 1 MiB at a time, fdatasync";
const REFOLIO: &str = "Refolio, O_DIRECT, 1 MiB at a time, then sync";

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let scratch = Scratch::new(run, "write")?;
    let cache = |_| {
        let node = || NodeOptions::new(room(&scratch) / 2);
        resident::build(Cache::builder().node(node()).node(node()))
    };
    let caches: Vec<Cache> = (0..3).map(cache).collect::<Result<_>>()?;
    let open = |cache: &Cache, options: &OpenOptions| {
        cache.open_with(&scratch.path, options).map_err(Error::while_("opening the scratch file"))
    };
    let direct = open(&caches[0], &OpenOptions::new().direct(true))?;
    let buffered = open(&caches[1], &OpenOptions::new())?;
    let large = open(&caches[2], &OpenOptions::new().direct(true).order(4))?;
    in_turn(run, &scratch, &direct, &large, &buffered)?;
    drop(large);
    at_random(run, &scratch, &direct, &buffered)?;
    drop((direct, buffered));
    in_place(run)?;
    verify(&scratch)?;
    run.note(
        "each is timed from its first write until all is durable; the two nodes of a cache have \
              room for half of the file",
    );
    let mib = scratch.bytes >> 20;
    Ok(format!("a file of {mib} MiB in {}; all bytes checked at the end", run.place()))
}

/// Bytes in both nodes of a cache.
fn room(scratch: &Scratch) -> u64 {
    (scratch.bytes / 2).max(32 << 20).next_multiple_of(2 * PIECE as u64)
}

fn rate(lap: Lap, bytes: u64) -> Timing {
    let seconds = lap.elapsed().as_secs_f64();
    Timing { each: bytes as f64 / f64::from(1 << 20) / seconds, lost: 0.0 }
}

/// A piece of the file, as it must be in the end: each page begins with a word of its own, not that
/// of the beginning. (More of it would be time of ours, not of what is measured.)
fn fill(piece: &mut [u8], offset: u64) {
    for (page, index) in
        piece.as_chunks_mut::<PAGE_SIZE>().0.iter_mut().zip(offset / PAGE_SIZE as u64..)
    {
        page[..8].copy_from_slice(&resident::word(index + 1).to_le_bytes());
    }
}

/// From the beginning to the end.
fn in_turn(
    run: &mut Run<'_>,
    scratch: &Scratch,
    direct: &File,
    large: &File,
    buffered: &File,
) -> Result<()> {
    let mut contest =
        Contest::of_rates("sequential overwrite of all of it, and sync", "MiB/s").with_device();
    // From one piece of memory after the other, which is kept: new memory is slow at first.
    let plain = |file, pieces: usize| {
        let mut all = Blocks::new(pieces * PIECE)?;
        Ok(move || {
            let lap = Lap::start();
            for (at, turn) in (0..scratch.bytes).step_by(PIECE).zip((0..pieces).cycle()) {
                let piece = &mut all.bytes_mut()[turn * PIECE..][..PIECE];
                fill(piece, at);
                pwrite(file, piece, at)?;
            }
            file.sync_data().map_err(Error::while_("syncing the scratch file"))?;
            Ok(rate(lap, scratch.bytes))
        })
    };
    contest.add(Role::Limit, DIRECT, plain(&scratch.direct, 1)?);
    let all_over = format!("{DIRECT}, from as much memory as the cache has");
    let pieces = (room(scratch) / PIECE as u64) as usize;
    contest.add(Role::Limit, all_over.clone(), plain(&scratch.direct, pieces)?);
    for (name, file, len) in [
        (REFOLIO, direct, PIECE),
        ("Refolio, O_DIRECT, 1 MiB at a time, then sync, folios of 64 KiB", large, PIECE),
        ("Refolio, O_DIRECT, 4 KiB at a time, then sync", direct, PAGE_SIZE),
        ("Refolio, buffered store, 1 MiB at a time, then sync", buffered, PIECE),
    ] {
        contest.add(Role::Refolio, name, move || {
            let mut piece = Blocks::new(len)?;
            let lap = Lap::start();
            for at in (0..scratch.bytes).step_by(len) {
                fill(piece.bytes_mut(), at);
                write_at(file, piece.bytes(), at)?;
            }
            file.sync().map_err(Error::while_("syncing through the cache"))?;
            Ok(rate(lap, scratch.bytes))
        });
    }
    contest.add(
        Role::Peer,
        "pwrite, buffered, 1 MiB at a time, fdatasync",
        plain(&scratch.buffered, 1)?,
    );
    contest.is_at_least(0.9, REFOLIO, DIRECT);
    contest.is_at_least(0.9, REFOLIO, &all_over);
    run.contest(contest)
}

/// Pages anywhere.
fn at_random(run: &mut Run<'_>, scratch: &Scratch, direct: &File, buffered: &File) -> Result<()> {
    let pages = scratch.pages() / PART;
    let title = format!("random overwrite of {pages} pages of 4 KiB, and sync");
    let mut contest = Contest::of_rates(title, "MiB/s").with_device();
    let bytes = pages * PAGE_SIZE as u64;
    let all = scratch.pages();
    let plain = |file| {
        move || {
            let (mut page, mut rng) = (Blocks::new(PAGE_SIZE)?, fastrand::Rng::new());
            let lap = Lap::start();
            for _ in 0..pages {
                let at = rng.u64(..all) * PAGE_SIZE as u64;
                fill(page.bytes_mut(), at);
                pwrite(file, page.bytes(), at)?;
            }
            file.sync_data().map_err(Error::while_("syncing the scratch file"))?;
            Ok(rate(lap, bytes))
        }
    };
    contest.add(Role::Limit, "pwrite, O_DIRECT, one by one, fdatasync", plain(&scratch.direct));
    for (name, file) in
        [("Refolio, O_DIRECT, then sync", direct), ("Refolio, buffered store, then sync", buffered)]
    {
        contest.add(Role::Refolio, name, move || {
            let (mut page, mut rng) = (Blocks::new(PAGE_SIZE)?, fastrand::Rng::new());
            let lap = Lap::start();
            for _ in 0..pages {
                let at = rng.u64(..all) * PAGE_SIZE as u64;
                fill(page.bytes_mut(), at);
                write_at(file, page.bytes(), at)?;
            }
            file.sync().map_err(Error::while_("syncing through the cache"))?;
            Ok(rate(lap, bytes))
        });
    }
    contest.add(Role::Peer, "pwrite, buffered, one by one, fdatasync", plain(&scratch.buffered));
    run.contest(contest)
}

/// Pages that are cached, without any device.
fn in_place(run: &mut Run<'_>) -> Result<()> {
    let bytes = run.plan.bytes / 4;
    let cache = resident::cache(bytes)?;
    let file = resident::file(&cache, bytes, 0, run.host)?;
    let picks = Picks::Uniform { pages: (bytes / PAGE_SIZE) as u64 };
    let span = run.plan.span;
    let mut contest = Contest::of_times("overwrite 4 KiB that are cached, uniform, 1 thread", "ns");
    let source = [7; PAGE_SIZE];
    contest.add(Role::Refolio, "Refolio, write_at", || {
        let mut wrong = None;
        let timing = crate::cpus::on(0, || {
            let timing = crate::reach::repeat(&picks, span, |page, _| {
                wrong = file.write_at(&source, page * PAGE_SIZE as u64).err().or(wrong.take());
            });
            (timing, wrong)
        });
        match timing {
            (timing, None) => Ok(timing),
            (_, Some(error)) => Err(Error::failed("writing a cached page", error)),
        }
    });
    run.contest(contest)
}

fn pwrite(file: &fs::File, from: &[u8], at: u64) -> Result<()> {
    match rustix::io::pwrite(file, from, at) {
        Ok(done) if done == from.len() => Ok(()),
        other => Err(Error::failed("writing the scratch file", format!("{other:?}"))),
    }
}

fn write_at(file: &File, from: &[u8], at: u64) -> Result<()> {
    file.write_at(from, at).map_err(Error::while_("writing through the cache"))
}

/// Whether the device has what was written.
fn verify(scratch: &Scratch) -> Result<()> {
    scratch.forget()?;
    let mut piece = Blocks::new(PIECE)?;
    let mut wanted = Blocks::new(PIECE)?;
    for at in (0..scratch.bytes).step_by(PIECE) {
        let read = rustix::io::pread(&scratch.direct, piece.bytes_mut(), at);
        fill(wanted.bytes_mut(), at);
        if read != Ok(PIECE) || piece.bytes() != wanted.bytes() {
            let which = format!("the bytes from {at} on are not what was written ({read:?})");
            return Err(Error::failed("reading the scratch file again", which));
        }
    }
    Ok(())
}
