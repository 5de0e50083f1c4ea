//! The cache's own thread: makes room ahead of need, and writes back what has been dirty for a
//! while; writes the time down for those who name holders. It sleeps when there is nothing to do.
//! Beside it, those who read ahead.

use std::time::{Duration, Instant};

use crate::ahead::{Task, Wanted};
use crate::batch::{self, Need, Purpose};
use crate::cache;
use crate::clock::{GOES, TICK};
use crate::core::{self, Core, FolioRef};
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
            core.bell.reclaim_begins();
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

/// Sleeps until something is wanted, or the time has come to look for dirty pages; keeps the clock
/// meanwhile, when somebody has started it.
fn next(core: &Core, limit: Duration) -> core::Wanted {
    let begun = Instant::now();
    let mut clock_goes_until = None;
    core.clock.stand();
    let mut wanted = core.bell.wanted.lock();
    let now = loop {
        let now = Instant::now();
        let nap = limit.saturating_sub(now - begun);
        if wanted.stop || wanted.reclaim || nap.is_zero() {
            break *wanted;
        }
        if std::mem::take(&mut wanted.clock) {
            clock_goes_until = Some(now + GOES);
        }
        let nap = match clock_goes_until {
            Some(until) if now < until => {
                core.clock.tick();
                nap.min(TICK)
            }
            Some(_) => {
                clock_goes_until = None;
                core.clock.stand();
                nap
            }
            None => nap,
        };
        wanted = core.bell.rings.wait_for(wanted, nap);
    };
    core.clock.leave();
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

/// Reads ahead and writes behind what is asked for, until the cache ends.
#[doc(alias = "page_cache_ra_unbounded")]
pub(crate) fn read_ahead(core: &Core) {
    while let Some(mut running) = core.ahead.next() {
        let Wanted { mapping, pages, task } = running.wanted.clone();
        match task {
            Task::Read { uses } => {
                let mut shown = |_: &FolioRef<'_>, _| {};
                let purpose = Purpose { need: Need::Ahead, uses };
                let failed = batch::fill(core, &mapping, purpose, &mut running, &mut shown);
                for (pages, error) in failed {
                    tracing::debug!(?pages, %error, "reading ahead");
                }
            }
            Task::Write => {
                // A failure is recorded for `sync`, and the pages stay dirty.
                let patience = Patience::Skip;
                if let Err(error) = writeback::write_range(core, &mapping, pages, patience) {
                    tracing::warn!(%error, "writing behind");
                }
            }
        }
    }
}
