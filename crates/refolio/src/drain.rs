//! A node is emptied completely, and its memory given back.
//!
//! Nothing is allocated on the node from the first moment on. What is there moves to the other
//! nodes, the fastest first; what finds no room is evicted. What stays is named, with who holds it.

use std::time::Instant;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::migrate::Place;
use crate::node::Node;
use crate::passes::{self, Migrate};
use crate::reclaim;
use crate::report::{Outcome, Owner, PageOutcome, Report};
use crate::units::{FrameNo, NodeId};

/// How often pages are looked for: what was being allocated when the node went out of use shows up
/// late.
const SWEEPS: u32 = 3;

/// Where every folio of a node is known.
pub(crate) fn places_on(core: &Core, node: &Node) -> Vec<Place> {
    let frames = node.first.0..node.first.0 + node.frames;
    let used = frames.map(FrameNo).filter(|f| core.folio(*f).state.load().references() > 0);
    used.filter_map(|frame| reclaim::place_of(core, frame)).collect()
}

/// Empties a node; see [`Cache::drain`](crate::Cache::drain).
#[doc(alias = "offline_pages")]
pub(crate) fn drain(core: &Core, node: NodeId, how: &Migrate<'_>) -> Result<Report> {
    let source = passes::node(core, node)?;
    let others: Vec<_> =
        core.nodes.iter().filter(|other| other.id != node && !other.is_offline()).collect();
    if others.is_empty() {
        return Err(Error::Node { node, why: "it is the last one in use" });
    }
    source.set_offline(true);
    let start = Instant::now();
    let mut report = Report::default();
    // A few times over: what was being allocated when the node went out of use shows up late.
    for _ in 0..SWEEPS {
        if source.nr_free_pages() == source.frames {
            break;
        }
        report.outcomes.retain(|page| {
            matches!(page.outcome, Outcome::Moved { .. } | Outcome::Gone)
        });
        let mut places = places_on(core, source);
        for other in &others {
            let mut moved = passes::migrate(core, &places, other, how);
            places = std::mem::take(&mut places)
                .into_iter()
                .zip(&moved.outcomes)
                .filter(|(_, page)| page.outcome == Outcome::NoMemory)
                .map(|(place, _)| place)
                .collect();
            if !std::ptr::eq(*other, others[others.len() - 1]) {
                moved.outcomes.retain(|page| page.outcome != Outcome::NoMemory);
            }
            report.outcomes.append(&mut moved.outcomes);
        }
        evict(core, &places, &mut report);
    }
    if source.nr_free_pages() == source.frames {
        // A failure only means that the memory stays with us for now.
        if let Err(error) = core.frames.discard(source.first, source.frames) {
            tracing::warn!(%error, "the memory of an emptied node stays with the process");
        }
    }
    report.elapsed = start.elapsed();
    Ok(report)
}

/// Evicts what found no room elsewhere; its outcome is that it is gone.
fn evict(core: &Core, places: &[Place], report: &mut Report) {
    for place in places {
        let (Place::File(mapping, index), Some(frame)) = (place, place.folio()) else { continue };
        if reclaim::evict(core, mapping, *index, frame) == 0 {
            continue;
        }
        let owner = Owner::File { file: mapping.id, index: *index };
        let of_page = |page: &&mut PageOutcome| {
            page.owner == owner && page.outcome == Outcome::NoMemory
        };
        if let Some(page) = report.outcomes.iter_mut().find(of_page) {
            page.outcome = Outcome::Gone;
        }
    }
}
