//! Refolio itself, in this process.
//!
//! What an application can decide, the subject decides by the numbers it is given: the form of the
//! check, the mode, the size of batches, whether a page is written by a call or under a guard. Its
//! stores dawdle, and so do some of its moves between their steps, so that others come in between.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use refolio::{
    Cache, EntryState, Error, Event, Form, MemStore, Migrate, Mode, NodeId, NodeOptions,
    OpenOptions, PAGE_SIZE, PageIndex, Report, Sharing, Step, View, Vpn,
};

use super::dawdling::{Dawdling, pause};
use crate::subject::{
    About, At, Counters, Cut, How, Kind, Look, Moves, Need, NodeCounters, Refusal, Subject, VIEWS,
    Via,
};

/// Order of the folios of a [`Kind::LargeFile`].
const LARGE: u32 = 2;

/// Frames of a node in which there is room for everything, and of one in which there is not.
const AMPLE: u64 = 512;
const SCARCE: u64 = 64;

#[derive(Debug)]
enum Open {
    File { file: refolio::File, order: u32, views: Vec<View>, store: MemStore },
    Anonymous(View),
}

/// A cache of two nodes.
#[derive(Debug)]
pub struct Refolio {
    cache: Cache,
    files: RwLock<BTreeMap<u32, Arc<Open>>>,
    entries_met: AtomicU64,
    unstable_writes: Arc<AtomicU64>,
}

impl Refolio {
    /// With room for everything, and without threads of its own.
    ///
    /// # Errors
    /// [`Error::Reserve`] when there is no memory.
    pub fn new() -> refolio::Result<Self> {
        Self::build(AMPLE, false)
    }

    /// With nodes that are too small for the files of a case, so that it reclaims on its own
    /// account all the time, and with its housekeeper at work.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_scarce_memory() -> refolio::Result<Self> {
        Self::build(SCARCE, true)
    }

    fn build(frames: u64, background: bool) -> refolio::Result<Self> {
        let node = || NodeOptions::new(frames * PAGE_SIZE as u64);
        let builder = Cache::builder().node(node()).node(node()).background(background);
        let cache = builder.writeback_interval(Duration::from_millis(3)).build()?;
        let (files, entries_met, unstable_writes) = Default::default();
        Ok(Self { cache, files, entries_met, unstable_writes })
    }

    fn open(&self, file: u32) -> Result<Arc<Open>, Refusal> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let open = files.get(&file).cloned();
        open.ok_or_else(|| Refusal::Because(format!("there is no file {file}")))
    }

    fn meets_entry(&self, view: &View, page: u64) {
        if matches!(view.entry(Vpn(page)), EntryState::Migration { .. }) {
            // Relaxed: a count, and no more.
            self.entries_met.fetch_add(1, Relaxed);
        }
    }

    fn file(&self, kind: Kind, bytes: &[u8]) -> refolio::Result<Open> {
        let store = MemStore::with_bytes(bytes.into());
        let dawdling = Dawdling::new(store.clone(), self.unstable_writes.clone());
        let order = if kind == Kind::LargeFile { LARGE } else { 0 };
        let file = self.cache.open_store(dawdling, &OpenOptions::new().order(order))?;
        let pages = PageIndex::count(bytes.len() as u64);
        let views = (0..VIEWS).map(|_| file.view(0..pages, Sharing::Shared));
        let views = views.collect::<refolio::Result<_>>()?;
        Ok(Open::File { file, order, views, store })
    }

    fn anonymous(&self, bytes: &[u8]) -> refolio::Result<Open> {
        let view = self.cache.anonymous(PageIndex::count(bytes.len() as u64), 0)?;
        view.write(bytes, 0)?;
        Ok(Open::Anonymous(view))
    }
}

impl Open {
    /// The view that an access goes through, if it goes through one.
    fn view(&self, via: Via) -> Option<&View> {
        match (self, via) {
            (Self::Anonymous(view), _) => Some(view),
            (Self::File { views, .. }, Via::View(number)) => views.get(number),
            (Self::File { .. }, Via::Call) => None,
        }
    }
}

