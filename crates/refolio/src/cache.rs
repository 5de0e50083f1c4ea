//! The door: a cache, its nodes, its files, and the thread that keeps house.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::core::{Bell, Core, Events};
use crate::error::{Error, Result};
use crate::file::File;
use crate::folio::Folios;
use crate::frame::{Backing, Frames, HugePages, Run};
use crate::lru::Lru;
use crate::mapping::Mapping;
use crate::migrate::Place;
use crate::node::Node;
use crate::passes::{self, Migrate};
use crate::registry::Mappings;
use crate::report::{Outcome, Report};
use crate::shadow::Shadows;
use crate::store::{FileStoreOptions, Store};
use crate::sync::{Arc, Relaxed, plain};
use crate::table::{self, Table, Tables};
use crate::truncate;
use crate::units::{FrameNo, MAX_ORDER, NodeId, PAGE_SIZE};
use crate::view::View;
use crate::writeback::{self, Patience};
use crate::{housekeeper, reclaim};

/// The smallest node: room for one large folio, or for a few dozen pages in use at a time.
const MIN_NODE_BYTES: u64 = 64 * PAGE_SIZE as u64;

/// What a node is to be.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    len_bytes: u64,
    name: Option<String>,
    huge: HugePages,
    numa: Option<u32>,
}

impl NodeOptions {
    /// A node of `len_bytes`, rounded down to whole pages; at least 256 KiB.
    pub fn new(len_bytes: u64) -> Self {
        Self { len_bytes, name: None, huge: HugePages::default(), numa: None }
    }

    /// A name for reports; by default "node 0" and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether huge pages are asked for. What came of it is in [`NodeStats::backing`].
    pub fn huge_pages(mut self, huge: HugePages) -> Self {
        self.huge = huge;
        self
    }

    /// Binds the memory to a NUMA node of the machine. What came of it is in
    /// [`NodeStats::backing`]: a machine with one node has nothing to bind to.
    #[doc(alias = "mbind")]
    pub fn numa(mut self, node: u32) -> Self {
        self.numa = Some(node);
        self
    }
}

/// How a file is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_only: bool,
    create: bool,
    direct: bool,
    order: u32,
}

impl OpenOptions {
    /// For reading and writing, an existing file, through the system's page cache, in single pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// For reading only.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Makes an empty file where there is none.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Past the system's page cache. Of several handles to one file the first one decides.
    #[doc(alias = "O_DIRECT")]
    pub fn direct(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// Pages that are read in come in folios of 2^order, as far as there is room beside what is
    /// cached; at most [`MAX_ORDER`]. Of several handles to one file the first one decides.
    #[doc(alias = "mapping_set_large_folios")]
    pub fn order(mut self, order: u32) -> Self {
        self.order = order;
        self
    }
}

/// Makes a [`Cache`].
#[derive(Clone, Debug)]
pub struct CacheBuilder {
    nodes: Vec<NodeOptions>,
    name_holders: bool,
    background: bool,
    writeback_interval: Duration,
}

impl CacheBuilder {
    /// Adds a node. The first one is the fastest: new pages go there, and cold ones to the next.
    pub fn node(mut self, node: NodeOptions) -> Self {
        self.nodes.push(node);
        self
    }

    /// Whether pins write down who took them, and when (the default). It costs a pin a few
    /// nanoseconds; without it, busy pages name no holders.
    pub fn name_holders(mut self, name_holders: bool) -> Self {
        self.name_holders = name_holders;
        self
    }

