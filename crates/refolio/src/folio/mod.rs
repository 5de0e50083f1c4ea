//! Folios: one descriptor a frame, in an array that lives as long as the cache, so that a stale
//! frame number is always safe to look at.
//!
//! A folio of order k is described by the descriptor of its first frame; those of the other frames
//! stay free (no references) meanwhile.
//!
//! **Who may touch what**
//! 1. The word: everybody, by the transitions of [`state`].
//! 2. The identity (file and index): changed only by the holder of the folio lock, while the folio
//!    is frozen, not yet published, or right after the version has grown (truncation). Read by
//!    everybody; believed by whoever holds a reference, or finds the version unchanged after.
//! 3. The order: set when the frames are allocated; believed under the same conditions.
//! 4. The count of table entries, and the embedder's word: under the folio lock.

pub(crate) mod state;

use std::ptr;

use crate::frame::{Part, prefetch};
use crate::sync::{AtomicU32, AtomicU64, Relaxed, broken, call, rule};
use crate::units::{FrameNo, MAX_FILE_PAGES, MAX_ORDER, PageIndex, pages};
use crate::wait::Waits;
use state::{Flag, Snapshot, State};

/// Whether it says that a page is in use that it is read, or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Counts,
    /// Somebody goes through its file from front to back: the page is passing (see `lru.rs`).
    Passing,
}

/// A descriptor: half a cache line, in one piece.
#[derive(Debug)]
#[cfg_attr(not(refolio_model), repr(align(32)))]
pub(crate) struct Folio {
    pub state: State,
    /// Of the first page.
    identity: AtomicU64,
    /// The embedder's word, when PRIVATE.
    private: AtomicU64,
    order: AtomicU32,
    mapped: AtomicU32,
}

#[cfg(not(refolio_model))]
const _: () = assert!(size_of::<Folio>() == 32);

/// Of which file a page is, and where in it, in one word: so whoever sees one sees both, and a
/// lookup compares once.
///
/// The pages of all files are numbered, file n's from n strides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    /// From a file's first page to the next one's: more pages than any file has, and such a number
    /// that files begin all over a table which has a power of two of places (see `hint.rs`).
    const STRIDE: u64 = (1 << 40) + 0x9e37_79b1;

    /// No page's: there is no file 0.
    const NONE: Self = Self(0);

    /// Files that there can be at a time.
    pub const MAX_FILES: u32 = (u64::MAX / Self::STRIDE) as u32 - 1;

    /// Page `index` of file `mapping`. (No page, where the file cannot have so many.)
    pub const fn new(mapping: u32, index: PageIndex) -> Self {
        Self(Self::STRIDE.wrapping_mul(mapping as u64)).add(index.0)
    }

    /// The page so many further on in its file.
    #[inline]
    pub const fn add(self, pages: u64) -> Self {
        Self(self.0.wrapping_add(pages))
    }

    /// The number of the file.
    pub const fn mapping(self) -> u32 {
        (self.0 / Self::STRIDE) as u32
    }

    /// Where the page is in the file.
    pub const fn index(self) -> PageIndex {
        PageIndex(self.0 % Self::STRIDE)
    }

    /// The page that has this number, if one has.
    pub const fn of_number(number: u64) -> Option<Self> {
        if number == Self::NONE.0 { None } else { Some(Self(number)) }
    }

    /// The number of the page among those of all files.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }
}

// A page of a folio is found by subtraction: no folio reaches into the next file's numbers.
const _: () = assert!(Identity::STRIDE - MAX_FILE_PAGES > 1 << MAX_ORDER);

impl Folio {
    /// Of a free frame.
    pub fn free() -> Self {
        Self {
            state: State::free(),
            identity: AtomicU64::new(Identity::NONE.0),
            private: AtomicU64::new(0),
            order: AtomicU32::new(0),
            mapped: AtomicU32::new(0),
        }
    }

