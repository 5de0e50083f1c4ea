//! The rooms of one cache, wired together. (What holds a folio in place: `core/guards.rs`.)
//!
//! ```text
//! lock order (outermost first; no sleep and no I/O under the four in the middle)
//!   resize lock of a file
//!     folio lock          a second one only for a folio that nobody else can see yet
//!       one of: i_pages | table | LRU | node
//!         wait queue
//! ```
//!
//! **Waiting.** Nothing here waits while it holds a folio: an attempt that cannot go on gives
//! everything back and answers with an [`Obstacle`]; [`Core::wait`] sleeps until that is gone, and
//! the attempt starts over. So a sleeper is never what the one it waits for waits for; the
//! remaining way to deadlock, an embedder's thread that holds pages and asks for more, is what
//! [`Core::wait`] refuses.

#[cfg(not(refolio_model))]
pub(crate) mod all;
mod guards;
mod hinted;

use std::fmt;
use std::panic::Location;
use std::time::Instant;

use crate::ahead;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::folio::state::{Flag, Get, Put, Snapshot, Wake};
use crate::folio::{Folio, Folios};
use crate::frame::Frames;
use crate::hint::Hints;
use crate::holder::{self, Held, Holder, Intent};
use crate::lru::Lru;
use crate::mapping::{Lookup, Mapping};
use crate::node::{Counter, Node};
use crate::registry::Mappings;
use crate::shadow::Shadows;
use crate::sync::{self, Arc, Condvar, Mutex, Relaxed, Retry, broken, call, plain, rule};
use crate::table::{Table, Tables};
use crate::units::{FrameNo, NodeId, PageIndex, pages};
pub(crate) use guards::{FolioLock, FolioRef, Fresh};
pub(crate) use hinted::AtHand;

/// What happened in a cache since it was made, under the kernel's names.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub pgfault: Counter,
    pub pgmajfault: Counter,
    pub pgmigrate_success: Counter,
    pub pgmigrate_fail: Counter,
    pub pgscan: Counter,
    pub pgsteal: Counter,
    pub pgdemote: Counter,
    pub pgwriteback: Counter,
    pub workingset_refault: Counter,
}

/// What the housekeeper is asked to do.
#[derive(Debug, Default, Clone, Copy, Hash)]
pub(crate) struct Wanted {
    pub stop: bool,
    pub reclaim: bool,
    /// The clock was started.
    pub clock: bool,
}

/// The bell of the housekeeper.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    pub wanted: Mutex<Wanted>,
    pub rings: Condvar,
    /// Reclaim was asked for, and has not begun: whoever allocates need not ask again.
    asked: plain::AtomicBool,
}

impl Bell {
    /// Asks for something, and wakes the housekeeper.
    pub fn ring(&self, ask: impl FnOnce(&mut Wanted)) {
        ask(&mut self.wanted.lock());
        self.rings.notify_all();
    }

    /// Asks for reclaim, if nobody has.
    pub fn ask_for_reclaim(&self) {
        // Relaxed: whoever loses the race is served by the reclaim that begins.
        if !self.asked.load(Relaxed) {
            self.asked.store(true, Relaxed);
            self.ring(|wanted| wanted.reclaim = true);
        }
    }

    /// What is asked for from now on is asked anew.
    pub fn reclaim_begins(&self) {
        // Relaxed: as above.
        self.asked.store(false, Relaxed);
    }
}

/// One cache.
pub(crate) struct Core {
    pub frames: Frames,
    pub folios: Folios,
    pub nodes: Vec<Node>,
    pub lrus: Vec<Lru>,
    pub tables: Tables,
    pub mappings: Mappings,
    pub shadows: Shadows,
    pub hints: Hints,
    pub events: Events,
    pub bell: Bell,
    pub ahead: ahead::Queue,
    pub clock: Clock,
    pub name_holders: bool,
    /// Held while a node goes out of use, comes back, or gives its memory up.
    #[doc(alias = "mem_hotplug_lock")]
    pub hotplug: plain::Mutex<()>,
    /// Views that ended while a page of theirs was in the hands of their thread's own guard.
    pub ended: plain::Mutex<Vec<Arc<Table>>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// Why an attempt could not go on, as of one moment.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Obstacle {
    pub frame: FrameNo,
    pub why: Why,
    /// The version of the folio's word at that moment.
    seen: u32,
}

/// What stands in the way of a change to a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Somebody holds the folio lock: a fill, a write, a move.
    Locked,
    /// The bytes are on their way to the store.
    Writeback,
    /// There are more references than the cache's own: pins, or reads that run right now.
    References,
    /// Somebody else moves or evicts the folio.
    Isolated,
    /// The folio is frozen: it is being written, moved or evicted at this moment.
    Frozen,
    /// The slot names another folio than a moment ago.
    SlotChanged,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Locked => "locked",
            Why::Writeback => "under writeback",
            Why::References => "extra references",
            Why::Isolated => "isolated by another mover",
            Why::Frozen => "frozen",
            Why::SlotChanged => "slot changed",
        })
    }
}

impl Core {
    #[inline]
    pub fn folio(&self, frame: FrameNo) -> &Folio {
        self.folios.get(frame)
    }

