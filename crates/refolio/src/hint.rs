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

use crate::folio::{Folio, Folios, Identity};
use crate::frame::{Part, side_by_side};
use crate::sync::Relaxed;
use crate::sync::plain::AtomicU32;
use crate::units::FrameNo;

/// First frames of folios, by file and page.
///
/// # Invariants
/// Each of them is below `frames`, and there is one at least. (Neither in models.)
#[derive(Debug)]
pub(crate) struct Hints {
    /// A power of two of them. (In models none, unless they are about hints.)
    places: Part<AtomicU32>,
    frames: u32,
}

impl Hints {
    /// Hints for so many frames, and as many pages at least; and right behind them the descriptors of the
    /// frames, which are free. None when there is no memory.
    pub fn new(frames: usize) -> Option<(Self, Folios)> {
        let number = u32::try_from(frames).ok().filter(|n| *n > 0 || cfg!(refolio_model))?;
        let places = if cfg!(refolio_model) { 0 } else { frames.checked_next_power_of_two()? };
        let hint = || AtomicU32::new(0);
        let (places, folios) = side_by_side((places, hint), (frames, Folio::free))?;
        Some((Self { places, frames: number }, Folios::new(folios)))
    }

    /// A hint, for models that are about hints.
    #[cfg(refolio_model)]
    pub fn one() -> Self {
        Self { places: vec![AtomicU32::new(0)], frames: 1 }
    }

    /// All places: one of a page has the number of the page among those of all files, as far as that is
    /// among theirs.
    #[cfg(not(refolio_model))]
    #[inline(always)]
    pub fn all(&self) -> &[AtomicU32] {
        &self.places
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
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn set(&self, of: Identity, pages: u32, frame: FrameNo) {
        assert!(frame.0 < self.frames || cfg!(refolio_model), "a hint is of a frame");
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

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::units::PageIndex;

    #[test]
    fn every_page_has_a_place_and_the_last_one_there_has_it() {
        let hints = Hints::new(5).unwrap().0;
        let page = |index| Identity::new(1, PageIndex(index));
        for index in 0..100 {
            assert!(hints.get(page(index)).is_some_and(|frame| frame.0 < 5));
        }
        hints.set(page(6), 2, FrameNo(4));
        assert_eq!([6, 7, 14, 15].map(|index| hints.get(page(index))), [Some(FrameNo(4)); 4]);
        hints.set(page(14), 1, FrameNo(3));
        assert_eq!(hints.get(page(6)), Some(FrameNo(3)));
    }

    #[test]
    #[should_panic(expected = "a hint is of a frame")]
    fn a_hint_is_of_a_frame_that_exists() {
        Hints::new(5).unwrap().0.set(Identity::new(1, PageIndex(0)), 1, FrameNo(5));
    }

    #[test]
    fn there_are_no_hints_without_frames() {
        assert!(Hints::new(0).is_none());
    }
}
