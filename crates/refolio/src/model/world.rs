//! The world of a model: a cache of a few tiny pages, its verbs, and what must be true of it at all
//! times and at rest.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::iter;

use crate::builder::{NodeOptions, assemble};
use crate::core::{Core, FolioRef, Why};
use crate::evict::{self, Leaving};
use crate::folio::Use;
use crate::folio::state::Flag;
use crate::form::Form;
use crate::mapping::{Lookup, Mapping};
use crate::migrate::{Move, Stop};
use crate::model::disk::Disk;
use crate::place::Place;
use crate::sync::{Arc, call, narrate, reached, thread};
use crate::table::entry::{Entry, Mapped};
use crate::table::{Backing, Sharing, Table};
use crate::units::{FrameNo, NodeId, PAGE_SIZE, PageIndex, Vpn};
use crate::watch::Watch;
use crate::writeback::{self, Patience};
use crate::{fault, read, truncate, write};
use refolio_xarray::Mark;

/// Folios of each node.
const FOLIOS: u64 = 2;

/// A page full of one value.
pub fn full(value: u8) -> [u8; PAGE_SIZE] {
    [value; PAGE_SIZE]
}

/// What page `index` is full of at first.
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

thread_local!(static FORM: Cell<Form> = Cell::new(Form::default()));

/// Runs a scene whose movers migrate in this form. (All its threads run on one of the machine.)
pub fn with_form(form: Form, scene: impl FnOnce()) {
    let before = FORM.replace(form);
    scene();
    FORM.set(before);
}

/// The bytes of one page of a pinned folio.
pub fn page_of<'a>(pin: &'a FolioRef<'_>, page: u32) -> &'a [u8] {
    &pin.bytes()[page as usize * PAGE_SIZE..][..PAGE_SIZE]
}

/// Two threads, each with the world.
pub fn meet(world: &Arc<World>, one: impl FnOnce(&World) + 'static, other: impl FnOnce(&World)) {
    let thread = world.spawn(one);
    call(|| other(world));
    thread.join().unwrap();
}

/// A cache with one file, and views: the first one is of its first page.
pub struct World {
    pub core: Core,
    pub disk: Disk,
    pub mapping: Arc<Mapping>,
    pub table: Arc<Table>,
    /// Views beside that one; see `acts.rs`.
    pub others: Vec<Arc<Table>>,
    /// Frames of each node.
    frames: u64,
}

impl World {
    /// `nodes` nodes, and a file of `pages` pages, none of them cached.
    pub fn new(nodes: usize, pages: u64) -> Arc<Self> {
        Arc::new(Self::large(nodes, pages, 0))
    }

    /// As [`new`](Self::new), with folios of 2^order pages.
    pub fn large(nodes: usize, pages: u64, order: u32) -> Self {
        let frames = FOLIOS << order;
        let node = NodeOptions::new(frames * PAGE_SIZE as u64);
        let core = assemble(&vec![node; nodes], false).unwrap();
        let disk = Disk::new((0..pages).flat_map(|index| full(first(index))).collect());
        let len = pages * PAGE_SIZE as u64;
        let store = Arc::new(disk.clone());
        let new = |id| Ok::<_, std::convert::Infallible>(Mapping::new(id, store, len, order, None));
        let Ok(mapping) = core.mappings.open(None, new);
        let (file, first, sharing) = (mapping.clone(), PageIndex(0), Sharing::Shared);
        let backing = Backing::File { mapping: file, first, sharing, writable: true };
        let table = Arc::new(Table::new(1, backing).unwrap());
        let world = Self { core, disk, mapping, table, others: Vec::new(), frames };
        #[cfg(refolio_explore)]
        super::names::christen(&world);
        world
    }

