//! Errors, each of which says what the caller can do next.

use std::io;

use crate::frame::ReserveError;
use crate::holder::{Holder, List};
use crate::store::OpenError;
use crate::units::{NodeId, PageIndex};

/// What can go wrong. Every text names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is missing, unreadable, or no regular file.
    #[error(transparent)]
    Open(#[from] OpenError),

    /// The store failed. What was being read is not cached; what was being written is still dirty
    /// and will be tried again.
    #[error("{doing} {name} failed: {source}")]
    Io {
        /// "reading", "writing", ….
        doing: &'static str,
        /// The store's name for itself.
        name: String,
        /// What the store said.
        source: io::Error,
    },

    /// The file has become shorter behind the cache's back.
    #[error(
        "{name} shrank while it was open: byte {offset} is gone, though the file had {len_bytes} \
         bytes; do not truncate an open file from outside, or reopen it"
    )]
    Shrunk {
        /// The store's name for itself.
        name: String,
        /// The first byte that is missing.
        offset: u64,
        /// The length the file should have.
        len_bytes: u64,
    },

    /// Every frame is in use and none could be freed.
    #[error(
        "no free frame of order {order}: {why}; release pins, sync, or give the nodes more memory"
    )]
    NoMemory {
        /// The order asked for.
        order: u32,
        /// Why nothing could be reclaimed.
        why: &'static str,
    },

    /// The page cannot be written (or its folio had) while somebody holds it, and this thread may
    /// not wait, because it holds pages itself: two threads could wait for each other for ever.
    #[error("the page is held by {}; drop what this thread holds and try again", List(.holders))]
    Held {
        /// Who holds the page.
        holders: Vec<Holder>,
    },

    /// This thread holds a write guard, and the call might wait for a page: give the guard up
    /// first.
    #[error("this thread holds {}: drop it before a call that may wait for pages", List(.holders))]
    GuardHeld {
        /// This thread's own guards.
        holders: Vec<Holder>,
    },

    /// More references to one page than can be counted (2^20).
    #[error("the page is held more than a million times: drop pins")]
    TooManyReferences,

    /// The handle, or the view, is read-only.
    #[error("{name} is open read-only: open it for writing")]
    ReadOnly {
        /// The store's name for itself.
        name: String,
    },

    /// The page lies outside the file or the view.
    #[error("page {index} is out of range: there are {pages} pages")]
    OutOfRange {
        /// The page asked for.
        index: PageIndex,
        /// Pages that there are.
        pages: u64,
    },

    /// The page was marked as not to be trusted ([`PageMut::poison`](crate::PageMut::poison)).
    #[error("page {index} is poisoned: overwrite it whole, or drop it")]
    Poisoned {
        /// The page.
        index: PageIndex,
    },

    /// No such node, or one that cannot do this.
    #[error("{node}: {why}")]
    Node {
        /// The node.
        node: NodeId,
        /// What is wrong with it.
        why: &'static str,
    },

    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),

    /// The memory for the nodes could not be had.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
}

impl Error {
    /// Whether there is no such page: as a rule, because its file was cut off meanwhile.
    pub(crate) fn is_out_of_range(&self) -> bool {
        matches!(self, Self::OutOfRange { .. })
    }
}

/// What it says, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Error {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_string().hash(state);
    }
}

impl From<OpenError> for Box<Error> {
    fn from(error: OpenError) -> Self {
        Box::new(error.into())
    }
}

impl From<ReserveError> for Box<Error> {
    fn from(error: ReserveError) -> Self {
        Box::new(error.into())
    }
}

/// The result of most calls. Errors are in a box, to be taken out where their kind matters:
///
/// ```
/// # use refolio::{Cache, Error, MemStore, NodeOptions, OpenOptions, PageIndex};
/// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
/// #     .node(NodeOptions::new(1 << 20)).build()?;
/// # let file = cache.open_store(MemStore::with_bytes(vec![7; 5000]), &OpenOptions::new())?;
/// match file.page(PageIndex(9)).map_err(|error| *error) {
///     Ok(page) => println!("{} bytes", page.len()),
///     Err(Error::OutOfRange { pages, .. }) => assert_eq!(pages, 2),
///     Err(other) => return Err(other.into()),
/// }
/// # Ok::<(), Box<Error>>(())
/// ```
///
/// So a result is no larger than what it holds, and travels in registers: one that has room for an error
/// is stored to memory where somebody may have to drop it, and a read of 64 bytes shows that.
pub type Result<T> = std::result::Result<T, Box<Error>>;