impl From<Box<Error>> for Refusal {
    fn from(error: Box<Error>) -> Self {
        match *error {
            Error::OutOfRange { .. } => Self::Beyond,
            other => Self::Because(other.to_string()),
        }
    }
}

fn page_of(offset: u64) -> u64 {
    PageIndex::of_offset(offset).0
}

/// An embedder's word, which must stay with the folio it was given to.
fn word_of(file: u32, page: u64, order: u32) -> u64 {
    1 << 63 | u64::from(file) << 32 | page >> order
}

/// Writes under a guard, and gives the folio its word meanwhile, or takes it away.
fn write_guarded(open: &refolio::File, at: At, order: u32, from: &[u8]) -> refolio::Result<()> {
    let page = page_of(at.offset);
    let mut guard = open.page_mut(PageIndex(page))?;
    let given = guard.private().is_none();
    guard.set_private(given.then_some(word_of(at.file, page, order)));
    guard.write(at.offset as usize % PAGE_SIZE, from);
    Ok(())
}

impl Subject for Refolio {
    fn about(&self) -> About {
        let has =
            vec![Need::TwoNodes, Need::Pins, Need::Views, Need::Eviction, Need::MigrationEntries];
        About { name: "refolio", has }
    }

    fn create(&self, file: u32, kind: Kind, bytes: &[u8]) -> Result<(), Refusal> {
        let open = match kind {
            Kind::Anonymous => self.anonymous(bytes)?,
            Kind::File | Kind::LargeFile => self.file(kind, bytes)?,
        };
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(file, Arc::new(open));
        Ok(())
    }

