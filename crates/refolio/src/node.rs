//! A memory node: a run of frames with its own free lists, watermarks and counters.

use std::ops::Range;

use crate::buddy::Buddy;
use crate::frame::Backing;
use crate::sync::plain::{AtomicBool, AtomicU64};
use crate::sync::{Mutex, Relaxed, call, rule};
use crate::units::{FrameNo, NodeId, pages};

/// Free frames below which a node helps itself, in parts of the node: allocation reclaims by itself
/// below `min`, the housekeeper begins below `low` and stops at `high`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watermarks {
    pub min: u32,
    pub low: u32,
    pub high: u32,
}

impl Watermarks {
    fn of(frames: u32) -> Self {
        Self { min: frames / 256, low: frames / 64, high: frames / 32 }
    }
}

/// A number of pages. Relaxed: each change is made by the thread that made what it counts, and it is
/// exact when the cache is at rest.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub fn add(&self, pages: u32) {
        call(|| _ = self.0.fetch_add(u64::from(pages), Relaxed));
    }

    pub fn sub(&self, pages: u32) {
        call(|| {
            let before = self.0.fetch_sub(u64::from(pages), Relaxed);
            rule(before >= u64::from(pages), "a page was discounted twice");
        });
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Places that a counter is kept in.
const SHARDS: usize = if cfg!(refolio_model) { 1 } else { 8 };

/// A number of pages that all threads change with every page: each in a place of its own, or one that it
/// shares with few, so that no line goes from processor to processor. What one place lacks another has.
#[derive(Debug, Default)]
pub(crate) struct Counter([Shard; SHARDS]);

/// As much as processors fetch together: two lines.
#[derive(Debug, Default)]
#[cfg_attr(not(refolio_model), repr(align(128)))]
struct Shard(Count);

impl Counter {
    pub fn add(&self, pages: u32) {
        self.mine().add(pages);
    }

    pub fn sub(&self, pages: u32) {
        let mine = self.mine();
        if SHARDS == 1 {
            return mine.sub(pages);
        }
        mine.0.fetch_sub(u64::from(pages), Relaxed); // Relaxed: as any count.
    }

    pub fn get(&self) -> u64 {
        let sum = self.0.iter().map(|place| place.0.get()).fold(0, u64::wrapping_add);
        // Of a page that goes from place to place meanwhile, only the loss may have been seen.
        sum.cast_signed().max(0).cast_unsigned()
    }

    fn mine(&self) -> &Count {
        &self.0[shard()].0
    }
}

/// The place of this thread.
#[cfg(not(refolio_model))]
fn shard() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: any number will do.
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Relaxed) as usize % SHARDS);
    // A thread that ends may count still: then in any place.
    MINE.try_with(|mine| *mine).unwrap_or(0)
}

#[cfg(refolio_model)]
fn shard() -> usize {
    0
}

/// Pages of a node by what they are, under the kernel's names.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub nr_file_pages: Counter,
    pub nr_anon_pages: Counter,
    pub nr_dirty: Counter,
    pub nr_writeback: Counter,
    pub nr_isolated: Counter,
}

/// A node.
pub(crate) struct Node {
    pub id: NodeId,
    pub name: String,
    pub first: FrameNo,
    pub frames: u32,
    pub counters: Counters,
    pub marks: Watermarks,
    pub backing: Backing,
    free: Mutex<Buddy>,
    /// Frames in `free`, for those who only want to know roughly.
    nr_free: AtomicU64,
    offline: AtomicBool,
}

