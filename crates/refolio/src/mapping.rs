//! A mapping: the cached pages of one file, and the store they come from.
//!
//! `pages` maps a page's index to the folio that holds it (one entry for all pages of a large
//! folio), or to a shadow that an evicted page left. Lookups take no lock; everything that changes
//! an entry, or a mark, holds the i_pages lock (`pages.lock()`), and everything that takes a folio
//! out or exchanges it holds the folio lock too (rule 4).
//!
//! **Believing a lookup.** The entry found without a lock may be stale: the folio may have been
//! moved, evicted or truncated, and its frame may hold another page by now. What settles it is the
//! folio's *identity*, read after the reference was taken (or, by an optimistic reader, while the
//! version stood still): it is cleared before the frame can be reused, so a folio that still says
//! "page 7 of this file" is page 7 of this file, however one came to it (also by `hint.rs`). That
//! look at the descriptor's own cache line stands for a second walk of the tree ("slot again" in
//! the kernel's lookup).

use std::fmt;

use crate::errseq::ErrorSequence;
use crate::folio::state::Get;
use crate::folio::{Folios, Identity};
use crate::node::Count;
use crate::store::Store;
use crate::sync::plain::{self, AtomicU32};
use crate::sync::{Acquire, Arc, AtomicU64, Relaxed, Release, Retry, RwLock, broken};
use crate::units::{FrameNo, PAGE_SIZE, PageIndex};
use refolio_xarray::{Entry, XArray};

/// One file in the cache.
#[doc(alias = "address_space")]
pub(crate) struct Mapping {
    pub id: u32,
    /// What its first page is called.
    first: Identity,
    #[doc(alias = "i_pages")]
    pub pages: XArray,
    /// Exchanged for one that can be written, when the first handle for writing comes.
    store: plain::RwLock<Arc<dyn Store>>,
    /// Order of the folios that a miss tries to make.
    pub order: u32,
    /// Pages that are worth reading ahead, as its first store says.
    pub read_ahead_pages: u64,
    /// Which file this is, for those who open it again.
    pub file: Option<(u64, u64)>,
    /// Held shared by what reads the length to act on it, exclusively by what changes it.
    #[doc(alias = "i_rwsem")]
    pub resize: RwLock<()>,
    /// Bytes in the file, as its readers see it.
    #[doc(alias = "i_size")]
    len: AtomicU64,
    /// Bytes up to which pages may be cached: the length, or what it is about to be.
    reach: AtomicU64,
    /// Bytes that the store is known to have: what lies beyond was never written there.
    stored: AtomicU64,
    pub errors: ErrorSequence,
    #[doc(alias = "nrpages")]
    pub nr_pages: Count,
    /// Handles and views.
    pub users: AtomicU32,
    /// Whether a handle for writing was ever opened.
    writable: plain::AtomicBool,
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a lookup found, the folio with a reference.
#[must_use]
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The first frame of the folio, and the index that is in it.
    Folio(FrameNo, PageIndex),
    /// A folio that is not this page's any more: give the reference back, and look again.
    Stale(FrameNo),
    /// Somebody owns the folio, which had this version.
    Frozen(FrameNo, u32),
    /// The folio's references are used up.
    Saturated,
    /// Not cached.
    Miss,
}

impl Mapping {
    pub fn new(
        id: u32,
        store: Arc<dyn Store>,
        len_bytes: u64,
        order: u32,
        file: Option<(u64, u64)>,
    ) -> Self {
        let read_ahead_pages = (store.read_ahead_bytes() / PAGE_SIZE) as u64;
        Self {
            id,
            first: Identity::new(id, PageIndex(0)),
            pages: XArray::new(),
            read_ahead_pages,
            store: plain::RwLock::new(store),
            order,
            file,
            resize: RwLock::new(()),
            len: AtomicU64::new(len_bytes),
            reach: AtomicU64::new(len_bytes),
            stored: AtomicU64::new(len_bytes),
            errors: ErrorSequence::new(),
            nr_pages: Count::default(),
            users: AtomicU32::new(0),
            writable: plain::AtomicBool::new(false),
        }
    }

