//! The world of a model: a cache of a few tiny pages, its verbs, and what must be true of it at all
//! times and at rest.

use crate::builder::{NodeOptions, assemble};
use crate::core::{Core, FolioRef};
use crate::folio::state::Flag;
use crate::mapping::Mapping;
use crate::migrate::{Form, Move, Place, Stop};
use crate::store::MemStore;
use crate::sync::{Arc, reached};
use crate::table::entry::Entry;
use crate::table::{Backing, Sharing, Table};
use crate::units::{FrameNo, NodeId, PAGE_SIZE, PageIndex, Vpn};
use crate::watch::Watch;
use crate::{fault, read, reclaim, write};
use refolio_xarray::Mark;

/// Frames of each node.
const FRAMES: u64 = 2;

/// A page full of one value.
pub fn full(value: u8) -> [u8; PAGE_SIZE] {
    [value; PAGE_SIZE]
}

/// What page `index` holds at first, in the store.
pub fn first(index: u64) -> u8 {
    0x10 + index as u8
}

/// The value that a page is full of; it must be one of those.
pub fn value_of(bytes: &[u8], allowed: &[u8]) -> u8 {
    let value = bytes[0];
    assert!(bytes.iter().all(|byte| *byte == value), "a torn page: {bytes:x?}");
    assert!(allowed.contains(&value), "a strange page: {bytes:x?}, not one of {allowed:x?}");
    value
}

/// A cache with one file, and a view of it.
pub struct World {
    pub core: Core,
    pub store: MemStore,
    pub mapping: Arc<Mapping>,
    pub table: Arc<Table>,
}

impl World {
    /// `nodes` nodes, and a file of `pages` pages, none of them cached.
    pub fn new(nodes: usize, pages: u64) -> Arc<Self> {
        let node = NodeOptions::new(FRAMES * PAGE_SIZE as u64);
        let core = assemble(&vec![node; nodes], false).unwrap();
        let store = MemStore::with_bytes((0..pages).flat_map(|index| full(first(index))).collect());
        let len = pages * PAGE_SIZE as u64;
        let mapping = core.mappings.open(None, |id| {
            Mapping::new(id, Arc::new(store.clone()), len, 0, None)
        });
        let file = mapping.clone();
        let sharing = Sharing::Shared;
        let backing = Backing::File { mapping: file, first: PageIndex(0), sharing, writable: true };
        let table = Arc::new(Table::new(1, backing).unwrap());
        Arc::new(Self { core, store, mapping, table })
    }