/// Which one it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Node {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Node {
    pub fn new(id: NodeId, name: String, first: FrameNo, frames: u32, backing: Backing) -> Self {
        Self {
            id,
            name,
            first,
            frames,
            counters: Counters::default(),
            marks: Watermarks::of(frames),
            backing,
            free: Mutex::new(Buddy::new(first, frames)),
            nr_free: AtomicU64::new(u64::from(frames)),
            offline: AtomicBool::new(false),
        }
    }

    /// Names the lock in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        let named = || format!("free list of {}", self.id);
        crate::sync::name(&self.free, named, crate::model::names::nothing);
    }

    /// Whether `frame` is one of this node's.
    pub fn has(&self, frame: FrameNo) -> bool {
        frame.0 >= self.first.0 && frame.0 - self.first.0 < self.frames
    }

    /// A free folio that leaves at least `keep` frames free; None when there is none, or the node
    /// is being emptied.
    pub fn alloc(&self, order: u32, keep: u32) -> Option<FrameNo> {
        call(|| {
            let mut free = self.free.lock();
            if self.is_offline() || free.free_frames() < pages(order).saturating_add(keep) {
                return None;
            }
            let frame = free.alloc(order)?;
            self.nr_free.store(u64::from(free.free_frames()), Relaxed);
            Some(frame)
        })
    }

    /// Up to `most` free frames that lie together, as many as there are, and that leave at least
    /// `keep` free.
    pub fn alloc_run(&self, most: u32, keep: u32) -> Option<Range<u32>> {
        call(|| {
            let mut free = self.free.lock();
            let most = most.min(free.free_frames().saturating_sub(keep));
            if self.is_offline() || most == 0 {
                return None;
            }
            let order = free.largest_free_order()?.min(most.ilog2());
            let first = free.alloc(order)?.0;
            self.nr_free.store(u64::from(free.free_frames()), Relaxed);
            Some(first..first + pages(order))
        })
    }

    /// Up to `most` free frames, wherever they lie, that leave at least `keep` free.
    pub fn alloc_many(&self, most: usize, keep: u32) -> Vec<FrameNo> {
        call(|| {
            let mut free = self.free.lock();
            let room = free.free_frames().saturating_sub(keep) as usize;
            let most = if self.is_offline() { 0 } else { most.min(room) };
            let frames = (0..most).map_while(|_| free.alloc(0)).collect();
            self.nr_free.store(u64::from(free.free_frames()), Relaxed);
            frames
        })
    }

    /// Gives back folios' frames: the first of each, and its order. Nobody has a reference to them.
    pub fn free_all(&self, folios: impl IntoIterator<Item = (FrameNo, u32)>) {
        call(|| {
            let mut free = self.free.lock();
            folios.into_iter().for_each(|(frame, order)| free.free(frame, order));
            self.nr_free.store(u64::from(free.free_frames()), Relaxed);
        });
    }

    /// Whether [`alloc`](Self::alloc) would find a folio now.
    pub fn fits(&self, order: u32, keep: u32) -> bool {
        call(|| {
            let free = self.free.lock();
            free.free_frames() >= pages(order).saturating_add(keep)
                && free.largest_free_order().is_some_and(|largest| largest >= order)
        })
    }

    /// Gives a folio's frames back. Nobody has a reference to them.
    pub fn free(&self, frame: FrameNo, order: u32) {
        debug_assert!(self.has(frame));
        self.free_all([(frame, order)]);
    }

    /// Free frames, as of a moment ago.
    pub fn nr_free_pages(&self) -> u32 {
        self.nr_free.load(Relaxed) as u32
    }

    /// Whether nothing is allocated here any more.
    pub fn is_offline(&self) -> bool {
        self.offline.load(Relaxed)
    }

    /// Takes the node out of use, or back into it; whether it was out.
    pub fn set_offline(&self, offline: bool) -> bool {
        // Relaxed: `alloc` looks under the same lock.
        let _free = self.free.lock();
        self.offline.swap(offline, Relaxed)
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;

    #[test]
    fn what_one_thread_counts_and_another_discounts_adds_up() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| counter.add(3));
            }
        });
        assert_eq!(counter.get(), 6 * SHARDS as u64);
        counter.sub(6 * SHARDS as u32 - 1);
        assert_eq!(counter.get(), 1);
        // A loss whose gain has not been seen yet.
        counter.sub(2);
        assert_eq!(counter.get(), 0);
        counter.add(2);
        assert_eq!(counter.get(), 1);
    }
}