    /// Names the words and the locks in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        use crate::model::names;
        use crate::sync::name;
        self.pages.christen("i_pages", names::slot);
        name(&self.resize, || "resize".into(), names::nothing);
        name(&self.len, || "length".into(), names::pages);
        name(&self.reach, || "reach".into(), names::pages);
        name(&self.stored, || "stored".into(), names::pages);
    }

    /// Where the pages come from.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.read().unwrap_or_else(plain::PoisonError::into_inner).clone()
    }

    /// A handle for writing is opened, with this store: the first one of those is what pages are
    /// written to from now on.
    pub fn open_for_writing(&self, store: Arc<dyn Store>) {
        let mut current = self.store.write().unwrap_or_else(plain::PoisonError::into_inner);
        // Relaxed: under the lock.
        if !self.writable.swap(true, Relaxed) {
            *current = store;
        }
    }

    /// Bytes in the file.
    #[inline]
    pub fn len(&self) -> u64 {
        // Acquire: pairs with `set_len`; whoever sees the length sees the bytes up to it.
        self.len.load(if broken("length-load-relaxed") { Relaxed } else { Acquire })
    }

    /// Whether all of a page is in the file.
    #[inline]
    pub fn has_whole(&self, index: PageIndex) -> bool {
        index.0 < self.len() / PAGE_SIZE as u64
    }

    /// Under `resize`, exclusively; after the bytes up to it are there.
    #[doc(alias = "i_size_write")]
    pub fn set_len(&self, len_bytes: u64) {
        // Release: see `len`.
        let order = if broken("length-relaxed") { Relaxed } else { Release };
        self.len.store(len_bytes, order);
    }

    /// Bytes up to which pages may be cached. Under the i_pages lock.
    pub fn reach(&self) -> u64 {
        // Relaxed: it changes under `resize`, and whoever then takes pages out takes the i_pages
        // lock after that: an insertion either sees the change or is seen.
        self.reach.load(Relaxed)
    }

    /// Under `resize`, exclusively; see [`reach`](Self::reach).
    pub fn set_reach(&self, end: u64) {
        // Relaxed: as `reach`.
        self.reach.store(end, Relaxed);
    }

    /// Bytes the store has.
    pub fn stored(&self) -> u64 {
        // Acquire: pairs with `set_stored`; a smaller number than the newest only makes a fill
        // expect less of the store.
        self.stored.load(if broken("stored-load-relaxed") { Relaxed } else { Acquire })
    }

    /// The store has at least `end` bytes.
    pub fn grow_stored(&self, end: u64) {
        // Relaxed: see `stored`.
        self.stored.fetch_max(end, Relaxed);
    }

    /// The store was made to have exactly `len_bytes`.
    pub fn set_stored(&self, len_bytes: u64) {
        // Release: whoever expects no more than this of the store sees the reach that goes with it.
        let order = if broken("stored-relaxed") { Relaxed } else { Release };
        self.stored.store(len_bytes, order);
    }

    /// The folio that a slot names, with the index of its first page; None for shadows.
    #[inline]
    pub fn folio_in(entry: Entry, index: PageIndex) -> Option<(FrameNo, PageIndex)> {
        entry.is_item().then(|| (FrameNo(entry.payload() as u32), index.align_down(entry.order())))
    }

    /// The folio in the slot of `index` at this moment, without a reference: to be believed only as
    /// the head of this file says.
    #[inline]
    pub fn peek(&self, index: PageIndex) -> Option<(FrameNo, PageIndex)> {
        // A walk that raced with a change of the tree may miss what is there: ask again properly.
        let entry = self.pages.peek(index.0).or_else(|| self.pages.load(index.0))?;
        Self::folio_in(entry, index)
    }

    /// The folio of page `index`, with a reference to it.
    ///
    /// Slot, reference, identity: see the head of the file.
    #[doc(alias = "filemap_get_entry")]
    #[inline]
    pub fn lookup(&self, folios: &Folios, index: PageIndex) -> Lookup {
        let retry = Retry::new();
        loop {
            let Some((frame, base)) = self.peek(index) else { return Lookup::Miss };
            let folio = folios.get(frame);
            match folio.state.try_get() {
                Get::Frozen => {
                    // The version before the look: what is waited for is the page that the slot
                    // names, never the next one in its frame, whose owner may wait for us.
                    let seen = folio.state.version();
                    if self.still_has(frame, index) || broken("frozen-skips-look") {
                        return Lookup::Frozen(frame, seen);
                    }
                    retry.again();
                }
                Get::Saturated => return Lookup::Saturated,
                Get::Got if folio.is(self.identity(base)) || broken("lookup-skips-recheck") => {
                    return Lookup::Folio(frame, base);
                }
                Get::Got => return Lookup::Stale(frame),
            }
        }
    }

    fn still_has(&self, frame: FrameNo, index: PageIndex) -> bool {
        let entry = self.pages.load(index.0);
        entry.and_then(|entry| Self::folio_in(entry, index)).is_some_and(|found| found.0 == frame)
    }

    /// What a page of this file is called.
    #[inline]
    pub fn identity(&self, index: PageIndex) -> Identity {
        self.first.add(index.0)
    }
}