    /// Names the words in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self, folio: &str) {
        use crate::model::names;
        use crate::sync::name;
        self.state.christen(folio);
        name(&self.identity, || folio.into(), names::identity);
        name(&self.mapped, || folio.into(), names::entries);
        name(&self.private, || folio.into(), names::private);
    }

    // Relaxed, where nothing else is said: the word's transitions publish these fields (see the
    // head of the file).

    /// Whether this is the folio that begins with this page.
    #[inline]
    pub fn is(&self, identity: Identity) -> bool {
        self.identity.load(Relaxed) == identity.0
    }

    /// Which page of this folio this one is, if it is one of them.
    #[inline]
    pub fn page_of(&self, identity: Identity) -> Option<u32> {
        let page = identity.0.wrapping_sub(self.identity.load(Relaxed));
        (page < u64::from(self.pages())).then_some(page as u32)
    }

    /// The file and the index; None for anonymous folios, and for those taken out of their file.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of_number(self.identity.load(Relaxed))
    }

    /// Gives the folio its place in a file: before it is published there.
    pub fn set_identity(&self, identity: Identity) {
        self.identity.store(identity.0, Relaxed);
    }

    /// The folio is of no file any more.
    pub fn clear_identity(&self) {
        self.identity.store(Identity::NONE.0, Relaxed);
    }

    #[inline]
    pub fn order(&self) -> u32 {
        self.order.load(Relaxed)
    }

    #[inline]
    pub fn pages(&self) -> u32 {
        pages(self.order())
    }

    /// Takes free frames into use as one folio, locked, with one reference.
    pub fn claim(&self, order: u32, flags: &[Flag]) {
        self.order.store(order, Relaxed);
        self.identity.store(Identity::NONE.0, Relaxed);
        self.mapped.store(0, Relaxed);
        self.private.store(0, Relaxed);
        self.state.claim(flags);
    }

    /// Table entries that map a page of this folio. Under the folio lock.
    #[doc(alias = "folio_mapcount")]
    pub fn mapped(&self) -> u32 {
        self.mapped.load(Relaxed)
    }

    /// `count` more table entries, or fewer. Under the folio lock, so a load and a store will do.
    pub fn add_mapped(&self, count: i32) {
        let now = self.mapped.load(Relaxed).wrapping_add_signed(count);
        rule(now <= state::MAX_REFERENCES, "an entry was unmapped twice");
        self.mapped.store(now, Relaxed);
    }

    /// The references that the cache itself has to a folio under its lock: one for each page when
    /// it is in a file, one for its private data, one for each table entry.
    #[doc(alias = "folio_expected_ref_count")]
    pub fn expected_references(&self) -> u32 {
        call(|| {
            let cached = if self.identity().is_some() { self.pages() } else { 0 };
            let private = self.state.has(Flag::PRIVATE) && !broken("private-not-counted");
            cached + u32::from(private) + self.mapped()
        })
    }

    /// The embedder's word. Under the folio lock or a reference.
    #[doc(alias = "folio_get_private")]
    pub fn private(&self) -> Option<u64> {
        self.state.has(Flag::PRIVATE).then(|| self.private.load(Relaxed))
    }

    /// Sets the embedder's word. Under the folio lock, while frozen; the reference that it holds is
    /// the caller's to count.
    pub fn store_private(&self, word: u64) {
        self.private.store(word, Relaxed);
    }

    /// What moves with the bytes besides them, from the frozen `source`; see [`State::inherit`].
    pub fn inherit(&self, source: &Folio, references: u32) {
        if !broken("private-left-behind") {
            self.private.store(source.private.load(Relaxed), Relaxed);
        }
        self.state.inherit(&source.state, references);
    }
}

/// The descriptors of all frames of a cache, and the threads that wait for them.
#[derive(Debug)]
pub(crate) struct Folios {
    folios: Part<Folio>,
    waits: Waits,
}

impl Folios {
    /// These, of free frames.
    pub fn new(folios: Part<Folio>) -> Self {
        Self { folios, waits: Waits::new() }
    }

    /// Names the words and the queue in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        for (frame, folio) in self.folios.iter().enumerate() {
            folio.christen(&format!("folio {frame}"));
        }
        self.waits.christen();
    }

    /// The descriptor of `frame`, whatever it is used for now.
    #[inline]
    pub fn get(&self, frame: FrameNo) -> &Folio {
        &self.folios[frame.0 as usize]
    }

    /// The same of a number that somebody has made up.
    #[inline]
    pub fn find(&self, frame: FrameNo) -> Option<&Folio> {
        self.folios.get(frame.0 as usize)
    }

    /// Has a descriptor brought to the processor's caches.
    #[inline]
    pub fn prefetch(&self, frame: FrameNo) {
        prefetch(self.folios.as_ptr().wrapping_add(frame.0 as usize));
    }

    /// All of them, by frame.
    #[cfg(not(refolio_model))]
    #[inline(always)]
    pub fn all(&self) -> &Part<Folio> {
        &self.folios
    }

    /// The frame that a descriptor of this array describes.
    pub fn frame_of(&self, folio: &Folio) -> FrameNo {
        let bytes = ptr::from_ref(folio).addr() - self.folios.as_ptr().addr();
        FrameNo((bytes / size_of::<Folio>()) as u32)
    }

    /// Wakes the folio's waiters when a transition says that there are any.
    #[inline]
    pub fn wake(&self, frame: FrameNo, wake: state::Wake) {
        if wake.0 && !crate::sync::broken("wake-forgotten") {
            self.waits.wake(frame, &self.get(frame).state);
        }
    }

    /// Sleeps while `blocked` says so of the folio's word; false when the deadline came first.
    pub fn wait(
        &self,
        frame: FrameNo,
        deadline: Option<std::time::Instant>,
        blocked: impl Fn(Snapshot) -> bool,
    ) -> bool {
        self.waits.wait(frame, &self.get(frame).state, deadline, blocked)
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_file_and_the_page_it_was_made_of() {
        for mapping in [1, 2, 1000, Identity::MAX_FILES] {
            for index in [0, 1, 511, MAX_FILE_PAGES - 1].map(PageIndex) {
                let identity = Identity::new(mapping, index);
                assert_eq!((identity.mapping(), identity.index()), (mapping, index));
                assert_eq!(Identity::of_number(identity.number()), Some(identity));
            }
        }
    }

    #[test]
    fn a_folio_has_its_own_pages_and_no_other_files() {
        let folio = Folio::free();
        folio.order.store(MAX_ORDER, Relaxed);
        let last = PageIndex(MAX_FILE_PAGES - u64::from(pages(MAX_ORDER)));
        folio.set_identity(Identity::new(1, last));
        assert_eq!(folio.page_of(Identity::new(1, PageIndex(MAX_FILE_PAGES - 1))), Some(511));
        assert_eq!(folio.page_of(Identity::new(1, PageIndex(last.0 - 1))), None);
        assert_eq!(folio.page_of(Identity::new(2, PageIndex(0))), None);
        folio.clear_identity();
        assert_eq!(folio.identity(), None);
        assert_eq!(folio.page_of(Identity::new(1, PageIndex(0))), None);
    }
}
