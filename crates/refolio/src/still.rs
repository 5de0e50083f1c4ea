//! The one place where the bytes of a frame become a slice.
#![allow(unsafe_code)] // The promise of `Frames::bytes` is kept by the invariant of `FolioRef`.

use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

#[cfg(not(refolio_model))]
use crate::core::all;
use crate::core::{Core, FolioRef};
use crate::folio::Folio;
use crate::folio::state::Put;
use crate::holder::Hold;
#[cfg(not(refolio_model))]
use crate::holder::UNNAMED;
use crate::units::{FrameNo, NodeId, PAGE_SIZE, folio_bytes};

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

/// A page of a folio, with the reference that makes its bytes stand still, and the hold that says so.
///
/// It is two words, each of which travels in a register, wherever a caller hands it on. In more of them
/// it would be stored to memory word by word, and copied from there in larger pieces, which wait until
/// the stores are done, and those wait for the locked instruction before them, which took the reference:
/// a pin that a function returned took four times as long.
///
/// # Invariants
/// - It owns a reference to a folio, of which holds what [`FolioRef::bytes`] says, and whose cache lasts
///   while `'c` does. `tagged` is the address of its descriptor, plus the number of the hold.
/// - `last` is within a page of that folio; the bytes of that page up to there are the file's.
#[derive(Debug)]
pub(crate) struct StillPage<'c> {
    last: *const u8,
    tagged: NonNull<u8>,
    /// As its hold, it does not leave its thread.
    of: PhantomData<(&'c Core, Hold<false>)>,
}

/// Bits of a descriptor's address that are none: they have room for the number of a hold.
const TAG: usize = align_of::<Folio>() - 1;

#[cfg(not(refolio_model))]
const _: () = assert!(UNNAMED as usize <= TAG);

// SAFETY: to read bytes that stand still, through a shared reference, is safe on every thread; the
// folio's descriptor, and its cache, are `Sync`.
unsafe impl Sync for StillPage<'_> {}

/// Where the bytes of a frame begin, whatever they are now: worked out before a reference is taken,
/// since what stands behind that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    frame: FrameNo,
    first: *const u8,
}

impl Address {
    #[inline(always)]
    pub fn new(frame: FrameNo, first: *const u8) -> Self {
        Self { frame, first }
    }
}

impl<'c> StillPage<'c> {
    /// The first `len` bytes of a page of the folio, one at least.
    pub fn new(folio: FolioRef<'c>, page: u32, len: usize, hold: Hold<false>) -> Self {
        assert!(page < folio.folio.pages() && 0 < len && len <= PAGE_SIZE, "of the folio");
        let first = folio.core.frames.address(folio.frame.add(page));
        Self::own(folio, first, len, hold)
    }

    /// All of the first page of the folio, whose address is known.
    #[inline(always)]
    pub fn whole(folio: FolioRef<'c>, address: Address, hold: Hold<false>) -> Self {
        assert_eq!(folio.frame, address.frame);
        Self::own(folio, address.first, PAGE_SIZE, hold)
    }

    /// Reference and hold are this page's from now on.
    #[inline(always)]
    fn own(folio: FolioRef<'c>, first: *const u8, len: usize, hold: Hold<false>) -> Self {
        let descriptor = NonNull::from(folio.folio).cast::<u8>();
        mem::forget(folio);
        let tagged = descriptor.map_addr(|at| at | usize::from(hold.into_number()));
        Self { last: first.wrapping_add(len - 1), tagged, of: PhantomData }
    }

    /// The folio that has the page.
    #[inline(always)]
    pub fn folio(&self) -> &'c Folio {
        let descriptor = self.tagged.as_ptr().cast_const().map_addr(|at| at & !TAG);
        // SAFETY: the descriptor of a folio, in a cache that lasts (invariants).
        unsafe { &*descriptor.cast::<Folio>() }
    }

    /// The frame that the page is in.
    pub fn frame(&self) -> FrameNo {
        core_of(self.folio()).frames.frame_at(self.last)
    }

    /// The node that it is on.
    pub fn node(&self) -> NodeId {
        let core = core_of(self.folio());
        core.node_of(core.frames.frame_at(self.last)).id
    }
}

/// The cache of a folio that is pinned.
fn core_of(_folio: &Folio) -> Arc<Core> {
    #[cfg(refolio_model)]
    unreachable!("models have references instead of pins");
    #[cfg(not(refolio_model))]
    all::of(_folio).unwrap_or_else(|| unreachable!("a cache outlives its pins"))
}

/// What is left to do after a pin. (It takes no reference to the pin, which would have it in memory.)
#[cold]
fn after_put(folio: &Folio, put: Put) {
    core_of(folio).after_put(folio, put);
}

impl Drop for StillPage<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.folio().state.put_many(1) {
            Put::Others { wake: false } => {}
            put => after_put(self.folio(), put),
        }
        drop(Hold::<false>::of_number((self.tagged.addr().get() & TAG) as u8));
    }
}

impl Deref for StillPage<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        let first = self.last.map_addr(|last| last & !(PAGE_SIZE - 1));
        // SAFETY: these bytes are there and stand still while the reference exists (invariants), and
        // it does while `self` is borrowed.
        unsafe { slice::from_raw_parts(first, self.last.addr() - first.addr() + 1) }
    }
}
