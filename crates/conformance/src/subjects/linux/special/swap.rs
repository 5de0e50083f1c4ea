//! Pages that were swapped out and read in: they are in memory, in the cache of what was swapped, and
//! on the disk, and a move must keep all three in step.

use std::io::{Read, Write, pipe};
use std::sync::Arc;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::super::Settings;
use super::super::ground::eventually;
use super::super::look::{Way, whole};
use super::super::machine::{Stop, refused};
use super::super::movers::all;
use super::super::play::Play;
use super::super::proof::Flag;
use super::super::sys::{self, Advice, Map, Source, Where};
use super::all_to;
use super::bytes::{put_half, writer};
use crate::tally::Fact;
use crate::verdict::Wrong;

/// How long a page may take to come from the cache.
const PATIENCE: Duration = Duration::from_secs(5);

/// Frames that are taken after pages have left theirs, so that these have other bytes: more than
/// a processor keeps at hand.
const TAKEN: usize = 2048;

/// Parent and child have the same pages in swap. The parent reads them in, and they are moved; then
/// the child finds them.
pub(super) fn shared(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let map = play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))?;
    let mut word = [0; 8];
    for node in &play.machine.nodes {
        swap_out(play, map)?;
        let (mut go_on, mut may_go_on) = pipe().map_err(refused("a pipe"))?;
        let child = sys::fork(|| {
            let mut image = vec![0; map.pages() as usize * PAGE_SIZE];
            if go_on.read_exact(&mut word).is_err() {
                return 1;
            }
            map.load(0, &mut image);
            u8::from(whole(&play.ground.ledger, &image, "the child's memory").is_err()) * 2
        });
        let child = child.map_err(refused("fork"))?;
        (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut word));
        cached(play, map)?;
        let left = sys::where_are(&all(play)).map_err(refused("move_pages"))?;
        all_to(play, *node)?;
        let _taken = left.iter().find_map(|place| match place {
            Where::Node(from) if from != node => Some(take(*from)),
            _ => None,
        });
        may_go_on.write_all(&[1; 8]).map_err(refused("a pipe"))?;
        let mut ended = Ok(None);
        let found = eventually(PATIENCE, || {
            ended = child.ended();
            !matches!(ended, Ok(None))
        });
        if !found {
            child.kill();
            let detail = format!(
                "no bytes: the child does not get within {PATIENCE:?} what its parent had read in \
                 from swap, and was moved"
            );
            return Err(Stop::fails(Wrong::ZeroedPage, detail));
        }
        if ended.map_err(refused("waitpid"))?.and_then(|status| status.exit_status()) != Some(0) {
            let detail = "the child gets other bytes from swap than its parent";
            return Err(Stop::fails(Wrong::ForeignPage, detail));
        }
        play.tally.add(Fact::Forked, 1);
    }
    Ok(())
}

/// Stores to pages that are in swap as well, moves them, and has them swapped out and read in again.
pub(super) fn stored(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let map = play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))?;
    let (mut me, mut word) = (writer(play), [0; 8]);
    for node in &play.machine.nodes {
        swap_out(play, map)?;
        (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut word));
        cached(play, map)?;
        put_half(play, &mut me, Way::Map)?;
        all_to(play, *node)?;
        swap_out(play, map)?;
        let mut image = vec![0; map.pages() as usize * PAGE_SIZE];
        map.load(0, &mut image);
        whole(&play.ground.ledger, &image, "memory that was moved and swapped out")?;
    }
    Ok(())
}

/// Has pages written out, until most are.
fn swap_out(play: &Play, map: &Map) -> Result<(), Stop> {
    let out = || {
        let places = sys::where_are(&all(play)).unwrap_or_default();
        let out = places.iter().filter(|place| matches!(place, Where::Not(_))).count();
        map.advise(0..map.pages(), Advice::PageOut).is_ok() && out > places.len() / 2
    };
    if eventually(PATIENCE, out) {
        return Ok(());
    }
    Err(Stop::Lacks("a kernel that swaps pages out when it is told to"))
}

/// Goes on only where what was read in is in the cache.
fn cached(play: &Play, map: &Map) -> Result<(), Stop> {
    let frames = play.frames.as_ref().ok_or(Stop::Lacks("root"))?;
    let cached = |page: &u64| frames.has(map.address(*page), Flag::SwapCache) == Some(true);
    if (0..map.pages()).filter(cached).count() as u64 > map.pages() / 2 {
        return Ok(());
    }
    Err(Stop::Lacks("a cache of what was swapped"))
}

/// Takes frames of a node, and fills them.
fn take(node: usize) -> Result<Map, Stop> {
    sys::prefer(node).map_err(refused("set_mempolicy"))?;
    let taken = Map::new(Source::Private, TAKEN * PAGE_SIZE).map_err(refused("mmap"))?;
    // A kernel without huge pages has no such advice.
    let _ = taken.advise(0..taken.pages(), Advice::NoHuge);
    (0..TAKEN).for_each(|page| taken.store(page * PAGE_SIZE, &[7; 8]));
    Ok(taken)
}