    /// A thread of its own.
    pub fn spawn(self: &Arc<Self>, act: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || act(&world))
    }

    /// Page `index`, with a reference; read in if need be. None behind the end of the file.
    pub fn page(&self, index: u64) -> Option<FolioRef<'_>> {
        call(|| match fault::page(&self.core, &self.mapping, PageIndex(index)) {
            Ok((folio, _)) => Some(folio),
            Err(error) if error.is_out_of_range() => {
                reached("no such page");
                None
            }
            Err(error) => panic!("{error}"),
        })
    }

    /// Reads page `index` in, as one that was used already: whoever uses it now leaves no note.
    pub fn load(&self, index: u64) {
        drop(self.page(index));
        drop(self.page(index));
    }

    /// The folio of page `index`, if it is cached, and the index that it begins at.
    fn folio(&self, index: u64) -> Option<(FrameNo, PageIndex)> {
        Mapping::folio_in(self.mapping.pages.load(index)?, PageIndex(index))
    }

    /// The first frame of the folio of page `index`, if it is cached.
    pub fn frame(&self, index: u64) -> Option<FrameNo> {
        self.folio(index).map(|found| found.0)
    }

    /// One lookup of page `index`.
    pub fn lookup(&self, index: u64) -> Option<FolioRef<'_>> {
        let core = &self.core;
        call(|| {
            match self.mapping.lookup(&core.folios, PageIndex(index)) {
                Lookup::Folio(frame, _) => {
                    reached(if core.nodes[0].has(frame) { "found here" } else { "found there" });
                    return Some(FolioRef { core, frame, folio: core.folio(frame) });
                }
                Lookup::Stale(frame) => {
                    core.put(frame);
                    reached("stale");
                }
                Lookup::Frozen(..) => reached("frozen"),
                Lookup::Miss => reached("nothing"),
                Lookup::Saturated => reached("saturated"),
            }
            None
        })
    }

    /// Reads page `index` without a reference, if that works at once.
    pub fn peek(&self, index: u64, allowed: &[u8]) -> Option<u8> {
        call(|| {
            let mut bytes = full(0);
            let read = read::optimistic(
                &self.core,
                &self.mapping,
                Use::Counts,
                PageIndex(index),
                0,
                &mut bytes,
            );
            reached(if read { "read" } else { "not read" });
            read.then(|| value_of(&bytes, allowed))
        })
    }

    /// Overwrites page `index` with one value.
    pub fn write(&self, index: u64, value: u8) {
        let at = PageIndex(index).offset();
        call(|| write::to_file(&self.core, &self.mapping, Use::Counts, &full(value), at).unwrap());
    }

    /// Uses the page of the view, through its entry; the page's value.
    pub fn fault(&self, allowed: &[u8]) -> Option<u8> {
        call(|| match fault::entry(&self.core, &self.table, Vpn(0), false) {
            Ok((pin, _)) => Some(self.check_pinned(&pin, 0, allowed)),
            Err(error) if error.is_out_of_range() => {
                reached("no such page");
                None
            }
            Err(error) => panic!("{error}"),
        })
    }

    /// Evicts page `index`; whether it went.
    pub fn evict(&self, index: u64) -> bool {
        call(|| {
            let Some(frame) = self.frame(index) else {
                reached("nothing to evict");
                return false;
            };
            let (mapping, index) = (self.mapping.clone(), PageIndex(index));
            let freed = evict::all(&self.core, &[Leaving { mapping, index, frame }]);
            reached(if freed > 0 { "evicted" } else { "not evicted" });
            freed > 0
        })
    }

    /// Makes the file so many pages long.
    pub fn resize(&self, pages: u64) {
        let len = PageIndex(pages).offset();
        call(|| truncate::set_len(&self.core, &self.mapping, len).unwrap());
    }

    /// Writes dirty pages to the store; they are there after, or dirty still.
    pub fn write_back(&self) {
        call(|| {
            let written = writeback::write_range(&self.core, &self.mapping, 0..9, Patience::Wait);
            reached(if written.is_ok() { "written" } else { "not written" });
        });
    }

    /// A move to a node.
    pub fn moving(&self, node: u8) -> Move<'_> {
        self.moving_in(FORM.get(), node)
    }

    /// A move to a node, in one of the four forms.
    pub fn moving_in(&self, form: Form, node: u8) -> Move<'_> {
        let to = self.core.node(NodeId(node)).unwrap();
        let watch = Watch::default();
        Move { core: &self.core, to, keep: 0, form, watch }
    }

    /// Where page `index` is known.
    pub fn place(&self, index: u64) -> Place<'_> {
        Place::File(Cow::Borrowed(&self.mapping), PageIndex(index))
    }

    /// One attempt to move page `index` to a node; whether it moved.
    pub fn migrate(&self, index: u64, node: u8) -> bool {
        self.attempt(&self.moving(node), &self.place(index))
    }

    /// One attempt to move a page; whether it moved.
    pub fn attempt(&self, moving: &Move<'_>, place: &Place<'_>) -> bool {
        call(|| {
            let Err(stop) = moving.alone(place) else {
                reached("moved");
                return true;
            };
            reached(match stop {
                Stop::Gone => "gone",
                Stop::Here => "here",
                Stop::NoMemory => "no memory",
                Stop::Poisoned => "poisoned",
                Stop::Again(obstacle) => match obstacle.why {
                    Why::Locked => "again: locked",
                    Why::Writeback => "again: writeback",
                    Why::References => "again: references",
                    Why::Isolated => "again: isolated",
                    Why::Frozen => "again: frozen",
                    Why::SlotChanged => "again: slot changed",
                },
            });
            false
        })
    }

    /// Somebody takes a free frame of the first node, fills it, and gives it back.
    pub fn reuse(&self) {
        let fresh = self.core.alloc_on(&self.core.nodes[0], 0, 0, &[]).unwrap();
        self.core.frames.write(fresh.folio.frame, 0, &full(0xff));
        fresh.folio.folio().state.mark_uptodate();
    }

    /// While a reference is held, the folio is its page, and its bytes stand still.
    pub fn check_pinned(&self, pin: &FolioRef<'_>, index: u64, allowed: &[u8]) -> u8 {
        call(|| {
            let page = index as u32 & (pin.folio().pages() - 1);
            let before = value_of(page_of(pin, page), allowed);
            assert_eq!(self.frame(index), Some(pin.frame), "a page moved while it was pinned");
            let after = value_of(page_of(pin, page), allowed);
            assert_eq!(after, before, "bytes changed under a pin");
            before
        })
    }

    /// What must be true when nobody does anything: the file has these pages, cached or not, and
    /// everything adds up.
    pub fn check_at_rest(&self, pages: &[[u8; PAGE_SIZE]]) {
        narrate(|| "at rest: all adds up?".into());
        let core = &self.core;
        let len = self.mapping.len();
        assert_eq!(len, PageIndex(pages.len() as u64).offset(), "length");
        assert_eq!(self.mapping.reach(), len, "pages are let in as far as the file goes");
        assert_eq!(self.mapping.stored(), self.disk.bytes().len() as u64, "what is stored");
        assert!(self.mapping.stored() <= len, "the store goes on behind the end of the file");
        let mut used = vec![[0; 3]; core.nodes.len()];
        for (index, page) in (0..).zip(pages) {
            let stored = self.disk.page(index);
            let Some((frame, base)) = self.folio(index) else {
                assert_eq!(stored, *page, "page {index} in the store");
                continue;
            };
            let folio = core.folio(frame);
            let mut bytes = full(0);
            core.frames.read(frame.add((index - base.0) as u32), 0, &mut bytes);
            assert_eq!(bytes, *page, "page {index} in the cache");
            let dirty = folio.state.load().has(Flag::DIRTY);
            assert!(dirty || stored == *page, "page {index} in the store, clean in the cache");
            if index == base.0 {
                self.check_folio(frame, base);
                let [file, dirties, _] = &mut used[core.node_of(frame).id.0 as usize];
                *file += u64::from(folio.pages());
                *dirties += if dirty { u64::from(folio.pages()) } else { 0 };
            }
        }
        let beyond = self.mapping.pages.lock().next(pages.len() as u64);
        let beyond = beyond.filter(|(at, _)| *at >= pages.len() as u64);
        assert_eq!(beyond, None, "a page behind the end of the file");
        let cached = used.iter().map(|[file, ..]| file).sum::<u64>();
        assert_eq!(self.mapping.nr_pages.get(), cached, "pages of the file");
        self.check_entries(&mut used);
        for (at, node) in core.nodes.iter().enumerate() {
            let counters = &node.counters;
            let counted = [
                &counters.nr_file_pages,
                &counters.nr_dirty,
                &counters.nr_anon_pages,
                &counters.nr_writeback,
                &counters.nr_isolated,
            ];
            let [file, dirty, anonymous] = used[at];
            assert_eq!(
                counted.map(|counter| counter.get()),
                [file, dirty, anonymous, 0, 0],
                "pages, dirty, anonymous, writeback, isolated of {}",
                node.id
            );
            let (active, inactive) = core.lrus[at].sizes();
            assert_eq!(active + inactive, file + anonymous, "on the lists of {}", node.id);
            let free = u64::from(node.nr_free_pages());
            let frames = free + file + anonymous;
            assert_eq!(frames, self.frames, "free and used frames of {}", node.id);
        }
    }

    /// A folio of the file at rest.
    fn check_folio(&self, frame: FrameNo, base: PageIndex) {
        let folio = self.core.folio(frame);
        let (state, slots) = (folio.state.load(), self.mapping.pages.lock());
        assert!(folio.is(self.mapping.identity(base)), "page {} is another one", base.0);
        assert_eq!(
            state.references(),
            folio.expected_references(),
            "references of page {}",
            base.0
        );
        self.check_flags(frame, slots.get_mark(base.0, Mark::Dirty));
        assert!(!slots.get_mark(base.0, Mark::Writeback), "page {} is marked: writeback", base.0);
    }

    fn check_flags(&self, frame: FrameNo, dirty: bool) {
        let state = self.core.folio(frame).state.load();
        for (flag, set) in [
            (Flag::LOCKED, false),
            (Flag::WRITEBACK, false),
            (Flag::UPTODATE, true),
            (Flag::ON_LRU, true),
            (Flag::DIRTY, dirty),
        ] {
            assert_eq!(
                state.has(flag),
                set,
                "flags of frame {}: {:?}",
                frame.0,
                state.flag_names()
            );
        }
    }

    /// The entries of all views are empty or present, and known to the folios that they name. Those
    /// are of the file, or anonymous: known to them only.
    fn check_entries(&self, used: &mut [[u64; 3]]) {
        let core = &self.core;
        let mut entries = BTreeMap::<FrameNo, u32>::new();
        for table in iter::once(&self.table).chain(&self.others) {
            for at in (0..table.pages()).map(Vpn) {
                match table.load(at) {
                    Entry::Empty => {}
                    Entry::Present(mapped) => {
                        *entries.entry(mapped.folio).or_default() += 1;
                        self.check_entry(table, at, mapped);
                    }
                    Entry::Migration(_) => panic!("a migration entry was left behind"),
                }
            }
        }
        let pages = PageIndex::count(self.mapping.len());
        for frame in (0..pages).filter_map(|index| self.frame(index)) {
            entries.entry(frame).or_default();
        }
        for (frame, count) in entries {
            let folio = core.folio(frame);
            let sites = core.tables.rmap.take(frame);
            let known = sites.iter().map(|site| site.entries).sum::<u32>();
            if known > 0 {
                core.tables.rmap.put(frame, sites);
            }
            assert_eq!((folio.mapped(), known), (count, count), "entries of frame {}", frame.0);
            if folio.state.load().has(Flag::ANON) {
                assert_eq!(folio.state.load().references(), count, "references of {}", frame.0);
                self.check_flags(frame, false);
                let [.., anonymous] = &mut used[core.node_of(frame).id.0 as usize];
                *anonymous += u64::from(folio.pages());
            }
        }
    }

    fn check_entry(&self, table: &Table, at: Vpn, mapped: Mapped) {
        let anonymous = self.core.folio(mapped.folio).state.load().has(Flag::ANON);
        if let (Backing::File { first, .. }, false) = (&table.backing, anonymous) {
            let (index, page) = (first.0 + at.0, u64::from(mapped.page));
            let named = Some((mapped.folio, PageIndex(index.wrapping_sub(page))));
            assert_eq!(named, self.folio(index), "the entry names another folio");
            assert!(index < PageIndex::count(self.mapping.len()), "an entry behind the end");
        }
    }
}
