//! Who holds a page, and who shares one.

use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use refolio::PAGE_SIZE;

use super::super::Settings;
use super::super::ground::eventually;
use super::super::look::whole;
use super::super::machine::{Stop, refused};
use super::super::movers::{all, moved_to};
use super::super::play::Play;
use super::super::proof::Flag;
use super::super::sys::{self, Map, Registered};
use super::{all_to, settle};
use crate::content::Stamp;
use crate::tally::Fact;
use crate::verdict::Wrong;

fn map(play: &Play) -> Result<&Map, Stop> {
    play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))
}

/// A page of another write, whole.
fn page_of(play: &Play, page: u64, writer: u32) -> [u8; PAGE_SIZE] {
    let mut bytes = [0; PAGE_SIZE];
    let stamp = Stamp { file: u32::MAX, index: page, generation: 1, writer };
    stamp.fill(play.seed, 0, &mut bytes);
    bytes
}

/// Asks for a page to be moved to every node, while it is held.
fn stays(play: &Play, page: u64, who: &str) -> Result<(), Stop> {
    let address = map(play)?.address(page);
    let place = || sys::where_are(&[address]).map_err(refused("move_pages"));
    let before = place()?;
    for node in play.machine.nodes.iter().chain(&play.machine.nodes) {
        moved_to(play, &[address], *node)?;
        let now = place()?;
        if now != before {
            let detail = format!("page {page}, held by {who}, was {before:?}, and is {now:?}");
            return Err(Stop::fails(Wrong::PinMoved, detail));
        }
    }
    Ok(())
}

/// Pages in a pipe: they stay, and the pipe has what they have when it is read.
fn pipe_holds(play: &Play, page: u64) -> Result<(), Stop> {
    let map = map(play)?;
    let (mut from, to) = pipe().map_err(refused("a pipe"))?;
    let to = OwnedFd::from(to);
    sys::splice_out(&to, map, page).map_err(refused("vmsplice"))?;
    stays(play, page, "a pipe")?;
    let mut found = [0; PAGE_SIZE];
    let written = page_of(play, page, 7);
    map.store(page as usize * PAGE_SIZE, &written);
    from.read_exact(&mut found).map_err(refused("reading a pipe"))?;
    if found != written {
        let detail = format!("page {page} was written while a pipe held it, which has other bytes");
        return Err(Stop::fails(Wrong::LostWrite, detail));
    }
    play.tally.add(Fact::Pinned, 1);
    Ok(())
}

pub(super) fn piped(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    for page in 0..play.ground.pages() / 4 {
        pipe_holds(play, page)?;
    }
    // Given back, every page goes.
    play.machine.nodes.iter().try_for_each(|node| all_to(play, *node))
}

pub(super) fn ring(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let map = map(play)?;
    for page in 0..play.ground.pages() / 4 {
        let held = Registered::new(map, page..page + 1);
        let held = held.map_err(|_| Stop::Lacks("a kernel with io_uring, and leave to use it"))?;
        stays(play, page, "an io_uring")?;
        drop(held);
        play.tally.add(Fact::Pinned, 1);
    }
    play.machine.nodes.iter().try_for_each(|node| all_to(play, *node))
}

/// Parent and child share every page, which moves; then each writes, and sees its own.
pub(super) fn forked(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let (map, pages) = (map(play)?, play.ground.pages());
    for node in &play.machine.nodes {
        let (mut go_on, mut may_go_on) = pipe().map_err(refused("a pipe"))?;
        let child = sys::fork(|| {
            let mut word = [0; 1];
            if go_on.read_exact(&mut word).is_err() {
                return 1;
            }
            // What the parent has written meanwhile is not ours.
            let mut image = vec![0; pages as usize * PAGE_SIZE];
            map.load(0, &mut image);
            if whole(&play.ground.ledger, &image, "the child's memory").is_err() {
                return 2;
            }
            (0..pages).for_each(|page| {
                map.store(page as usize * PAGE_SIZE, &page_of(play, page, 8));
            });
            0
        });
        let child = child.map_err(refused("fork"))?;
        // Shared pages are moved only by who may move others'.
        let moved = moved_to(play, &all(play), *node);
        let written: Vec<_> = (0..pages).map(|page| page_of(play, page, 9)).collect();
        for (page, bytes) in written.iter().enumerate() {
            map.store(page * PAGE_SIZE, bytes);
        }
        may_go_on.write_all(&[1]).map_err(refused("a pipe"))?;
        let mut ended = Ok(None);
        let in_time = eventually(settle() * 4, || {
            ended = child.ended();
            !matches!(ended, Ok(None))
        });
        if !in_time {
            child.kill();
            return Err(Stop::fails(Wrong::Hung, "the child does not end"));
        }
        moved?;
        let code = ended.map_err(refused("waitpid"))?.and_then(|status| status.exit_status());
        if code != Some(0) {
            let detail = "the child sees what its parent wrote after the fork, or lost pages";
            return Err(Stop::fails(Wrong::ForeignPage, detail));
        }
        let mut found = [0; PAGE_SIZE];
        for (page, bytes) in written.iter().enumerate() {
            map.load(page * PAGE_SIZE, &mut found);
            if found != *bytes {
                let detail = format!("page {page} of the parent has not what it wrote");
                return Err(Stop::fails(Wrong::ForeignPage, detail));
            }
        }
        map.store(0, &play.ground.ledger.first_bytes());
        play.tally.add(Fact::Forked, 1);
    }
    Ok(())
}

/// Merged twins move together, and part when one of them is written.
pub(super) fn twins(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let frames = play.frames.as_ref().ok_or(Stop::Lacks("root"))?;
    let (map, Some((twin, ledger))) = (map(play)?, &play.ground.twin) else {
        return Err(Stop::Lacks("KSM"));
    };
    let same = |page: &u64| {
        let frame = frames.frame(map.address(*page));
        frame.is_some() && frame == frames.frame(twin.address(*page))
    };
    let merged: Vec<u64> = (0..map.pages()).filter(same).collect();
    for node in &play.machine.nodes {
        all_to(play, *node)?;
        if let Some(page) = merged.iter().find(|page| !same(page)) {
            let detail = format!("page {page} and its twin were moved to different frames");
            return Err(Stop::fails(Wrong::ForeignPage, detail));
        }
    }
    merged.iter().for_each(|page| map.store(*page as usize * PAGE_SIZE, &page_of(play, *page, 6)));
    let mut image = vec![0; twin.pages() as usize * PAGE_SIZE];
    twin.load(0, &mut image);
    whole(ledger, &image, "the twin of a page that was written")
}

/// A huge page is one after it has moved, and all of it is there.
pub(super) fn still_huge(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let map = map(play)?;
    let mut image = vec![0; map.pages() as usize * PAGE_SIZE];
    for node in &play.machine.nodes {
        all_to(play, *node)?;
        map.load(0, &mut image);
        whole(&play.ground.ledger, &image, "the huge page")?;
        if let Some(backing) = &play.ground.file {
            let read = std::os::unix::fs::FileExt::read_exact_at(&backing.file, &mut image, 0);
            read.map_err(refused("reading"))?;
            whole(&play.ground.ledger, &image, "the huge page, by its file")?;
        }
        let huge = |frames: &super::super::proof::Pagemap| {
            frames.has(map.address(1), Flag::Huge) == Some(false)
        };
        if play.frames.as_ref().is_some_and(huge) {
            return Err(Stop::fails(Wrong::TornPage, "the huge page was split to be moved"));
        }
    }
    Ok(())
}
