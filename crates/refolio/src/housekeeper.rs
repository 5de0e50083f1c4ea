//! The cache's own thread: makes room ahead of need, and writes back what has been dirty for a
//! while. It sleeps when there is nothing to do.

use std::time::{Duration, Instant};

use crate::cache;
use crate::core::{Core, Wanted};
use crate::reclaim;
use crate::sync::Relaxed;
use crate::writeback::{self, Patience};

/// Keeps house until it is told to stop.
#[doc(alias = "kswapd")]
#[doc(alias = "wb_workfn")]
pub(crate) fn run(core: &Core, interval: Duration) {
    let mut written = Instant::now();
    loop {
        let wanted = next(core, interval.saturating_sub(written.elapsed()));
        if wanted.stop {
            return;
        }
        if wanted.reclaim {
            for node in &core.nodes {
                if !node.is_offline() && node.nr_free_pages() < node.marks.low {
                    reclaim::shrink(core, node, node.marks.high);
                }
            }
        }
        if written.elapsed() >= interval {
            write_back(core);
            core.finish_zaps();
            written = Instant::now();
        }
    }
}

/// Sleeps until something is wanted, or the time has come to look for dirty pages.
fn next(core: &Core, limit: Duration) -> Wanted {
    let mut wanted = core.bell.wanted.lock();
    if !wanted.stop && !wanted.reclaim {
        wanted = core.bell.rings.wait_for(wanted, limit);
    }
    let now = *wanted;
    wanted.reclaim = false;
    now
}

fn write_back(core: &Core) {
    let dirty = core.nodes.iter().any(|node| node.counters.nr_dirty.get() > 0);
    if !dirty {
        return;
    }
    for mapping in core.mappings.all() {
        // Relaxed: a handle that is being opened finds its pages, written back or not.
        if mapping.users.load(Relaxed) == 0 {
            cache::retire(core, &mapping);
            continue;
        }
        // A failure is recorded for `sync`, and the pages stay dirty.
        if let Err(error) = writeback::write_range(core, &mapping, 0..u64::MAX, Patience::Skip) {
            tracing::warn!(%error, "background writeback");
        }
    }
}
