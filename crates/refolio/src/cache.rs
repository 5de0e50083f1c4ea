//! The door: a cache, its nodes, its files, and the threads that work for it.

use std::path::Path;
use std::thread::JoinHandle;

use crate::builder::{CacheBuilder, OpenOptions};
use crate::core::Core;
use crate::drain;
use crate::error::{Error, Result};
use crate::file::File;
use crate::folio::Identity;
use crate::mapping::Mapping;
use crate::passes::{self, Migrate};
use crate::place::Place;
use crate::report::Report;
use crate::stats::{NodeStats, Stats};
use crate::store::{FileStoreOptions, Store};
use crate::sync::{Arc, Relaxed, plain};
use crate::table::{self, Table};
use crate::truncate;
use crate::units::{MAX_FILE_BYTES, MAX_ORDER, NodeId};
use crate::view::View;
use crate::writeback::{self, Patience};

/// What all handles of a cache share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.bell.ring(|wanted| wanted.stop = true);
        self.core.ahead.stop();
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(name, "a thread of the cache has panicked");
            }
        }
    }
}

impl Inner {
    /// Moves pages; see [`File::migrate`].
    pub fn migrate(&self, places: &[Place<'_>], to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        let node = passes::node(&self.core, to)?;
        if node.is_offline() {
            return Err(Error::Node { node: to, why: "it is drained: undrain it first" }.into());
        }
        if how.waits() {
            self.core.no_guard_held()?;
        }
        Ok(passes::migrate(&self.core, places, node, how))
    }

    /// A handle or a view is gone. With the last one go the pages, after they were written back.
    pub fn leave(&self, mapping: &Arc<Mapping>) {
        if self.core.mappings.close(mapping) {
            retire(&self.core, mapping);
        }
    }
}

/// Writes back, drops and forgets the pages of a file that nobody has open. Where that fails the
/// pages stay, dirty: whoever opens the file again finds them, and the error; and the housekeeper
/// tries again.
#[doc(alias = "evict_inode")]
pub(crate) fn retire(core: &Core, mapping: &Arc<Mapping>) {
    let written = writeback::write_range(core, mapping, 0..u64::MAX, Patience::Wait)
        .and_then(|_| writeback::wait_range(core, mapping, 0..u64::MAX));
    if let Err(error) = written {
        tracing::error!(%error, "a file was closed before its pages could be written back");
        return;
    }
    let resize = mapping.resize.write();
    // Opened again meanwhile? Then the pages are wanted. It may be opened at any later moment, too,
    // and written: what is dirty stays, and whoever closes that handle writes it back. Relaxed: a
    // guess that saves misses.
    let wanted = mapping.users.load(Relaxed) > 0;
    let taken = || truncate::take_out(core, mapping, 0..u64::MAX, truncate::Dirty::Kept);
    if !wanted && let Err(error) = taken() {
        tracing::error!(%error, "the pages of a closed file stay cached");
    }
    drop(resize);
    core.mappings.forget(mapping);
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
        CacheBuilder::new()
    }

    /// A cache with these threads; when one of them has not started, those that have end again.
    pub(crate) fn new(core: Arc<Core>, threads: Vec<Result<JoinHandle<()>>>) -> Result<Self> {
        let (mut started, mut failed) = (Vec::new(), Ok(()));
        for thread in threads {
            match thread {
                Ok(thread) => started.push(thread),
                Err(error) => failed = Err(error),
            }
        }
        let cache = Self(Arc::new(Inner { core, threads: started }));
        failed.map(|()| cache)
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
    /// [`MAX_ORDER`], a file of more than [`MAX_FILE_BYTES`], or more than 16 million files.
    pub fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> Result<File> {
        let mut open = FileStoreOptions::new();
        open.read_only(options.read_only).create(options.create).direct(options.direct);
        #[cfg(all(feature = "io-uring", target_os = "linux"))]
        open.io_uring(options.io_uring);
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
            return Err(Error::Invalid(format!(
                "order {order}: folios go up to order {MAX_ORDER}"
            ))
            .into());
        }
        let failed = |source| Error::Io { doing: "opening", name: store.name(), source };
        let writable = !options.read_only;
        let mapping = self.core().mappings.open(file, |id| {
            let len = store.len().map_err(failed)?;
            if len > MAX_FILE_BYTES {
                let name = store.name();
                return Err(Error::Invalid(format!(
                    "{name} has {len} bytes: a cached file has at most 4 PiB"
                ))
                .into());
            }
            if id > Identity::MAX_FILES {
                return Err(Error::Invalid("more than 16 million files: close some".into()).into());
            }
            Ok::<_, Box<Error>>(Mapping::new(id, store.clone(), len, options.order, file))
        })?;
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
            return Err(Error::Invalid(format!(
                "order {order}: folios go up to order {MAX_ORDER}"
            ))
            .into());
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
        let places = drain::places_on(self.core(), passes::node(self.core(), from)?);
        self.0.migrate(&places, to, how)
    }

    /// What [`migrate`](Self::migrate) would answer now, without moving anything.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    pub fn would_move(&self, from: NodeId, to: NodeId) -> Result<Report> {
        let places = drain::places_on(self.core(), passes::node(self.core(), from)?);
        Ok(passes::would_move(self.core(), &places, passes::node(self.core(), to)?))
    }

    /// Empties a node completely, and takes it out of use: nothing is allocated there until
    /// [`undrain`](Self::undrain). What finds no room on the other nodes is evicted. The memory
    /// goes back to the system when the node is empty. (Frames that other threads have in hand just
    /// then, of pages that they move, evict or read in, are waited for, a tenth of a second at most.)
    ///
    /// The report has an outcome for every folio that was met; those that are
    /// [`left`](Report::left) are on the node still, with who holds them. Call again when they have
    /// let go, or use [`Mode::Until`](crate::Mode::Until) to wait for them.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node, or no other one in use; [`Error::GuardHeld`].
    #[doc(alias = "offline_pages")]
    pub fn drain(&self, node: NodeId, how: &Migrate<'_>) -> Result<Report> {
        self.core().no_guard_held()?;
        drain::drain(self.core(), node, how)
    }

    /// Takes a drained node back into use.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    #[doc(alias = "online_pages")]
    pub fn undrain(&self, node: NodeId) -> Result<()> {
        let node = passes::node(self.core(), node)?;
        let _hotplug = plain::lock(&self.core().hotplug);
        node.set_offline(false);
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
