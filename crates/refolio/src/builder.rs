//! Making a cache, and opening files: the options.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::ahead;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::core::{Bell, Core, Events};
use crate::error::{Error, Result};
use crate::frame::{Frames, HugePages, Run};
use crate::hint::Hints;
use crate::housekeeper;
use crate::lru::Lru;
use crate::node::Node;
use crate::registry::Mappings;
use crate::shadow::Shadows;
use crate::sync::{Arc, plain};
use crate::table::Tables;
use crate::units::{NodeId, PAGE_SIZE};

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

    /// Whether huge pages are asked for. What came of it is in
    /// [`NodeStats::backing`](crate::NodeStats::backing).
    pub fn huge_pages(mut self, huge: HugePages) -> Self {
        self.huge = huge;
        self
    }

    /// Binds the memory to a NUMA node of the machine. What came of it is in
    /// [`NodeStats::backing`](crate::NodeStats::backing): a machine with one node has nothing to bind to.
    #[doc(alias = "mbind")]
    pub fn numa(mut self, node: u32) -> Self {
        self.numa = Some(node);
        self
    }
}

/// How a file is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    pub(crate) read_only: bool,
    pub(crate) create: bool,
    pub(crate) direct: bool,
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub(crate) io_uring: bool,
    pub(crate) order: u32,
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

    /// Reads many pages at a time, by io_uring; see
    /// [`FileStoreOptions::io_uring`](crate::FileStoreOptions::io_uring). Of several handles to one
    /// file the first one decides.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub fn io_uring(mut self, io_uring: bool) -> Self {
        self.io_uring = io_uring;
        self
    }

    /// Pages that are read in, or written whole, come in folios of 2^order, as far as there is
    /// room beside what is cached; at most [`MAX_ORDER`](crate::MAX_ORDER). Of several handles to
    /// one file the first one decides.
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
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            name_holders: true,
            background: true,
            writeback_interval: Duration::from_secs(1),
        }
    }

    /// Adds a node. The first one is the fastest: new pages go there, and cold ones to the next, where
    /// those that were merely read or written on the way through their file (see
    /// [`Advice::Normal`](crate::Advice::Normal)) take nobody's place.
    pub fn node(mut self, node: NodeOptions) -> Self {
        self.nodes.push(node);
        self
    }

    /// Whether pins write down who took them, and when (the default). It costs a pin a nanosecond or
    /// two where a thread of the cache runs in the background, which tells the time, and some tens
    /// where none does; without it, busy pages name no holders.
    pub fn name_holders(mut self, name_holders: bool) -> Self {
        self.name_holders = name_holders;
        self
    }

    /// Whether threads of the cache make room ahead of need, write dirty pages back, and read ahead
    /// (the default). Without them, the first two happen on the threads that need it, and nothing
    /// is read ahead. They sleep when there is nothing to do.
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
    /// [`Error::Invalid`] for fewer than two nodes, or one that is too small; [`Error::Reserve`]
    /// when the memory cannot be had.
    pub fn build(self) -> Result<Cache> {
        if self.nodes.len() < 2 || self.nodes.len() > 255 {
            let n = self.nodes.len();
            return Err(Error::Invalid(format!("a cache has 2 to 255 nodes, not {n}")).into());
        }
        if let Some(node) = self.nodes.iter().find(|node| node.len_bytes < MIN_NODE_BYTES) {
            return Err(Error::Invalid(format!(
                "a node of {} bytes is too small: give it at least {MIN_NODE_BYTES}",
                node.len_bytes
            ))
            .into());
        }
        let core = Arc::new(assemble(&self.nodes, self.name_holders)?);
        #[cfg(not(refolio_model))]
        crate::core::all::add(&core);
        let mut threads = Vec::new();
        if self.background {
            let interval = self.writeback_interval;
            threads.push(start(&core, "housekeeper", move |core| housekeeper::run(core, interval)));
            for _ in 0..READERS_AHEAD {
                let thread = start(&core, "read-ahead", housekeeper::read_ahead);
                thread.iter().for_each(|_| core.ahead.join());
                threads.push(thread);
            }
        }
        // Those that have started end with the cache.
        Cache::new(core, threads)
    }
}

/// Two, so that one prepares its pages while the other waits for the store.
const READERS_AHEAD: usize = 2;

fn start(
    core: &Arc<Core>,
    name: &str,
    run: impl FnOnce(&Core) + Send + 'static,
) -> Result<JoinHandle<()>> {
    let (core, name) = (core.clone(), format!("refolio-{name}"));
    let thread = std::thread::Builder::new().name(name.clone());
    let failed =
        |source| Error::Io { doing: "starting", name: format!("the thread {name}"), source };
    Ok(thread.spawn(move || run(&core)).map_err(failed)?)
}

/// The rooms of a cache with these nodes, without a housekeeper.
pub(crate) fn assemble(nodes: &[NodeOptions], name_holders: bool) -> Result<Core> {
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
    let (hints, folios) = Hints::new(end).ok_or_else(no_room)?;
    Ok(Core {
        frames,
        hints,
        folios,
        shadows: Shadows::new(list.iter().map(|node| node.frames as usize).sum()),
        nodes: list,
        lrus,
        tables: Tables::new(end).ok_or_else(no_room)?,
        mappings: Mappings::default(),
        events: Events::default(),
        bell: Bell::default(),
        ahead: ahead::Queue::default(),
        clock: Clock::default(),
        name_holders,
        ended: plain::Mutex::default(),
        hotplug: plain::Mutex::default(),
    })
}
