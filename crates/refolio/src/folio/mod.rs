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

use crate::frame::{prefetch, vec_with_room};
use crate::sync::{Acquire, AtomicU32, AtomicU64, Relaxed, Release, broken, rule};
use crate::units::{FrameNo, PageIndex, pages};
use crate::wait::Waits;
use state::{Flag, Snapshot, State};

/// No mapping has this number.
pub(crate) const NO_MAPPING: u32 = 0;

/// A descriptor: one cache line.
#[derive(Debug)]
#[cfg_attr(not(refolio_model), repr(align(64)))]
pub(crate) struct Folio {
    pub state: State,
    /// Index in the file of the first page.
    index: AtomicU64,
    /// The embedder's word, when PRIVATE.
    private: AtomicU64,
    mapping: AtomicU32,
    order: AtomicU32,
    mapped: AtomicU32,
}

#[cfg(not(refolio_model))]
const _: () = assert!(size_of::<Folio>() == 64);

/// Of which file a folio is, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub mapping: u32,
    pub index: PageIndex,
}

impl Folio {
    fn free() -> Self {
        Self {
            state: State::free(),
            index: AtomicU64::new(0),
            private: AtomicU64::new(0),
            mapping: AtomicU32::new(NO_MAPPING),
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
        name(&self.mapping, || folio.into(), names::file);
        name(&self.index, || folio.into(), names::index);
        name(&self.mapped, || folio.into(), names::entries);
        name(&self.private, || folio.into(), names::private);
    }

    // Relaxed, where nothing else is said: the word's transitions publish these fields (see the
    // head of the file).

    /// Whether this is the folio of `mapping` that begins at `index`.
    #[inline]
    pub fn is(&self, mapping: u32, index: PageIndex) -> bool {
        // Acquire: pairs with the Release in `set_identity`. Whoever comes late, with the frame in
        // hand from an earlier life, must not read the new file beside the old index. (That the
        // earlier life's file is not seen any more follows from the word: its clearing came before
        // the Release of a transition that the caller's own one reads from or after.)
        let order = if broken("identity-load-relaxed") { Relaxed } else { Acquire };
        self.mapping.load(order) == mapping && self.index.load(Relaxed) == index.0
    }

    /// Which page of this folio of `mapping` has this index, if one has.
    #[inline]
    pub fn page_of(&self, mapping: u32, index: PageIndex) -> Option<u32> {
        let page = index.0.wrapping_sub(self.index.load(Relaxed));
        let is_in = self.mapping.load(Relaxed) == mapping && page < u64::from(self.pages());
        is_in.then_some(page as u32)
    }

    /// The file and the index; None for anonymous folios, and for those taken out of their file.
    pub fn identity(&self) -> Option<Identity> {
        let mapping = self.mapping.load(Relaxed);
        let index = PageIndex(self.index.load(Relaxed));
        (mapping != NO_MAPPING).then_some(Identity { mapping, index })
    }

    /// Gives the folio its place in a file: before it is published there.
    pub fn set_identity(&self, identity: Identity) {
        self.index.store(identity.index.0, Relaxed);
        // Release: see `is`.
        let order = if broken("identity-relaxed") { Relaxed } else { Release };
        self.mapping.store(identity.mapping, order);
    }

    /// The folio is of no file any more.
    pub fn clear_identity(&self) {
        // Release: whoever sees this in `is` looks again, and finds the slot without the folio.
        let order = if broken("clear-identity-relaxed") { Relaxed } else { Release };
        self.mapping.store(NO_MAPPING, order);
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
        self.mapping.store(NO_MAPPING, Relaxed);
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
        let cached = if self.identity().is_some() { self.pages() } else { 0 };
        let private = self.state.has(Flag::PRIVATE) && !broken("private-not-counted");
        cached + u32::from(private) + self.mapped()
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

    /// What moves with the bytes besides them, from the frozen `source`.
    pub fn inherit(&self, source: &Folio) {
        if !broken("private-left-behind") {
            self.private.store(source.private.load(Relaxed), Relaxed);
        }
        self.state.inherit(&source.state);
    }
}

/// The descriptors of all frames of a cache, and the threads that wait for them.
#[derive(Debug)]
pub(crate) struct Folios {
    folios: Vec<Folio>,
    waits: Waits,
}

impl Folios {
    /// Descriptors for `frames` free frames; None when there is no memory for them.
    pub fn new(frames: usize) -> Option<Self> {
        let mut folios = vec_with_room(frames)?;
        folios.extend((0..frames).map(|_| Folio::free()));
        Some(Self { folios, waits: Waits::new() })
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