    /// Has a byte of a frame, and its descriptor if a folio begins there, brought to the processor's
    /// caches: both at once, where whoever uses the folio would wait for one after the other, since
    /// nothing passes the locked instruction by which he takes it.
    #[inline(always)]
    pub fn prefetch(&self, frame: FrameNo, offset: usize) {
        self.folios.prefetch(frame);
        self.frames.prefetch(frame, offset);
    }

    /// The same of byte `offset` of a file, if its page has a hint.
    #[inline(always)]
    pub fn prefetch_page(&self, mapping: &Mapping, offset: u64) {
        let index = PageIndex::of_offset(offset);
        if let Some(frame) = self.hints.get(mapping.identity(index)) {
            self.prefetch(frame, (offset - index.offset()) as usize);
        }
    }

    pub fn node_of(&self, frame: FrameNo) -> &Node {
        let found = self.nodes.iter().find(|node| node.has(frame));
        found.unwrap_or(&self.nodes[0])
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    pub fn lru_of(&self, frame: FrameNo) -> &Lru {
        &self.lrus[self.node_of(frame).id.0 as usize]
    }

    /// A hold that is about to begin.
    #[inline]
    pub fn intent<const GUARD: bool>(&self, place: &'static Location<'static>) -> Intent<GUARD> {
        if !self.name_holders {
            return Intent::UNNAMED;
        }
        Intent::new(self.time_ns(), place)
    }

    /// The same, where it takes a few instructions only.
    #[inline(always)]
    pub fn intent_at_once<const GUARD: bool>(
        &self,
        place: &'static Location<'static>,
    ) -> Option<Intent<GUARD>> {
        if !self.name_holders {
            return Some(Intent::UNNAMED);
        }
        Intent::at_once(self.time_ns(), place)
    }

    /// The time, of a clock that goes while somebody looks.
    #[inline(always)]
    fn time_ns(&self) -> u64 {
        let (time_ns, started) = self.clock.look();
        if started {
            self.bell.ring(|wanted| wanted.clock = true);
        }
        time_ns
    }

    /// Gives one reference back; frees the folio with the last one.
    #[inline]
    pub fn put(&self, frame: FrameNo) {
        self.put_many(frame, 1);
    }

    /// Gives several references back, as [`put`](Self::put).
    #[inline]
    pub fn put_many(&self, frame: FrameNo, count: u32) {
        let folio = self.folio(frame);
        call(|| self.after_put(folio, folio.state.put_many(count)));
    }

    /// What is left to do when references were given back: nothing, as a rule.
    #[inline]
    pub fn after_put(&self, folio: &Folio, put: Put) {
        match put {
            Put::Others { wake } if !wake || broken("put-forgets-to-wake") => {}
            Put::Others { .. } => self.wake(folio),
            Put::Last => call(|| self.free(self.folios.frame_of(folio))),
        }
    }

    #[cold]
    fn wake(&self, folio: &Folio) {
        self.folios.wake(self.folios.frame_of(folio), Wake(true));
    }

    /// Frees a folio whose last reference is gone; nobody can get a new one.
    #[doc(alias = "__folio_put")]
    #[cold]
    pub fn free(&self, frame: FrameNo) {
        let order = self.retire(frame);
        self.node_of(frame).free(frame, order);
    }

    /// All of that but giving the frames back to their node; the order of the folio.
    pub fn retire(&self, frame: FrameNo) -> u32 {
        let folio = self.folio(frame);
        rule(folio.identity().is_none(), "a folio is freed after it left its file");
        self.lru_of(frame).remove_freed(&self.folios, frame);
        let state = folio.state.load();
        if state.has(Flag::ANON) {
            self.node_of(frame).counters.nr_anon_pages.sub(folio.pages());
        }
        let waiters = state.has(Flag::WAITERS) && !broken("free-forgets-to-wake");
        self.folios.wake(frame, Wake(waiters));
        folio.order()
    }

    /// A new folio on one node, locked, that leaves `keep` frames free there.
    pub fn alloc_on(
        &self,
        node: &Node,
        order: u32,
        keep: u32,
        flags: &[Flag],
    ) -> Option<Fresh<'_>> {
        let frame = node.alloc(order, keep)?;
        Some(self.claim(node, frame, order, flags))
    }

