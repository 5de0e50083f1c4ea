//! What the claims are held against: anything that caches pages of files and can move them.
//!
//! A subject is asked for what an application could ask for, by numbers instead of handles, so that
//! one subject can be wrapped in another one. Every call may be made by many threads at a time.

use std::fmt;
use std::ops::Range;

/// A page cache, or a kernel.
pub trait Subject: Send + Sync {
    /// Its name, and what it has of that which cases need.
    fn about(&self) -> About;

    /// Makes file number `file` with these bytes, whole pages.
    fn create(&self, file: u32, kind: Kind, bytes: &[u8]) -> Result<(), Refusal>;

    /// Writes the file back, forgets its pages and closes it; the bytes that its store has then. It
    /// is at rest: nobody else uses the file.
    fn close(&self, file: u32) -> Result<Vec<u8>, Refusal>;

    /// Reads bytes; how many there were. A read of one page sees no write to it in part.
    fn read(&self, at: At, into: &mut [u8]) -> Result<usize, Refusal>;

    /// Writes bytes of one page. By a call it makes the file longer, by a view it cannot.
    fn write(&self, at: At, from: &[u8]) -> Result<(), Refusal>;

    /// What was written is in the store when it returns.
    fn sync(&self, file: u32) -> Result<(), Refusal>;

    /// Takes pages out of the file.
    fn truncate(&self, file: u32, cut: Cut) -> Result<(), Refusal>;

    /// Drops cached pages that nobody holds, after writing dirty ones back; how many went.
    fn evict(&self, file: u32, pages: Range<u64>) -> Result<u64, Refusal>;

    /// Pins a page, reading it in if need be, for as long as `held` runs.
    fn pin(&self, file: u32, page: u64, held: &mut dyn FnMut(Look<'_>)) -> Result<(), Refusal>;

    /// Moves what is cached of the pages to node `to`.
    fn migrate(&self, file: u32, pages: Range<u64>, to: usize, how: How) -> Result<Moves, Refusal>;

    /// The accounts, and where pages are at this moment. Exact at rest.
    fn counters(&self) -> Counters;

    /// The node that a page is on; None when it is not cached.
    fn node_of(&self, file: u32, page: u64) -> Option<usize>;
}

/// What a subject says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name: the one of its list of known gaps, too.
    pub name: &'static str,
    /// What it has.
    pub has: Vec<Need>,
}

/// Copies a pinned page out, as it is now.
pub type Look<'p> = &'p dyn Fn(&mut [u8]);

/// What a case cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// Two memory nodes, between which pages can be moved.
    TwoNodes,
    /// Pins.
    Pins,
    /// Views: files used as memory.
    Views,
    /// Eviction on request.
    Eviction,
    /// Migration entries: whoever uses a page through a view while it is moved finds one.
    MigrationEntries,
    /// Something of the machine, in words.
    Machine(&'static str),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoNodes => "two memory nodes",
            Self::Pins => "pins",
            Self::Views => "views",
            Self::Eviction => "eviction on request",
            Self::MigrationEntries => "migration entries",
            Self::Machine(what) => what,
        })
    }
}

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A file in single pages.
    File,
    /// A file in folios of several pages, where the subject makes them.
    LargeFile,
    /// Anonymous memory: it has no store, and cannot be truncated or evicted.
    Anonymous,
}

/// By which way bytes are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A call: `pread`, `pwrite`.
    Call,
    /// One of the file's views: loads and stores.
    View(usize),
}

/// How many views each file has.
pub const VIEWS: usize = 2;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The file.
    pub file: u32,
    /// By which way.
    pub via: Via,
    /// Where in the file, in bytes.
    pub offset: u64,
}

/// What is truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The file has so many pages from now on: fewer, or more, which are zeros.
    Len(u64),
    /// A hole: these pages are zeros from now on.
    Hole(Range<u64>),
}

/// How to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Somehow: a number that decides whatever the subject has to decide about (what to wait for,
    /// in which batches, with which delays between the steps).
    Chosen(u64),
    /// Waiting for whatever is passing.
    Patiently,
}

/// What became of pages that were to be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the outcomes")]
pub struct Moves {
    pub moved: u64,
    pub here: u64,
    pub again: u64,
    pub busy: u64,
    pub no_room: u64,
    pub gone: u64,
}

/// The accounts of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By node.
    pub nodes: Vec<NodeCounters>,
    /// Pages that migrations were asked for and moved, since the subject was made.
    pub migrated: u64,
    /// Pages that they were asked for and did not move, and did not find moved or gone.
    pub not_migrated: u64,
    /// Pages that were read in.
    pub filled: u64,
    /// Pages that were written back.
    pub written_back: u64,
    /// Accesses through a view that found a migration entry.
    pub entries_met: u64,
    /// Writes to the store whose bytes changed while they were under way.
    pub unstable_writes: u64,
}

/// Pages of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct NodeCounters {
    pub frames: u64,
    pub nr_free_pages: u64,
    pub nr_file_pages: u64,
    pub nr_anon_pages: u64,
    pub nr_dirty: u64,
    pub nr_writeback: u64,
    pub nr_isolated: u64,
    pub nr_on_lru: u64,
}

/// Why a call did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The page lies beyond the end of its file.
    Beyond,
    /// Anything else, in the subject's words.
    Because(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond => f.write_str("the page lies beyond the end of the file"),
            Self::Because(why) => f.write_str(why),
        }
    }
}