    /// Whether a thread of the cache makes room ahead of need and writes dirty pages back (the
    /// default). Without it, both happen on the threads that need it.
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// How long a page stays dirty before the background thread writes it back; 1 s by default.
    pub fn writeback_interval(mut self, interval: Duration) -> Self {
        self.writeback_interval = interval;
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two nodes, or one that is too small; [`Error::Reserve`] when
    /// the memory cannot be had.
    pub fn build(self) -> Result<Cache> {
        if self.nodes.len() < 2 || self.nodes.len() > 255 {
            let n = self.nodes.len();
            return Err(Error::Invalid(format!("a cache has 2 to 255 nodes, not {n}")));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.len_bytes < MIN_NODE_BYTES) {
            return Err(Error::Invalid(format!(
                "a node of {} bytes is too small: give it at least {MIN_NODE_BYTES}",
                node.len_bytes
            )));
        }
        let core = Arc::new(assemble(&self.nodes, self.name_holders)?);
        let housekeeper = if self.background {
            let (core, interval) = (core.clone(), self.writeback_interval);
            let thread = std::thread::Builder::new().name("refolio-housekeeper".into());
            let started = thread.spawn(move || housekeeper::run(&core, interval));
            Some(started.map_err(|source| Error::Io {
                doing: "starting",
                name: "the housekeeper thread".into(),
                source,
            })?)
        } else {
            None
        };
        Ok(Cache(Arc::new(Inner { core, housekeeper })))
    }
}

/// The rooms of a cache with these nodes, without a housekeeper.
pub(crate) fn assemble(nodes: &[NodeOptions], name_holders: bool) -> Result<Core> {
    static CACHES: plain::AtomicU32 = plain::AtomicU32::new(1);
    let mut runs = Vec::new();
    for node in nodes {
        let frames = u32::try_from(node.len_bytes / PAGE_SIZE as u64).map_err(|_| {
            Error::Invalid(format!("a node of {} bytes is too large to number", node.len_bytes))
        })?;
        runs.push(Run { frames, huge: node.huge, numa: node.numa });
    }
    let (frames, backings) = Frames::new(&runs)?;
    let no_room = || Error::Invalid("no memory for the descriptors: ask for smaller nodes".into());
    let (mut list, mut lrus, mut end) = (Vec::new(), Vec::new(), 0);
    for (at, (options, backing)) in nodes.iter().zip(backings).enumerate() {
        let first = frames.first_frame(at);
        let count = runs[at].frames;
        let id = NodeId(at as u8);
        let name = options.name.clone().unwrap_or_else(|| id.to_string());
        list.push(Node::new(id, name, first, count, backing));
        lrus.push(Lru::new(first, count).ok_or_else(no_room)?);
        end = first.0 as usize + count as usize;
    }
    Ok(Core {
        // Relaxed: a number, and no more.
        id: CACHES.fetch_add(1, Relaxed),
        frames,
        folios: Folios::new(end).ok_or_else(no_room)?,
        shadows: Shadows::new(list.iter().map(|node| node.frames as usize).sum()),
        nodes: list,
        lrus,
        tables: Tables::new(),
        mappings: Mappings::default(),
        events: Events::default(),
        bell: Bell::default(),
        name_holders,
        ended: plain::Mutex::default(),
    })
}

/// What all handles of a cache share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub core: Arc<Core>,
    housekeeper: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.bell.ring(|wanted| wanted.stop = true);
        if let Some(thread) = self.housekeeper.take()
            && thread.join().is_err()
        {
            tracing::error!("the housekeeper thread has panicked");
        }
    }
}

impl Inner {
    /// Moves pages; see [`File::migrate`].
    pub fn migrate(&self, places: &[Place], to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        let node = passes::node(&self.core, to)?;
        if node.is_offline() {
            return Err(Error::Node { node: to, why: "it is drained: undrain it first" });
        }
        if how.waits() {
            self.core.no_guard_held()?;
        }
        Ok(passes::migrate(&self.core, places, node, how))
    }

    /// A handle or a view is gone. With the last one go the pages, after they were written back.
    pub fn leave(&self, mapping: &Arc<Mapping>) {
        if !self.core.mappings.close(mapping) {
            return;
        }
        let core = &self.core;
        let written = writeback::write_range(core, mapping, 0..u64::MAX, Patience::Wait)
            .and_then(|_| writeback::wait_range(core, mapping, 0..u64::MAX));
        if let Err(error) = written {
            // The pages stay, dirty: whoever opens the file again finds them, and the error.
            tracing::error!(%error, "a file was closed before its pages could be written back");
            return;
        }
        let resize = mapping.resize.write();
        // Relaxed: opened again meanwhile? Then the pages are wanted.
        let wanted = mapping.users.load(Relaxed) > 0;
        if !wanted && let Err(error) = truncate::take_out(core, mapping, 0..u64::MAX) {
            tracing::error!(%error, "the pages of a closed file stay cached");
        }
        drop(resize);
        core.mappings.forget(mapping);
    }
}

/// A page cache whose pages can be moved while they are in use.
///
/// A cheap handle; the cache lives as long as a handle, a file or a view of it.
///
/// ```
/// use refolio::{Cache, Migrate, NodeId, NodeOptions, OpenOptions};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, vec![1; 100_000])?;
///
/// let cache = Cache::builder()
///     .node(NodeOptions::new(4 << 20).name("fast"))
///     .node(NodeOptions::new(16 << 20).name("slow"))
///     .build()?;
/// let file = cache.open(&path)?;
/// let mut record = [0; 64];
/// file.read_at(&mut record, 4096)?;
///
/// // Everything on the fast node goes to the slow one; readers and writers go on meanwhile.
/// let report = cache.migrate(NodeId(0), NodeId(1), &Migrate::new())?;
/// assert_eq!(report.counts().moved, 1);
/// assert_eq!(report.left().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