    /// A new folio of frames that were taken from `node`.
    pub fn claim(&self, node: &Node, frame: FrameNo, order: u32, flags: &[Flag]) -> Fresh<'_> {
        let folio = self.folio(frame);
        folio.claim(order, flags);
        if flags.contains(&Flag::ANON) {
            node.counters.nr_anon_pages.add(pages(order));
        }
        Fresh { folio: FolioRef { core: self, frame, folio } }
    }

    /// The obstacle that `frame` is, if it is one still.
    pub fn obstacle(&self, frame: FrameNo, why: Why) -> Obstacle {
        Obstacle { frame, why, seen: self.folio(frame).state.version() }
    }

    /// The obstacle that the folio in a slot is whose references are used up.
    pub fn obstacle_at(&self, mapping: &Mapping, index: PageIndex) -> Obstacle {
        let frame = mapping.peek(index).map_or(self.nodes[0].first, |(frame, _)| frame);
        self.obstacle(frame, Why::References)
    }

    /// Page `index` of a file, with a reference; None when it is not cached.
    pub fn lookup(&self, mapping: &Mapping, index: PageIndex) -> Found<'_> {
        call(|| {
            let retry = Retry::new();
            loop {
                return match mapping.lookup(&self.folios, index) {
                    Lookup::Folio(frame, base) => {
                        Found::Folio(FolioRef { core: self, frame, folio: self.folio(frame) }, base)
                    }
                    Lookup::Stale(frame) => {
                        self.put(frame);
                        retry.again();
                        continue;
                    }
                    Lookup::Frozen(frame, seen) => {
                        Found::Blocked(Obstacle { frame, why: Why::Frozen, seen })
                    }
                    Lookup::Saturated => Found::Saturated,
                    Lookup::Miss => Found::Miss,
                };
            }
        })
    }

    /// Sleeps until the obstacle is gone; false when the deadline came first.
    ///
    /// # Errors
    /// [`Error::GuardHeld`] and [`Error::Held`] when this thread holds pages and the obstacle is a
    /// page in an embedder's hands: that one might be waiting for us.
    pub fn wait(&self, obstacle: Obstacle, deadline: Option<Instant>) -> Result<bool> {
        let Obstacle { frame, why, seen } = obstacle;
        let (pins, guards) = holder::mine();
        let folio = self.folio(frame);
        let state = &folio.state;
        let guarded = |now: Snapshot| guards > 0 && now.has(Flag::GUARDED);
        let blocked = |now: Snapshot| {
            !guarded(now)
                && (now.version() == seen || broken("wait-ignores-version"))
                && match why {
                    Why::Locked => now.has(Flag::LOCKED),
                    Why::Writeback => now.has(Flag::WRITEBACK),
                    // What the cache itself holds changes under the folio lock, and unlocking
                    // wakes.
                    Why::References => now.references() > folio.expected_references(),
                    // Frozen, it cannot be isolated either.
                    Why::Isolated if now.references() == 0 => now.has(Flag::LOCKED),
                    Why::Isolated => !now.has(Flag::ON_LRU),
                    Why::Frozen => now.references() == 0 && now.has(Flag::LOCKED),
                    Why::SlotChanged => false,
                }
        };
        if why == Why::References && (pins > 0 || guards > 0) {
            return self.refuse_to_wait(frame, guards, blocked);
        }
        for _ in 0..SPINS {
            if !blocked(state.load()) {
                break;
            }
            sync::spin();
        }
        let holds = broken("waiter-holds-reference") && state.try_get() == Get::Got;
        let _reference = holds.then(|| FolioRef { core: self, frame, folio });
        let (gone, guarded) = call(|| {
            let gone = self.folios.wait(frame, deadline, blocked);
            (gone, guarded(state.load()))
        });
        if guarded {
            return Err(Error::GuardHeld { holders: holder::own(None) }.into());
        }
        Ok(gone)
    }

    /// References may be pins, whose holder may wait for ours. References of calls that run right
    /// now go by themselves: those are given a moment.
    fn refuse_to_wait(
        &self,
        frame: FrameNo,
        guards: u32,
        blocked: impl Fn(Snapshot) -> bool,
    ) -> Result<bool> {
        let folio = self.folio(frame);
        let state = &folio.state;
        let mine = holder::own(Some(Held::of(folio)));
        for _ in 0..if mine.is_empty() { YIELDS } else { 0 } {
            if !blocked(state.load()) {
                return Ok(true);
            }
            std::thread::yield_now();
        }
        if guards > 0 && mine.is_empty() {
            return Err(Error::GuardHeld { holders: holder::own(None) }.into());
        }
        Err(Error::Held { holders: self.holders(frame) }.into())
    }

    /// Whoever holds a folio, beyond what its cache does.
    pub fn holders(&self, frame: FrameNo) -> Vec<Holder> {
        let folio = self.folio(frame);
        let extra = folio.state.load().references().saturating_sub(folio.expected_references());
        holder::of(Held::of(folio), extra)
    }

    /// Calls that may have to wait for a page whose holder may wait for ours are not for threads
    /// with a write guard.
    pub fn no_guard_held(&self) -> Result<()> {
        if holder::mine().1 > 0 {
            return Err(Error::GuardHeld { holders: holder::own(None) }.into());
        }
        Ok(())
    }
}

/// Looks at an obstacle before it is worth sleeping on: a switch takes tens of nanoseconds.
const SPINS: u32 = if cfg!(refolio_model) { 0 } else { 100 };

/// How often a thread that may not wait lets the others go first.
const YIELDS: u32 = if cfg!(refolio_model) { 0 } else { 200 };

/// What a lookup found.
#[must_use]
#[derive(Debug)]
#[cfg_attr(refolio_explore, derive(Hash))]
pub(crate) enum Found<'c> {
    /// The folio, and the index of its first page.
    Folio(FolioRef<'c>, PageIndex),
    Blocked(Obstacle),
    Saturated,
    Miss,
}
