//! Many threads on one file: writers of records, readers, one that cuts the file's end off and
//! lets it grow again, and movers that migrate, drain, evict and sync.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fastrand::Rng;
use refolio::{Cache, File, NodeId, NodeOptions, OpenOptions, PAGE_SIZE, Sharing, View};

use super::ends::{self, Mover, Tail};
use super::generations::Generations;
use super::jitter::Jitter;
use super::worker::{self, Worker};
use crate::crew::crew;
use crate::record::{BLOCK, decode, encode};
use crate::{done, rest, seed};

/// Blocks in a page.
pub const PER_PAGE: usize = PAGE_SIZE / BLOCK;

/// What all threads share.
pub struct Crowd {
    pub cache: Cache,
    pub nodes: usize,
    pub source: Source,
    /// All to the one file.
    pub handles: Vec<File>,
    /// Of all pages with records.
    pub shared: View,
    /// Pages with records; behind them is the tail.
    pub pages: u64,
    pub workers: usize,
    /// So many blocks that follow each other have one writer: stripe n has worker n % workers.
    pub stripe: usize,
    pub generations: Generations,
    left: AtomicU64,
    failed: AtomicBool,
}

/// Where the file is.
pub enum Source {
    Memory(Jitter),
    Disk { path: PathBuf, _dir: tempfile::TempDir },
}

/// Plays one round; how many operations it had.
pub fn play(seed: u64, ops: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let crowd = Crowd::new(&mut rng, ops);
    let movers = rng.usize(1..=2);
    crew(|threads| {
        let crowd = &crowd;
        for n in 0..crowd.workers {
            let mut worker = Worker::new(crowd, n, rng.fork());
            threads.spawn(move || crowd.work(|| worker.step()));
        }
        for _ in 0..movers {
            let mut mover = Mover::new(crowd, rng.fork());
            threads.spawn(move || crowd.work(|| mover.step()));
        }
        let mut tail = Tail::new(crowd, rng.fork());
        threads.spawn(move || crowd.work(|| tail.step()));
    });
    seed::about_to(|| "the end of a round".into());
    crowd.finish();
    ops
}

/// Stops the others when one thread panics, and says how things stood.
struct Alarm<'a>(&'a Crowd);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if !self.0.failed.swap(true, Relaxed) {
            let Crowd { cache, pages, workers, stripe, .. } = self.0;
            let (nodes, cached) = (cache.nodes(), self.0.handles[0].cached_pages());
            eprintln!("{pages} pages, {cached} cached, {workers} workers, stripe {stripe}");
            nodes.iter().for_each(|node| eprintln!("{node:?}"));
        }
    }
}

impl Crowd {
    fn new(rng: &mut Rng, ops: u64) -> Self {
        let mut builder = Cache::builder()
            .name_holders(rng.bool())
            .background(rng.u8(..4) > 0)
            .writeback_interval(Duration::from_millis(1));
        let (nodes, order) = (rng.usize(2..=3), *rng.choice([0, 0, 0, 1, 2, 3].iter()).unwrap());
        // Room on any one node for the workers' own pages, and for what the threads have in hand.
        let own = 3 * (worker::ANONYMOUS + worker::PRIVATE) as u64;
        let smallest = own + ((14 + 2 * ends::MOVED as u64) << order) + 10;
        for _ in 0..nodes {
            let pages = rng.u64(smallest..smallest + 60);
            builder = builder.node(NodeOptions::new(pages * PAGE_SIZE as u64));
        }
        let cache = builder.build().unwrap();
        let pages = rng.u64(60..300);
        let blocks = pages as usize * PER_PAGE;
        let bytes: Vec<u8> = (0..blocks as u64).flat_map(|block| encode(block, 0, 0)).collect();
        let options = OpenOptions::new().order(order);
        let (source, handles) = if rng.u8(..8) == 0 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("records");
            std::fs::write(&path, bytes).unwrap();
            let options = options.direct(rng.bool());
            let handles = (0..3).map(|_| cache.open_with(&path, &options).unwrap()).collect();
            (Source::Disk { path, _dir: dir }, handles)
        } else {
            let store = Jitter::new(bytes, rng.u64(..));
            let file = cache.open_store(store.clone(), &options).unwrap();
            (Source::Memory(store), vec![file])
        };
        Self {
            shared: handles[0].view(0..pages, Sharing::Shared).unwrap(),
            cache,
            nodes,
            source,
            handles,
            pages,
            workers: rng.usize(2..=3),
            stripe: *rng.choice([1, 3, 8, 20].iter()).unwrap(),
            generations: Generations::new(blocks),
            left: AtomicU64::new(ops),
            failed: AtomicBool::new(false),
        }
    }

    /// Makes steps until there were enough, or somebody failed.
    fn work(&self, mut step: impl FnMut()) {
        let alarm = Alarm(self);
        let one_less = || self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        while one_less().is_ok() && !self.failed.load(Relaxed) {
            step();
            seed::step();
        }
        std::mem::forget(alarm);
    }

    pub fn blocks(&self) -> usize {
        self.pages as usize * PER_PAGE
    }

    pub fn file(&self, rng: &mut Rng) -> &File {
        &self.handles[rng.usize(..self.handles.len())]
    }

    /// One more handle, if the file has a name.
    pub fn another(&self) -> Option<File> {
        match &self.source {
            Source::Memory(_) => None,
            Source::Disk { path, .. } => Some(self.cache.open(path).unwrap()),
        }
    }

    /// Everybody is gone: the newest generations are there, also in the store, and all memory is
    /// free in the end.
    fn finish(self) {
        let Self { cache, nodes, source, handles, shared, generations, pages, .. } = self;
        for node in 0..nodes {
            cache.undrain(NodeId(node as u8)).unwrap();
        }
        let mut bytes = vec![0; pages as usize * PAGE_SIZE];
        handles[0].read_at(&mut bytes, 0).unwrap();
        for (block, bytes) in bytes.chunks(BLOCK).enumerate() {
            let acknowledged = generations.acknowledged(block);
            generations.check(block, acknowledged, bytes, "at the end");
        }
        handles.iter().for_each(|handle| handle.sync().unwrap());
        rest::check_clean(&cache);
        let stored = match &source {
            Source::Memory(store) => store.inner.bytes(),
            Source::Disk { path, .. } => std::fs::read(path).unwrap(),
        };
        assert_eq!(stored.len() as u64, handles[0].len());
        for (block, found) in stored.chunks(BLOCK).take(bytes.len() / BLOCK).enumerate() {
            let expected = decode(block as u64, &bytes[block * BLOCK..][..BLOCK]).unwrap();
            assert_eq!(decode(block as u64, found), Ok(expected), "in the store");
        }
        drop((shared, handles));
        rest::check_empty(&cache);
        done::count(&cache);
    }
}