impl Cache {
    /// A cache needs two nodes at least; see [`CacheBuilder`].
    pub fn builder() -> CacheBuilder {
        CacheBuilder {
            nodes: Vec::new(),
            name_holders: true,
            background: true,
            writeback_interval: Duration::from_secs(1),
        }
    }

    fn core(&self) -> &Core {
        &self.0.core
    }

    /// Opens an existing file for reading and writing; [`open_with`](Self::open_with) with the
    /// default options.
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File> {
        self.open_with(path, &OpenOptions::new())
    }

    /// Opens a regular file. A file that is open already, by whatever name, shares its pages.
    ///
    /// # Errors
    /// [`Error::Open`] names what is wrong with the path; [`Error::Invalid`] for an order above
    /// [`MAX_ORDER`].
    pub fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> Result<File> {
        let mut open = FileStoreOptions::new();
        open.read_only(options.read_only).create(options.create).direct(options.direct);
        let store = open.open(path)?;
        let id = store.id();
        self.open_mapping(Arc::new(store), Some(id), options)
    }

    /// Opens a store of the caller's own as a file. Each call makes a file of its own.
    ///
    /// # Errors
    /// [`Error::Io`] when the store does not tell its length; [`Error::Invalid`] as above.
    pub fn open_store(&self, store: impl Store + 'static, options: &OpenOptions) -> Result<File> {
        self.open_mapping(Arc::new(store), None, options)
    }

    fn open_mapping(
        &self,
        store: Arc<dyn Store>,
        file: Option<(u64, u64)>,
        options: &OpenOptions,
    ) -> Result<File> {
        if options.order > MAX_ORDER {
            let order = options.order;
            return Err(Error::Invalid(format!("order {order}: folios go up to order {MAX_ORDER}")));
        }
        let failed = |source| Error::Io { doing: "opening", name: store.name(), source };
        let len = store.len().map_err(failed)?;
        let writable = !options.read_only;
        let made = store.clone();
        let mapping = self.core().mappings.open(file, |id| {
            Mapping::new(id, made, len, options.order, file)
        });
        if writable {
            mapping.open_for_writing(store);
        }
        Ok(File::new(self.0.clone(), mapping, writable))
    }

    /// Memory of `pages` pages that no file has, zeroed, known to the table of the view only. It is
    /// taken in folios of 2^order where a whole one fits. It cannot be evicted, only moved.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no pages, more than a table can have, or an order above [`MAX_ORDER`].
    #[doc(alias = "MAP_ANONYMOUS")]
    pub fn anonymous(&self, pages: u64, order: u32) -> Result<View> {
        if order > MAX_ORDER {
            return Err(Error::Invalid(format!("order {order}: folios go up to order {MAX_ORDER}")));
        }
        let table = (pages > 0).then(|| Table::new(pages, table::Backing::Anonymous { order }));
        let table = table.flatten().ok_or_else(|| {
            Error::Invalid(format!("anonymous memory of {pages} pages: none, or too many"))
        })?;
        Ok(View::new(self.0.clone(), table))
    }

    /// Moves every page that lives on `from` to `to`, files' and anonymous ones.
    ///
    /// # Errors
    /// As [`File::migrate`].
    #[doc(alias = "migrate_pages")]
    pub fn migrate(&self, from: NodeId, to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        let places = self.places_on(passes::node(self.core(), from)?);
        self.0.migrate(&places, to, how)
    }

