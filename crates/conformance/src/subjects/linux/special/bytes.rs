//! What becomes of bytes, and of what page tables say of them.

use std::fs;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use refolio::PAGE_SIZE;

use super::super::Settings;
use super::super::look::{Way, whole};
use super::super::machine::{Stop, refused};
use super::super::movers::{all, moved_to};
use super::super::play::{Me, Play};
use super::super::sys::{self, Map, Source};
use super::all_to;
use crate::content::mix;
use crate::tally::Fact;
use crate::verdict::Wrong;

fn map(play: &Play) -> Result<&Map, Stop> {
    play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))
}

/// One thread counts up in a word of each page, and loads it at once; another one moves the pages.
pub(super) fn hot(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    let over = Arc::new(AtomicBool::new(false));
    let (counter, done) = (play.clone(), over.clone());
    let thread = std::thread::spawn(move || count_up(&counter, &done));
    let (start, addresses) = (Instant::now(), all(play));
    let mut moved = Ok(Vec::new());
    while start.elapsed() < settings.length * 2 && moved.is_ok() {
        for node in &play.machine.nodes {
            moved = moved.and_then(|_| moved_to(play, &addresses, *node));
        }
    }
    over.store(true, SeqCst);
    let counted = thread.join().map_err(|_| Stop::fails(Wrong::Panicked, "who counts up"))?;
    moved?;
    counted
}

fn count_up(play: &Play, over: &AtomicBool) -> Result<(), Stop> {
    let map = map(play)?;
    let pages = play.ground.pages();
    let mut counts = vec![None; pages as usize];
    for turn in 1u64.. {
        if over.load(SeqCst) {
            break;
        }
        // Two pages at a time are counted in many times, that their entries stay in the TLB.
        let page = turn / 64 * 2 % pages + turn % 2;
        let (at, mut word) = (page as usize * PAGE_SIZE + 64, [0; 8]);
        if let Some(last) = counts[page as usize] {
            map.load(at, &mut word);
            if u64::from_ne_bytes(word) != last {
                let found = u64::from_ne_bytes(word);
                let detail = format!("page {page} has {found}, after {last} was stored");
                return Err(Stop::fails(Wrong::LostWrite, detail));
            }
        }
        map.store(at, &turn.to_ne_bytes());
        counts[page as usize] = Some(turn);
        play.tally.add(Fact::Written, 1);
    }
    Ok(())
}

/// Rounds of writing, moving and looking at the disk.
const ROUNDS: usize = 4;

/// Stores to clean pages, moves them, and looks at the disk.
pub(super) fn stored(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    reaches_the_disk(play, |me, node| {
        put_half(play, me, Way::Map)?;
        all_to(play, node)
    })
}

/// Writes to clean pages, moves them, and looks at the disk.
pub(super) fn written(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    reaches_the_disk(play, |me, node| {
        put_half(play, me, Way::Call)?;
        all_to(play, node)
    })
}

/// Moves clean pages, writes to them, and looks at the disk.
pub(super) fn moved_first(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    reaches_the_disk(play, |me, node| {
        all_to(play, node)?;
        put_half(play, me, Way::Call)
    })
}

/// The only writer of a case.
pub(super) fn writer(play: &Play) -> Me {
    let rng = fastrand::Rng::with_seed(mix(play.seed));
    let bytes = vec![0; PAGE_SIZE].into();
    Me { number: 1, rng, rank: 0, writers: 1, calm: false, bytes }
}

/// Writes half of the parts, as the dice fall.
pub(super) fn put_half(play: &Play, me: &mut Me, way: Way) -> Result<(), Stop> {
    (0..play.ground.ledger.parts() / 2).try_for_each(|_| play.put(me, way, way))
}

/// Does `act` with pages that are clean, and a node for them to go to; then a sync, after which the
/// disk has all that was written.
fn reaches_the_disk(
    play: &Play,
    act: impl Fn(&mut Me, usize) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let backing = play.ground.file.as_ref().ok_or(Stop::Lacks("a file"))?;
    let direct = backing.direct().ok_or(Stop::Lacks("a file system with direct I/O"))?;
    let len = play.ground.pages() as usize * PAGE_SIZE;
    let bounce = Map::new(Source::Private, len).map_err(refused("mmap"))?;
    let mut me = writer(play);
    for round in 0..ROUNDS {
        backing.file.sync_all().map_err(refused("fsync"))?;
        act(&mut me, play.machine.nodes[(round + 1) % play.machine.nodes.len()])?;
        backing.file.sync_data().map_err(refused("fdatasync"))?;
        bounce.store(0, &vec![0; len]);
        let read = sys::read_into((&direct, 0), &bounce, 0, len);
        read.map_err(refused("reading past the cache"))?;
        let mut image = vec![0; len];
        bounce.load(0, &mut image);
        whole(&play.ground.ledger, &image, "the disk, after a move and a sync")?;
        play.tally.add(Fact::Synced, 1);
    }
    Ok(())
}

/// Forbids stores, moves the pages, and tries one in each.
pub(super) fn read_only(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let (map, pages) = (map(play)?, play.ground.pages());
    let zeros = fs::File::open("/dev/zero").map_err(refused("/dev/zero"))?;
    let zeros = OwnedFd::from(zeros);
    for node in &play.machine.nodes {
        let tried = map.protected(0..pages, || -> Result<(), Stop> {
            all_to(play, *node)?;
            for page in 0..pages {
                let store = sys::read_into((&zeros, 0), map, page as usize * PAGE_SIZE, 8);
                if store.is_ok() {
                    let detail = format!("page {page} may only be read, moved, and took a store");
                    return Err(Stop::fails(Wrong::Permission, detail));
                }
                play.tally.add(Fact::Protected, 1);
            }
            Ok(())
        });
        tried.map_err(refused("mprotect"))??;
    }
    // Allowed again, every page takes one.
    let mut image = vec![0; pages as usize * PAGE_SIZE];
    map.load(0, &mut image);
    whole(&play.ground.ledger, &image, "memory that was protected")?;
    map.store(0, &image);
    Ok(())
}

/// Clears the marks, stores to every second page, and moves them all.
pub(super) fn soft_dirty(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let frames = play.frames.as_ref().ok_or(Stop::Lacks("root"))?;
    let (map, pages) = (map(play)?, play.ground.pages());
    let marked = |page: u64| frames.is_soft_dirty(map.address(page));
    for node in &play.machine.nodes {
        fs::write("/proc/self/clear_refs", "4").map_err(refused("clear_refs"))?;
        for page in (0..pages).step_by(2) {
            let (at, mut word) = (page as usize * PAGE_SIZE, [0; 8]);
            map.load(at, &mut word);
            map.store(at, &word);
        }
        if !marked(0) || marked(1) {
            return Err(Stop::Lacks("a kernel that marks pages as written (MEM_SOFT_DIRTY)"));
        }
        all_to(play, *node)?;
        // (A mark too many is no loss: 6.1 marks pages that move while they are dirty.)
        if let Some(page) = (0..pages).step_by(2).find(|page| !marked(*page)) {
            let detail = format!("page {page} was written, moved, and is not marked as written");
            return Err(Stop::fails(Wrong::Miscounted, detail));
        }
    }
    Ok(())
}
