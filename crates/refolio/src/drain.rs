//! A node is emptied completely, and its memory given back.
//!
//! Nothing is allocated on the node from the first moment on. What is there moves to the other
//! nodes, the fastest first; what finds no room is evicted. What stays is named, with who holds it.

use std::slice;
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::error::{Error, Result};
use crate::evict;
use crate::node::Node;
use crate::passes::{self, Migrate};
use crate::place::Place;
use crate::reclaim;
use crate::report::{Kind, Outcome, Owner, PageOutcome, Report};
use crate::sync::plain;
use crate::units::{FrameNo, NodeId};

/// How often pages are looked for: what was being allocated when the node went out of use shows up
/// late.
const SWEEPS: u32 = 3;

/// Where every folio of a node is known.
pub(crate) fn places_on(core: &Core, node: &Node) -> Vec<Place<'static>> {
    used_on(core, node).filter_map(|frame| reclaim::place_of(core, frame)).collect()
}

/// The first frames of a node's folios that somebody has a reference to.
fn used_on(core: &Core, node: &Node) -> impl Iterator<Item = FrameNo> {
    let frames = (node.first.0..node.first.0 + node.frames).map(FrameNo);
    frames.filter(|frame| core.folio(*frame).state.load().references() > 0)
}

/// Empties a node; see [`Cache::drain`](crate::Cache::drain).
#[doc(alias = "offline_pages")]
pub(crate) fn drain(core: &Core, node: NodeId, how: &Migrate<'_>) -> Result<Report> {
    let source = passes::node(core, node)?;
    let others = take_out_of_use(core, source)?;
    let start = Instant::now();
    let mut report = Report::default();
    // A few times over: what was being allocated when the node went out of use shows up late.
    for _ in 0..SWEEPS {
        if source.nr_free_pages() == source.frames {
            break;
        }
        report
            .outcomes
            .retain(|page| matches!(page.outcome, Outcome::Moved { .. } | Outcome::Gone));
        let mut places = places_on(core, source);
        for (at, other) in others.iter().enumerate() {
            let last = at + 1 == others.len();
            let moved = passes::migrate(core, &places, other, how);
            let mut homeless = Vec::new();
            for (place, mut page) in places.into_iter().zip(moved.outcomes) {
                if page.outcome == Outcome::NoMemory {
                    if !last {
                        homeless.push(place);
                        continue;
                    }
                    // What found no room elsewhere.
                    if evict::places(core, slice::from_ref(&place)) > 0 {
                        page.outcome = Outcome::Gone;
                    }
                }
                report.outcomes.push(page);
            }
            places = homeless;
        }
    }
    report.outcomes.extend(orphans(core, source));
    wait_for_frames_in_hand(core, source);
    let hotplug = plain::lock(&core.hotplug);
    // Back in use meanwhile? Then what is free now may hold somebody's bytes in a moment.
    if source.is_offline() && source.nr_free_pages() == source.frames {
        // A failure only means that the memory stays with us for now.
        if let Err(error) = core.frames.discard(source.first, source.frames) {
            tracing::warn!(%error, "the memory of an emptied node stays with the process");
        }
    }
    drop(hotplug);
    report.elapsed = start.elapsed();
    Ok(report)
}

/// How often frames are looked for that are neither free nor a folio's, a millisecond apart: they are in
/// the hands of somebody who moves, evicts or reads pages in, and come back in a moment.
const LOOKS: u32 = if cfg!(refolio_model) { 0 } else { 100 };

fn wait_for_frames_in_hand(core: &Core, node: &Node) {
    for _ in 0..LOOKS {
        let in_hand = node.nr_free_pages() < node.frames && used_on(core, node).next().is_none();
        if !in_hand {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing is allocated on the node from here on; the nodes that are left in use.
fn take_out_of_use<'c>(core: &'c Core, node: &Node) -> Result<Vec<&'c Node>> {
    let _hotplug = plain::lock(&core.hotplug);
    let others = core.nodes.iter().filter(|other| other.id != node.id && !other.is_offline());
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return Err(Error::Node { node: node.id, why: "it is the last one in use" }.into());
    }
    node.set_offline(true);
    Ok(others)
}

/// Folios that left their file or their view, but not their holders: nothing can move them.
fn orphans(core: &Core, node: &Node) -> Vec<PageOutcome> {
    let orphaned = used_on(core, node).filter(|frame| reclaim::place_of(core, *frame).is_none());
    let busy = orphaned.map(|frame| PageOutcome {
        owner: Owner::Orphan,
        kind: Kind::FileClean,
        order: core.folio(frame).order(),
        outcome: Outcome::Busy { holders: core.holders(frame) },
    });
    busy.collect()
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::hand::Room;

    #[test]
    fn frames_in_somebodys_hand_are_waited_for_before_the_memory_is_given_back() {
        let nodes = [NodeOptions::new(64 << 20), NodeOptions::new(64 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let node = &core.nodes[0];
        core.frames.write(node.first, 0, &[7; 64]);
        let (taken, when_taken) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            let holder = threads.spawn(|| {
                let room = Room::new(&core, node, 0, 64);
                taken.send(()).unwrap();
                while !node.is_offline() {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(5));
                drop(room);
            });
            when_taken.recv().unwrap();
            drain(&core, node.id, &Migrate::new()).unwrap();
            holder.join().unwrap(); // The end of the scope, too, would do, but not for ThreadSanitizer.
        });
        let mut bytes = [1; 64];
        core.frames.read(node.first, 0, &mut bytes);
        assert_eq!(bytes, [0; 64], "memory that was given back has come anew");
    }
}
