//! The one place where the bytes of a frame become a slice.
#![allow(unsafe_code)] // The promise of `Frames::bytes` is kept by the invariant of `FolioRef`.

use crate::core::FolioRef;
use crate::units::{PAGE_SIZE, folio_bytes};

impl FolioRef<'_> {
    /// The bytes of the whole folio. They stand still while the reference lives.
    ///
    /// # Invariants
    /// Of a reference to a folio that is up to date (rule 1): the bytes change only while the folio
    /// is frozen, which it cannot be while this reference exists. The writer in place keeps the
    /// reference that it freezes to itself (`Exclusive`), and never calls this.
    #[inline]
    pub fn page_bytes(&self, page: u32, len: usize) -> &[u8] {
        assert!(len <= PAGE_SIZE && (page == 0 || page < self.folio().pages()), "of the folio");
        // SAFETY: as in `bytes`, of which these are a part.
        unsafe { self.core.frames.bytes(self.frame.add(page), len) }
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let len = folio_bytes(self.folio().order());
        // SAFETY: by the invariant above nobody writes to the frames of this folio while `self`
        // is borrowed; and the frames live as long as the cache, which outlives `self`.
        unsafe { self.core.frames.bytes(self.frame, len) }
    }
}