    /// What [`migrate`](Self::migrate) would answer now, without moving anything.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    pub fn would_move(&self, from: NodeId, to: NodeId) -> Result<Report> {
        let places = self.places_on(passes::node(self.core(), from)?);
        Ok(passes::would_move(self.core(), &places, passes::node(self.core(), to)?))
    }

    fn places_on(&self, node: &Node) -> Vec<Place> {
        let core = self.core();
        let frames = node.first.0..node.first.0 + node.frames;
        let used = frames.map(FrameNo).filter(|f| core.folio(*f).state.load().references() > 0);
        used.filter_map(|frame| reclaim::place_of(core, frame)).collect()
    }

    /// Empties a node completely, and takes it out of use: nothing is allocated there until
    /// [`undrain`](Self::undrain). What finds no room on the other nodes is evicted. The memory
    /// goes back to the system when the node is empty.
    ///
    /// The report has an outcome for every folio that was met; those that are
    /// [`left`](Report::left) are on the node still, with who holds them. Call again when they have
    /// let go, or use [`Mode::Until`](crate::Mode::Until) to wait for them.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node, or no other one in use; [`Error::GuardHeld`].
    #[doc(alias = "offline_pages")]
    pub fn drain(&self, node: NodeId, how: &Migrate<'_>) -> Result<Report> {
        let core = self.core();
        let source = passes::node(core, node)?;
        core.no_guard_held()?;
        let others: Vec<_> =
            core.nodes.iter().filter(|other| other.id != node && !other.is_offline()).collect();
        if others.is_empty() {
            return Err(Error::Node { node, why: "it is the last one in use" });
        }
        source.set_offline(true);
        let start = Instant::now();
        let mut report = Report::default();
        // A few times over: what was being allocated when the node went out of use shows up late.
        for _ in 0..DRAIN_SWEEPS {
            if source.nr_free_pages() == source.frames {
                break;
            }
            report.outcomes.retain(|page| {
                matches!(page.outcome, Outcome::Moved { .. } | Outcome::Gone)
            });
            let mut places = self.places_on(source);
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
            self.evict(&places, &mut report);
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
    fn evict(&self, places: &[Place], report: &mut Report) {
        for place in places {
            let (Place::File(mapping, index), Some(frame)) = (place, place.folio()) else { continue };
            if reclaim::evict(self.core(), mapping, *index, frame) == 0 {
                continue;
            }
            let owner = crate::report::Owner::File { file: mapping.id, index: *index };
            let of_page = |page: &&mut crate::report::PageOutcome| {
                page.owner == owner && page.outcome == Outcome::NoMemory
            };
            if let Some(page) = report.outcomes.iter_mut().find(of_page) {
                page.outcome = Outcome::Gone;
            }
        }
    }

    /// Takes a drained node back into use.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    #[doc(alias = "online_pages")]
    pub fn undrain(&self, node: NodeId) -> Result<()> {
        passes::node(self.core(), node)?.set_offline(false);
        Ok(())
    }

    /// Writes every file back. For durability, and to hear of errors, sync the files.
    ///
    /// # Errors
    /// The first failure; the other files were written all the same.
    #[doc(alias = "sync_filesystem")]
    pub fn write_back(&self) -> Result<()> {
        self.core().no_guard_held()?;
        let mut first = Ok(());
        for mapping in self.core().mappings.all() {
            let written =
                writeback::write_range(self.core(), &mapping, 0..u64::MAX, Patience::Wait);
            first = first.and(written.map(drop));
        }
        first
    }

    /// The nodes, the fastest first.
    #[doc(alias = "/proc/zoneinfo")]
    pub fn nodes(&self) -> Vec<NodeStats> {
        let core = self.core();
        let stats = core.nodes.iter().zip(&core.lrus).map(|(node, lru)| {
            let (nr_active, nr_inactive) = lru.sizes();
            NodeStats {
                id: node.id,
                name: node.name.clone(),
                frames: u64::from(node.frames),
                nr_free_pages: u64::from(node.nr_free_pages()),
                nr_file_pages: node.counters.nr_file_pages.get(),
                nr_anon_pages: node.counters.nr_anon_pages.get(),
                nr_dirty: node.counters.nr_dirty.get(),
                nr_writeback: node.counters.nr_writeback.get(),
                nr_isolated: node.counters.nr_isolated.get(),
                nr_active,
                nr_inactive,
                drained: node.is_offline(),
                backing: node.backing.clone(),
            }
        });
        stats.collect()
    }

    /// What has happened since the cache was made.
    #[doc(alias = "/proc/vmstat")]
    pub fn stats(&self) -> Stats {
        let events = &self.core().events;
        Stats {
            pgfault: events.pgfault.get(),
            pgmajfault: events.pgmajfault.get(),
            pgmigrate_success: events.pgmigrate_success.get(),
            pgmigrate_fail: events.pgmigrate_fail.get(),
            pgscan: events.pgscan.get(),
            pgsteal: events.pgsteal.get(),
            pgdemote: events.pgdemote.get(),
            pgwriteback: events.pgwriteback.get(),
            workingset_refault: events.workingset_refault.get(),
        }
    }
}

/// How often [`Cache::drain`] looks for pages.
const DRAIN_SWEEPS: u32 = 3;

/// A node at one moment; exact when the cache is at rest. All counts are in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct NodeStats {
    pub id: NodeId,
    pub name: String,
    pub frames: u64,
    pub nr_free_pages: u64,
    pub nr_file_pages: u64,
    pub nr_anon_pages: u64,
    pub nr_dirty: u64,
    pub nr_writeback: u64,
    pub nr_isolated: u64,
    pub nr_active: u64,
    pub nr_inactive: u64,
    pub drained: bool,
    pub backing: Backing,
}

/// What has happened in a cache, in pages; the kernel's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct Stats {
    pub pgfault: u64,
    pub pgmajfault: u64,
    pub pgmigrate_success: u64,
    pub pgmigrate_fail: u64,
    pub pgscan: u64,
    pub pgsteal: u64,
    pub pgdemote: u64,
    pub pgwriteback: u64,
    pub workingset_refault: u64,
}
