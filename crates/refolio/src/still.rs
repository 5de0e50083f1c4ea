//! The one place where the bytes of a frame become a slice.
#![allow(unsafe_code)] // The promise of `Frames::bytes` is kept by the invariant of `FolioRef`.

use crate::core::FolioRef;
use crate::units::folio_bytes;

impl FolioRef<'_> {
    /// The bytes of the whole folio. They stand still while the reference lives.
    ///
    /// # Invariants
    /// Of a reference to a folio that is up to date (rule 1): the bytes change only while the folio
    /// is frozen, which it cannot be while this reference exists. The writer in place keeps the
    /// reference that it freezes to itself (`Exclusive`), and never calls this.
    pub fn bytes(&self) -> &[u8] {
        let len = folio_bytes(self.folio().order());
        // SAFETY: by the invariant above nobody writes to the frames of this folio while `self`
        // is borrowed; and the frames live as long as the cache, which outlives `self`.
        unsafe { self.core.frames.bytes(self.frame, len) }
    }
}