    /// Page `index`, with a reference; read in if need be.
    pub fn page(&self, index: u64) -> FolioRef<'_> {
        fault::page(&self.core, &self.mapping, PageIndex(index)).unwrap().0
    }

    /// Reads page `index` in, as one that was used already: whoever uses it now leaves no note.
    pub fn load(&self, index: u64) {
        drop(self.page(index));
        drop(self.page(index));
    }

    /// The frame of page `index`, if it is cached.
    pub fn frame(&self, index: u64) -> Option<FrameNo> {
        let entry = self.mapping.pages.load(index)?;
        Mapping::folio_in(entry, PageIndex(index)).map(|found| found.0)
    }

    /// Where page `index` is known.
    pub fn place(&self, index: u64) -> Place {
        Place::File(self.mapping.clone(), PageIndex(index))
    }

    /// A move to a node.
    pub fn moving(&self, node: u8) -> Move<'_> {
        let to = self.core.node(NodeId(node)).unwrap();
        let (form, watch) = (Form::default(), Watch::default());
        Move { core: &self.core, to, keep: 0, form, watch }
    }

    /// Somebody takes a frame of a node, fills it, and gives it back.
    pub fn reuse(&self, node: u8) {
        let node = self.core.node(NodeId(node)).unwrap();
        let fresh = self.core.alloc_on(node, 0, 0, &[]).unwrap();
        self.core.frames.write(fresh.folio.frame, 0, &full(0xff));
        fresh.folio.folio().state.mark_uptodate();
    }

    /// A thread of its own.
    pub fn spawn(self: &Arc<Self>, act: fn(&World)) -> loom::thread::JoinHandle<()> {
        let world = self.clone();
        loom::thread::spawn(move || act(&world))
    }

    /// One attempt to move page `index` to a node.
    pub fn migrate(&self, index: u64, node: u8) -> bool {
        self.attempt(&self.place(index), node)
    }

    /// One attempt to move a page.
    pub fn attempt(&self, place: &Place, node: u8) -> bool {
        let moving = self.moving(node);
        let switched =
            moving.prepare(place).and_then(|p| moving.copy(p)).and_then(|p| moving.switch(p));
        let what = match switched {
            Ok(switched) => {
                moving.finish(switched);
                "moved"
            }
            Err(Stop::Again(obstacle)) => said(obstacle.why),
            Err(Stop::NoMemory) => "no memory",
            Err(Stop::Gone) => "gone",
            Err(Stop::Here) => "here",
            Err(Stop::Poisoned) => "poisoned",
        };
        reached(what);
        what == "moved"
    }

    /// Reads page `index` whole; None behind the end of the file.
    pub fn read(&self, index: u64, allowed: &[u8]) -> Option<u8> {
        let mut bytes = [0; PAGE_SIZE];
        let at = PageIndex(index).offset();
        match read::from_file(&self.core, &self.mapping, &mut bytes, at).unwrap() {
            0 => None,
            PAGE_SIZE => Some(value_of(&bytes, allowed)),
            len => panic!("{len} bytes of a page"),
        }
    }

    /// Reads page `index` without a reference, if that works at once.
    pub fn peek(&self, index: u64, allowed: &[u8]) -> Option<u8> {
        let mut bytes = [0; PAGE_SIZE];
        let read = read::optimistic(&self.core, &self.mapping, PageIndex(index), 0, &mut bytes);
        reached(if read { "read" } else { "not read" });
        read.then(|| value_of(&bytes, allowed))
    }

    /// Overwrites page `index` with one value.
    pub fn write(&self, index: u64, value: u8) {
        let at = PageIndex(index).offset();
        write::to_file(&self.core, &self.mapping, &full(value), at).unwrap();
    }

    /// Makes the page of the view present and holds it; the page's value.
    pub fn fault(&self, allowed: &[u8]) -> u8 {
        let (pin, mapped) = fault::entry(&self.core, &self.table, Vpn(0), false).unwrap();
        let value = self.check_pinned(&pin, 0, allowed);
        assert!(self.table.load(Vpn(0)).is_present(mapped.folio, 0), "an entry went from a pin");
        value
    }

    /// Evicts page `index`; whether it went.
    pub fn evict(&self, index: u64) -> bool {
        let Some(frame) = self.frame(index) else {
            reached("nothing to evict");
            return false;
        };
        let freed = reclaim::evict(&self.core, &self.mapping, PageIndex(index), frame);
        reached(if freed > 0 { "evicted" } else { "not evicted" });
        freed > 0
    }

    /// While a reference is held, the folio is its page, and its bytes stand still.
    pub fn check_pinned(&self, pin: &FolioRef<'_>, index: u64, allowed: &[u8]) -> u8 {
        let before = value_of(pin.bytes(), allowed);
        assert_eq!(self.frame(index), Some(pin.frame), "a page moved while it was pinned");
        assert_eq!(value_of(pin.bytes(), allowed), before, "bytes changed under a pin");
        before
    }

    /// What must be true when nobody does anything: page `index` is full of `pages[index]`, whether
    /// it is cached or not, and everything adds up.
    pub fn check_at_rest(&self, pages: &[u8]) {
        let core = &self.core;
        let mut used = vec![0; core.nodes.len()];
        let mut dirty = vec![0; core.nodes.len()];
        let slots = self.mapping.pages.lock();
        for (index, value) in pages.iter().enumerate() {
            let index = index as u64;
            let Some(frame) = slots.load(index).filter(|entry| entry.is_item()) else {
                let at = PageIndex(index).offset() as usize;
                let stored = self.store.bytes();
                assert_eq!(stored[at..at + PAGE_SIZE], full(*value), "page {index} in the store");
                continue;
            };
            let frame = FrameNo(frame.payload() as u32);
            let (folio, node) = (core.folio(frame), core.node_of(frame).id.0 as usize);
            let state = folio.state.load();
            assert!(folio.is(self.mapping.id, PageIndex(index)), "who page {index} says it is");
            assert_eq!(state.references(), folio.expected_references(), "page {index}: references");
            let mut bytes = [0; PAGE_SIZE];
            core.frames.read(frame, 0, &mut bytes);
            assert_eq!(bytes, full(*value), "page {index} in the cache");
            for (flag, set) in [
                (Flag::LOCKED, false),
                (Flag::WRITEBACK, false),
                (Flag::UPTODATE, true),
                (Flag::ON_LRU, true),
                (Flag::DIRTY, slots.get_mark(index, Mark::Dirty)),
            ] {
                assert_eq!(state.has(flag), set, "page {index}: {:?}", state.flag_names());
            }
            assert!(!slots.get_mark(index, Mark::Writeback), "page {index}: marked writeback");
            used[node] += 1;
            dirty[node] += u64::from(state.has(Flag::DIRTY));
        }
        assert_eq!(slots.next(pages.len() as u64), None, "a page beyond the end of the file");
        drop(slots);
        assert_eq!(self.mapping.nr_pages.get(), used.iter().sum(), "pages of the file");
        self.check_entries();
        for (at, node) in core.nodes.iter().enumerate() {
            let counters = &node.counters;
            let counted = [&counters.nr_file_pages, &counters.nr_dirty, &counters.nr_writeback]
                .map(|counter| counter.get());
            assert_eq!(counted, [used[at], dirty[at], 0], "pages, dirty, writeback of {}", node.id);
            assert_eq!(counters.nr_isolated.get(), 0, "isolated of {}", node.id);
            let (active, inactive) = core.lrus[at].sizes();
            assert_eq!(active + inactive, used[at], "on the lists of {}", node.id);
            let free = u64::from(node.nr_free_pages());
            assert_eq!(free + used[at], FRAMES, "free and used frames of {}", node.id);
        }
    }

    /// The view has no migration entry, and its present ones are counted.
    fn check_entries(&self) {
        let present = match self.table.load(Vpn(0)) {
            Entry::Empty => None,
            Entry::Present(mapped) => Some(mapped.folio),
            Entry::Migration(_) => panic!("a migration entry was left behind"),
        };
        if present.is_some() {
            assert_eq!(present, self.frame(0), "the entry names another folio");
        }
        for index in 0..u64::from(PageIndex::count(self.mapping.len()) as u32) {
            let Some(frame) = self.frame(index) else { continue };
            let entries = u32::from(present == Some(frame));
            assert_eq!(self.core.folio(frame).mapped(), entries, "entries of page {index}");
            let site = self.core.tables.rmap.first(frame);
            assert_eq!(site.map_or(0, |site| site.entries), entries, "sites of page {index}");
        }
    }
}

fn said(why: crate::core::Why) -> &'static str {
    use crate::core::Why;
    match why {
        Why::Locked => "again: locked",
        Why::Writeback => "again: writeback",
        Why::References => "again: references",
        Why::Isolated => "again: isolated",
        Why::Frozen => "again: frozen",
        Why::SlotChanged => "again: slot changed",
    }
}

/// Two threads do something at the same time, each with the world.
pub fn meet(world: &Arc<World>, one: fn(&World), other: fn(&World)) {
    let thread = world.spawn(one);
    other(world);
    thread.join().unwrap();
}
