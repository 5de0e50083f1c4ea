//! What is counted: pages by node, and free memory. Others use memory, too: what is wrong is wrong
//! three times in a row, and by most of what was moved.

use std::sync::Arc;

use super::super::Settings;
use super::super::ground::Ground;
use super::super::machine::Stop;
use super::super::machine::refused;
use super::super::play::Play;
use super::super::proof::{Counts, count, node_vmstat, refresh};
use super::super::sys;
use super::all_to;
use crate::verdict::Wrong;

/// Counters of a node that a page is in, whatever its kind.
const COUNTED: &[&str] = &[
    "nr_anon_pages",
    "nr_file_pages",
    "nr_shmem",
    "nr_dirty",
    "nr_zone_write_pending",
    "nr_mapped",
    "nr_mlock",
    "nr_unevictable",
    "nr_isolated_anon",
    "nr_isolated_file",
];

/// How often something must be wrong.
const TRIES: usize = 3;

/// Grounds that are made on the first node, moved to the second one, and given up there.
const GROUNDS: u64 = 24;

fn counts(play: &Play) -> Vec<Counts> {
    refresh();
    play.machine.nodes.iter().map(|node| node_vmstat(*node)).collect()
}

pub(super) fn accounts(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    three_times(|| {
        let before = counts(play);
        let moved = one_way(play, settings)?;
        let after = counts(play);
        for (node, (before, after)) in play.machine.nodes.iter().zip(before.iter().zip(&after)) {
            for name in COUNTED {
                let drift = count(after, name) - count(before, name);
                if drift.unsigned_abs() > moved / 2 {
                    return Ok(Some(format!(
                        "{moved} pages moved away from node {} and are gone, and {name} of node \
                         {node} is {drift} more than before",
                        play.machine.nodes[0]
                    )));
                }
            }
        }
        Ok(None)
    })
}

/// Makes pages on the first node, and has them end on the second one; how many.
fn one_way(play: &Play, settings: &Settings) -> Result<u64, Stop> {
    let (from, to) = (play.machine.nodes[0], play.machine.nodes[1]);
    sys::prefer(from).map_err(refused("set_mempolicy"))?;
    let mut moved = 0;
    for number in 0..GROUNDS {
        let seed = settings.seed.wrapping_add(number);
        let ground = Ground::beside(&play.machine, play.ground.kind, seed, number + 1)?;
        let other = Play::new(play.machine.clone(), ground, seed);
        all_to(&other, from)?;
        all_to(&other, to)?;
        moved += other.ground.pages();
    }
    Ok(moved)
}

/// Has pages charged to a cgroup, moves them, and gives them up.
pub(super) fn charges(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    let counted = play.machine.counted()?;
    let charged = || counted.pages().map_err(refused("memory.current"));
    let plays = (1..=GROUNDS).map(|number| {
        let seed = settings.seed.wrapping_add(number);
        let ground = Ground::beside(&play.machine, play.ground.kind, seed, number)?;
        Ok(Play::new(play.machine.clone(), ground, seed))
    });
    let empty = charged()?;
    let plays = plays.collect::<Result<Vec<_>, Stop>>()?;
    let before = charged()?;
    let pages: i64 = plays.iter().map(|play| play.ground.pages() as i64).sum();
    if before - empty < pages / 2 {
        return Err(Stop::Lacks("a cgroup that new pages are charged to"));
    }
    for node in &play.machine.nodes {
        plays.iter().try_for_each(|play| all_to(play, *node))?;
        let after = charged()?;
        if (after - before).abs() > pages / 2 {
            let detail = format!(
                "{pages} pages of a cgroup were moved to node {node}, and it is charged for \
                 {after} pages instead of {before}"
            );
            return Err(Stop::fails(Wrong::Miscounted, detail));
        }
    }
    Ok(())
}

pub(super) fn leaks(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    const ROUNDS: u64 = 24;
    three_times(|| {
        let free = || counts(play).iter().map(|node| count(node, "nr_free_pages")).sum::<i64>();
        let before = free();
        for _ in 0..ROUNDS {
            play.machine.nodes.iter().try_for_each(|node| all_to(play, *node))?;
        }
        let moved = ROUNDS * play.ground.pages();
        let lost = before - free();
        let leaks = lost > 0 && lost as u64 > moved / 2;
        Ok(leaks.then(|| format!("{lost} pages are no longer free after {moved} were moved")))
    })
}

/// Fails when it is wrong each time.
fn three_times(mut wrong: impl FnMut() -> Result<Option<String>, Stop>) -> Result<(), Stop> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match wrong()? {
            Some(detail) => last = detail,
            None => return Ok(()),
        }
    }
    Err(Stop::fails(Wrong::Miscounted, last))
}
