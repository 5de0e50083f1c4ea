//! The one place where the bytes of a frame become a slice.
#![allow(unsafe_code)] // The promise of `Frames::bytes` is kept by the invariant of `FolioRef`.

use std::mem;
use std::ops::Deref;
use std::slice;

use crate::core::{Core, FolioRef};
use crate::folio::Folio;
use crate::units::{FrameNo, PAGE_SIZE, folio_bytes};

impl FolioRef<'_> {
    /// The bytes of the whole folio. They stand still while the reference lives.
    ///
    /// # Invariants
    /// Of a reference to a folio that is up to date (rule 1): the bytes change only while the folio
    /// is frozen, which it cannot be while this reference exists. The writer in place keeps the
    /// reference that it freezes to itself (`Exclusive`), and never calls this.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let len = folio_bytes(self.folio().order());
        // SAFETY: by the invariant above nobody writes to the frames of this folio while `self`
        // is borrowed; and the frames live as long as the cache, which outlives `self`.
        unsafe { self.core.frames.bytes(self.frame, len) }
    }
}

/// A page of a folio, with the reference that makes its bytes stand still.
///
/// # Invariants
/// It owns a reference to `folio`, of which holds what [`FolioRef::bytes`] says; the `len` bytes from
/// `at` on are within one page of that folio.
#[derive(Debug)]
pub(crate) struct StillPage<'c> {
    pub core: &'c Core,
    pub folio: &'c Folio,
    /// Which of the folio's pages.
    page: u32,
    /// Where its bytes are, and how many: worked out once, since a pin is taken to be looked at.
    len: u32,
    at: *const u8,
}

// SAFETY: to read bytes that stand still, through a shared reference, is safe on every thread; the
// other fields are `Sync`.
unsafe impl Sync for StillPage<'_> {}

/// Where the bytes of a frame are, whatever they are now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    frame: FrameNo,
    at: *const u8,
}

impl Address {
    #[inline(always)]
    pub fn of(core: &Core, frame: FrameNo) -> Self {
        Self { frame, at: core.frames.address(frame) }
    }
}

impl<'c> StillPage<'c> {
    /// The first `len` bytes of a page of the folio.
    pub fn new(folio: FolioRef<'c>, page: u32, len: usize) -> Self {
        assert!(page < folio.folio.pages() && len <= PAGE_SIZE, "of the folio");
        let Address { at, .. } = Address::of(folio.core, folio.frame.add(page));
        Self::own(folio, page, len as u32, at)
    }

    /// All of the first page of the folio, whose address is known.
    #[inline(always)]
    pub fn whole(folio: FolioRef<'c>, address: Address) -> Self {
        assert_eq!(folio.frame, address.frame);
        Self::own(folio, 0, PAGE_SIZE as u32, address.at)
    }

    /// The reference is this page's from now on.
    #[inline(always)]
    fn own(folio: FolioRef<'c>, page: u32, len: u32, at: *const u8) -> Self {
        let (core, descriptor) = (folio.core, folio.folio);
        mem::forget(folio);
        Self { core, folio: descriptor, page, len, at }
    }

    /// The frame that the page is in.
    pub fn frame(&self) -> FrameNo {
        self.core.folios.frame_of(self.folio).add(self.page)
    }
}

impl Drop for StillPage<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.core.after_put(self.folio, self.folio.state.put_many(1));
    }
}

impl Deref for StillPage<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes are there and stand still while the reference exists (invariants), and
        // it does while `self` is borrowed.
        unsafe { slice::from_raw_parts(self.at, self.len as usize) }
    }
}