    fn close(&self, file: u32) -> Result<Vec<u8>, Refusal> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let open = files.remove(&file).and_then(Arc::into_inner);
        drop(files);
        match open {
            Some(Open::File { file, views, store, .. }) => {
                drop(views);
                file.close()?;
                Ok(store.bytes())
            }
            Some(Open::Anonymous(view)) => {
                let mut bytes = vec![0; view.pages() as usize * PAGE_SIZE];
                view.read(&mut bytes, 0)?;
                Ok(bytes)
            }
            None => Err(Refusal::Because(format!("file {file} is in use, or was never made"))),
        }
    }

    fn read(&self, at: At, into: &mut [u8]) -> Result<usize, Refusal> {
        let open = self.open(at.file)?;
        if let Some(view) = open.view(at.via) {
            self.meets_entry(view, page_of(at.offset));
            view.read(into, at.offset)?;
            return Ok(into.len());
        }
        let Open::File { file, .. } = &*open else { unreachable!("anonymous memory is a view") };
        Ok(file.read_at(into, at.offset)?)
    }

    fn write(&self, at: At, from: &[u8]) -> Result<(), Refusal> {
        let open = self.open(at.file)?;
        let page = page_of(at.offset);
        if let Some(view) = open.view(at.via) {
            self.meets_entry(view, page);
            return Ok(view.write(from, at.offset)?);
        }
        let Open::File { file, order, .. } = &*open else {
            unreachable!("anonymous memory is a view")
        };
        if page % 4 == 1 {
            match write_guarded(file, at, *order, from) {
                // A guard makes no file longer.
                Err(error) if matches!(*error, Error::OutOfRange { .. }) => {}
                done => return Ok(done?),
            }
        }
        Ok(file.write_at(from, at.offset)?)
    }

    fn sync(&self, file: u32) -> Result<(), Refusal> {
        match &*self.open(file)? {
            Open::File { file, .. } => Ok(file.sync()?),
            Open::Anonymous(_) => Ok(()),
        }
    }

    fn truncate(&self, file: u32, cut: Cut) -> Result<(), Refusal> {
        let open = self.open(file)?;
        let bytes = |pages: u64| PageIndex(pages).offset();
        match (&*open, cut) {
            (Open::File { file, .. }, Cut::Len(pages)) => Ok(file.set_len(bytes(pages))?),
            (Open::File { file, .. }, Cut::Hole(pages)) => {
                Ok(file.punch_hole(bytes(pages.start), bytes(pages.end - pages.start))?)
            }
            (Open::Anonymous(_), _) => {
                Err(Refusal::Because("anonymous memory has no length to change".into()))
            }
        }
    }

    fn evict(&self, file: u32, pages: Range<u64>) -> Result<u64, Refusal> {
        match &*self.open(file)? {
            Open::File { file, views, .. } => {
                // Now with entries to be emptied by the eviction, now without.
                if pages.start % 2 == 1 {
                    views.iter().try_for_each(|view| view.discard(pages.clone()))?;
                }
                Ok(file.evict(pages)?)
            }
            Open::Anonymous(_) => Ok(0),
        }
    }

    fn pin(&self, file: u32, page: u64, held: &mut dyn FnMut(Look<'_>)) -> Result<(), Refusal> {
        let open = self.open(file)?;
        let pinned = match &*open {
            Open::File { views, .. } if page.is_multiple_of(3) => views[0].pin(Vpn(page))?,
            Open::File { file: of, .. } => of.page(PageIndex(page))?,
            Open::Anonymous(view) => view.pin(Vpn(page))?,
        };
        if let (Open::File { order, .. }, Some(word)) = (&*open, pinned.private())
            && word != word_of(file, page, *order)
        {
            return Err(Refusal::Because(format!("page {page} has the private word {word:x}")));
        }
        held(&|into| into.copy_from_slice(&pinned[..into.len()]));
        Ok(())
    }

    fn migrate(&self, file: u32, pages: Range<u64>, to: usize, how: How) -> Result<Moves, Refusal> {
        let open = self.open(file)?;
        let choice = if let How::Chosen(choice) = how { choice } else { 0 };
        let rng = RefCell::new(fastrand::Rng::with_seed(choice));
        let choose = |from: usize| rng.borrow_mut().usize(0..from);
        let mode = match choose(4) {
            // Long enough for whoever writes back on the cache's own account.
            _ if how == How::Patiently => Mode::Until(Instant::now() + Duration::from_secs(1)),
            0 => Mode::Async,
            1 => Mode::Light,
            2 => Mode::Sync,
            _ => Mode::Until(Instant::now() + Duration::from_millis(1)),
        };
        let how = Migrate::new().mode(mode).form(Form::ALL[choose(4)]).batch(1 << choose(7));
        let dawdles = choose(3) == 0;
        let dawdle = |event: &Event| {
            if matches!(event.step, Step::Lock | Step::Unmap | Step::Copy) {
                pause(rng.borrow_mut().u64(..));
            }
        };
        let how = if dawdles { how.watch(&dawdle) } else { how };
        let to = NodeId(to as u8);
        let report = match &*open {
            Open::File { file, .. } => file.migrate(pages, to, &how)?,
            Open::Anonymous(view) => view.migrate(pages, to, &how)?,
        };
        Ok(moves(&report))
    }

    fn counters(&self) -> Counters {
        let stats = self.cache.stats();
        let nodes = self.cache.nodes().into_iter().map(|node| NodeCounters {
            frames: node.frames,
            nr_free_pages: node.nr_free_pages,
            nr_file_pages: node.nr_file_pages,
            nr_anon_pages: node.nr_anon_pages,
            nr_dirty: node.nr_dirty,
            nr_writeback: node.nr_writeback,
            nr_isolated: node.nr_isolated,
            nr_on_lru: node.nr_active + node.nr_inactive,
        });
        Counters {
            nodes: nodes.collect(),
            migrated: stats.pgmigrate_success,
            not_migrated: stats.pgmigrate_fail,
            filled: stats.pgmajfault,
            written_back: stats.pgwriteback,
            // Relaxed: counts, and no more.
            entries_met: self.entries_met.load(Relaxed),
            unstable_writes: self.unstable_writes.load(Relaxed),
        }
    }

    fn node_of(&self, file: u32, page: u64) -> Option<usize> {
        let node = match &*self.open(file).ok()? {
            Open::File { file, .. } => file.node_of(PageIndex(page)),
            Open::Anonymous(view) => view.node_of(Vpn(page)),
        };
        node.map(|node| node.0.into())
    }
}

fn moves(report: &Report) -> Moves {
    let counts = report.counts();
    Moves {
        moved: counts.moved,
        here: counts.here,
        again: counts.again,
        busy: counts.busy,
        no_room: counts.no_memory,
        gone: counts.gone,
    }
}
