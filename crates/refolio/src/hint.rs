//! Hints: in which folio a page was put last. They save most lookups the walk through the tree of
//! their file, whose last nodes are too many for the processor's caches.
//!
//! A hint proves nothing: the page may have left the folio, and of two pages with the same place in
//! the table the later one has it. What settles it is the identity in the folio's descriptor, read
//! while the version stands still, as for every lookup that took no lock (see `mapping.rs`). Whose
//! hint is wrong takes the walk, and sets it right. So nobody has to take a hint back, and hints need no
//! order with anything else.
//!
//! Pages that are merely passing (`lru.rs`) are shown without one. The first read that counts sets it.

use crate::folio::Identity;
use crate::frame::vec_with_room;
use crate::sync::Relaxed;
use crate::sync::plain::AtomicU32;
use crate::units::FrameNo;

/// First frames of folios, by file and page.
#[derive(Debug)]
pub(crate) struct Hints {
    /// A power of two of them, or none.
    places: Vec<AtomicU32>,
}

impl Hints {
    /// A place for each of so many pages, at least, or none at all; None when there is no memory.
    pub fn new(pages: usize) -> Option<Self> {
        let places = if pages > 0 { pages.checked_next_power_of_two()? } else { 0 };
        let mut hints = vec_with_room(places)?;
        hints.extend((0..places).map(|_| AtomicU32::new(0)));
        Some(Self { places: hints })
    }

    /// Pages that follow each other have places that do; files begin anywhere.
    #[inline]
    fn place(&self, of: Identity) -> Option<&AtomicU32> {
        self.places.get(of.number() as usize & self.places.len().wrapping_sub(1))
    }

    /// The first frame of the folio that may have the page.
    #[inline]
    pub fn get(&self, of: Identity) -> Option<FrameNo> {
        // Relaxed: see the head of this file.
        self.place(of).map(|place| FrameNo(place.load(Relaxed)))
    }

    /// The pages of a folio are in the frames from `frame` on.
    pub fn set(&self, of: Identity, pages: u32, frame: FrameNo) {
        for page in 0..u64::from(pages) {
            if let Some(place) = self.place(of.add(page)) {
                // Relaxed: as `get`. Not written where nothing changes: others read it.
                if place.load(Relaxed) != frame.0 {
                    place.store(frame.0, Relaxed);
                }
            }
        }
    }
}
