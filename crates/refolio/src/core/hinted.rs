//! A hint, followed.
//!
//! What limits reads of pages that are cached, but in no cache of the processor's, is how many of them
//! it has in flight, and that is how few loads each of them does. So the number of a frame is compared
//! with how many there are where a hint is set, not where it is followed; and a handle has at hand
//! where descriptors and bytes are. Hints stand before the descriptors, so that the same address finds
//! them, too.

#![allow(unsafe_code)] // Hints are of frames that exist, and a cache lasts as long as its handles.

use std::ops::Deref;

use super::{Core, FolioRef};
use crate::folio::{Folio, Identity};
use crate::frame;
use crate::still::Address;
use crate::sync::{Arc, broken, reached};
#[cfg(not(refolio_model))]
use crate::sync::{Relaxed, plain::AtomicU32};
use crate::units::{FrameNo, PAGE_SIZE};

/// Where everything is that a hit needs. (Models look it up in the cache.)
#[derive(Clone, Copy, Debug)]
struct Near {
    /// Behind the last hint is the first descriptor.
    #[cfg(not(refolio_model))]
    folios: *const Folio,
    /// The number of a page, with all of these bits set, is that of its place, counted from the end of
    /// the hints: they are a power of two.
    #[cfg(not(refolio_model))]
    others: usize,
    bytes: frame::Near,
}

impl Near {
    #[inline(always)]
    fn of(core: &Core) -> Self {
        #[cfg(not(refolio_model))]
        let (hints, folios) = (core.hints.all(), core.folios.all().first());
        #[cfg(not(refolio_model))]
        debug_assert_eq!(hints.as_ptr_range().end.addr(), folios.addr());
        Self {
            #[cfg(not(refolio_model))]
            folios,
            #[cfg(not(refolio_model))]
            others: hints.len().wrapping_neg(),
            bytes: frame::Near::of(&core.frames),
        }
    }
}

/// A cache, in a handle.
///
/// # Invariants
/// `near` is of `core`, whose hints, descriptors and frames stay where they are: the hints right before
/// the descriptors (see [`Hints::new`](crate::hint::Hints::new)).
#[derive(Debug)]
pub(crate) struct AtHand {
    core: Arc<Core>,
    near: Near,
}

// SAFETY: the addresses are of what `core` has, which is both.
unsafe impl Send for AtHand {}
// SAFETY: as above.
unsafe impl Sync for AtHand {}

impl AtHand {
    /// This cache.
    pub fn new(core: Arc<Core>) -> Self {
        Self { near: Near::of(&core), core }
    }

    /// Where the page may be.
    #[inline(always)]
    pub fn hinted(&self, page: Identity) -> Option<Hinted<'_>> {
        Hinted::of(&self.core, self.near, page)
    }
}

impl Deref for AtHand {
    type Target = Core;

    #[inline(always)]
    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// Where the page may be.
    #[inline(always)]
    pub fn hinted(&self, page: Identity) -> Option<Hinted<'_>> {
        Hinted::of(self, Near::of(self), page)
    }
}

/// The frame that a hint names, whatever is in it now.
///
/// # Invariants
/// It is a frame of `core`, which has a descriptor: hints are set to such frames only (see
/// [`Hints`](crate::hint::Hints)), and the hints of a cache are made for as many frames as it has.
/// `near` is of `core`.
#[derive(Clone, Copy)]
pub(crate) struct Hinted<'c> {
    core: &'c Core,
    near: Near,
    frame: FrameNo,
}

impl<'c> Hinted<'c> {
    #[cfg(refolio_model)]
    fn of(core: &'c Core, near: Near, page: Identity) -> Option<Self> {
        core.hints.get(page).map(|frame| Self { core, near, frame })
    }

    #[cfg(not(refolio_model))]
    #[inline(always)]
    fn of(core: &'c Core, near: Near, page: Identity) -> Option<Self> {
        let from_end = (page.number() as usize | near.others) as isize;
        // SAFETY: one of the hints, which stand before the first descriptor and last as long as `core`.
        let hint = unsafe { &*near.folios.cast::<AtomicU32>().offset(from_end) };
        // Relaxed: see the head of `hint.rs`.
        Some(Self { core, near, frame: FrameNo(hint.load(Relaxed)) })
    }

    /// Where its bytes are.
    #[inline(always)]
    pub fn address(self) -> Address {
        Address::new(self.frame, self.near.bytes.address(&self.core.frames, self.frame))
    }

    /// The descriptor of the frame.
    #[inline(always)]
    pub fn folio(self) -> &'c Folio {
        #[cfg(refolio_model)]
        return self.core.folio(self.frame);
        // SAFETY: the frame has a descriptor (invariants), which lasts as long as `core`.
        #[cfg(not(refolio_model))]
        unsafe {
            &*self.near.folios.add(self.frame.0 as usize)
        }
    }

    /// Copies bytes of the frame, as they may be, torn where a writer is at work.
    ///
    /// # Panics
    /// If they are not all of this frame.
    #[inline(always)]
    pub fn read(self, within: usize, into: &mut [u8]) {
        assert!(within <= PAGE_SIZE && into.len() <= PAGE_SIZE - within, "bytes of one frame");
        // SAFETY: bytes of one frame, as was just seen, and it is one of the cache's (invariants).
        unsafe { self.near.bytes.read(&self.core.frames, self.frame, within, into) }
    }

    /// The folio, with a reference, if it begins with this page, is up to date, and nothing stands in
    /// the way.
    #[inline]
    pub fn get(self, page: Identity) -> Option<FolioRef<'c>> {
        let folio = self.folio();
        let is_it = || folio.is(page) || broken("hint-believed");
        if !folio.state.try_get_readable(is_it) {
            return None;
        }
        reached("by its hint");
        Some(FolioRef { core: self.core, frame: self.frame, folio })
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::units::PageIndex;

    #[test]
    fn a_hint_is_followed_from_where_it_was_set_and_to_the_descriptor_and_the_bytes() {
        for frames in [1, 2, 3, 8, 9, 1000, 5 << 10] {
            let core = assemble(&[NodeOptions::new(frames * PAGE_SIZE as u64)], false).unwrap();
            let core = AtHand::new(Arc::new(core));
            for (file, index) in [(1, 0), (1, 7), (2, 0), (2, 12345), (40_000, 1 << 39)] {
                let page = Identity::new(file, PageIndex(index));
                for frame in [0, frames as u32 / 2, frames as u32 - 1].map(FrameNo) {
                    core.hints.set(page, 1, frame);
                    for hinted in [core.hinted(page), core.deref().hinted(page)] {
                        let hinted = hinted.unwrap();
                        assert_eq!(hinted.frame, frame);
                        assert!(std::ptr::eq(hinted.folio(), core.folio(frame)));
                        let address = Address::new(frame, core.frames.address(frame));
                        assert_eq!(hinted.address(), address);
                    }
                }
            }
            core.folios.all().iter().for_each(|folio| assert_eq!(folio.identity(), None));
        }
    }
}
