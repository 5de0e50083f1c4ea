//! A hint, followed. What limits reads of pages that are cached, but in no cache of the processor's,
//! is how many of them it has in flight, and that is how few loads each of them does. So the number of
//! a frame is compared with how many there are where a hint is set, not where it is followed.

#![allow(unsafe_code)] // The numbers of hints are of frames that exist, see `Hinted`.

use super::{Core, FolioRef};
use crate::folio::{Folio, Identity};
use crate::sync::{broken, reached};
use crate::units::{FrameNo, PAGE_SIZE};

/// The frame that a hint names, whatever is in it now.
///
/// # Invariants
/// It is a frame of `core`, which has a descriptor: hints are set to such frames only (see
/// [`Hints`](crate::hint::Hints)), and the hints of a cache are made for as many frames as it has.
#[derive(Clone, Copy)]
pub(crate) struct Hinted<'c> {
    core: &'c Core,
    frame: FrameNo,
}

impl Core {
    /// Where the page may be.
    #[inline(always)]
    pub fn hinted(&self, page: Identity) -> Option<Hinted<'_>> {
        self.hints.get(page).map(|frame| Hinted { core: self, frame })
    }
}

impl<'c> Hinted<'c> {
    /// The descriptor of the frame.
    #[inline(always)]
    pub fn folio(self) -> &'c Folio {
        // SAFETY: the frame has a descriptor (invariants).
        unsafe { self.core.folios.all.known(self.frame) }
    }

    /// Copies bytes of the frame, as they may be, torn where a writer is at work.
    ///
    /// # Panics
    /// If they are not all of this frame.
    #[inline(always)]
    pub fn read(self, within: usize, into: &mut [u8]) {
        assert!(within <= PAGE_SIZE && into.len() <= PAGE_SIZE - within, "bytes of one frame");
        // SAFETY: bytes of one frame, as was just seen, and it is one of the cache's (invariants).
        unsafe { self.core.frames.read_known(self.frame, within, into) }
    }

    /// Which frame it is.
    #[inline(always)]
    pub fn frame(self) -> FrameNo {
        self.frame
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
