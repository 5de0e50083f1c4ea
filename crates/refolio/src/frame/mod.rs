//! Frames: the raw bytes of all nodes of a cache.
//!
//! One reservation of address space holds them all, so that a frame's bytes are one
//! multiplication away from its number. What a frame holds, for whom, and whether it may be
//! looked at, is not known here; the folio's word says that (rules 3 and 7).
//!
//! **Readers race with writers by design.** An optimistic reader takes no reference: it copies
//! bytes out while they may be overwritten, looks at the folio's version afterwards, and throws
//! torn bytes away. So neither side may use plain accesses, nor `&` or `&mut`. All copies in and
//! out are relaxed atomic: by inline assembly on x86-64 (`x86_64.rs`), elsewhere word by word
//! (`words.rs`). What orders them is the caller's: a writer changes the version before and after,
//! with a Release fence behind the first change and Release on the second; a reader loads the
//! version with Acquire, copies, and has an Acquire fence before it loads the version again.
//!
//! Plain slices exist only where the protocol makes the bytes stand still ([`Frames::bytes`]).

#[cfg(not(refolio_model))]
mod arena;
#[cfg(refolio_model)]
#[path = "model.rs"]
mod arena;
mod fill;
mod near;
mod reserve;
mod room;
#[cfg(test)]
mod tests;
#[cfg(any(test, refolio_model, not(target_arch = "x86_64"), miri, refolio_tsan))]
mod words;
#[cfg(all(target_arch = "x86_64", not(refolio_model), not(any(miri, refolio_tsan))))]
mod x86_64;

pub use fill::FillBuf;
pub(crate) use near::Near;
pub(crate) use reserve::Run;
pub use reserve::{Backing, HugeBacking, HugePages, NumaBacking, ReserveError};
pub(crate) use room::{Part, side_by_side, vec_with_room};

use crate::units::{FrameNo, PAGE_SIZE};
use arena::Arena;
use std::io;
use std::os::fd::BorrowedFd;

/// The bytes of all frames of all nodes.
///
/// # Panics
/// Every method panics where it is told to leave the reservation.
pub(crate) struct Frames {
    arena: Arena,
    first: Vec<FrameNo>,
}

impl Frames {
    /// Reserves the frames of all `runs`, in this order, and says how each is backed. Takes
    /// address space only; memory comes when a frame is first written.
    ///
    /// # Errors
    /// If there are more frames than frame numbers, or than the machine has memory for, or if the
    /// kernel refuses the reservation.
    pub fn new(runs: &[Run]) -> Result<(Self, Vec<Backing>), ReserveError> {
        let (first, frames) = reserve::lay_out(runs)?;
        let bytes = frames as usize * PAGE_SIZE;
        let arena =
            Arena::reserve(bytes).map_err(|source| ReserveError::Refused { bytes, source })?;
        let place = |(run, first): (&Run, &FrameNo)| arena.place(byte(*first), run);
        let backings = runs.iter().zip(&first).map(place).collect();
        Ok((Self { arena, first }, backings))
    }

    /// Names the words in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        self.arena.christen();
    }

    /// The first frame of run `run`: a multiple of the largest folio.
    pub fn first_frame(&self, run: usize) -> FrameNo {
        self.first[run]
    }

    /// Copies the bytes from `offset` of `frame` on, perhaps into the frames that follow. They may
    /// be torn where a writer is at work: the caller looks at the folio's version afterwards.
    #[inline]
    pub fn read(&self, frame: FrameNo, offset: usize, into: &mut [u8]) {
        self.arena.load(byte(frame) + offset, into);
    }

    /// Has the byte at `offset` of `frame` brought to the processor's caches.
    #[inline]
    pub fn prefetch(&self, frame: FrameNo, offset: usize) {
        self.arena.prefetch(byte(frame) + offset);
    }

    /// Writes bytes from `offset` of `frame` on. The caller is the only writer.
    #[inline]
    pub fn write(&self, frame: FrameNo, offset: usize, from: &[u8]) {
        self.write_at(byte(frame) + offset, from);
    }

    /// Writes `len` zeros from `offset` of `frame` on. The caller is the only writer.
    pub fn zero(&self, frame: FrameNo, offset: usize, len: usize) {
        self.zero_at(byte(frame) + offset, len);
    }

    /// Copies the bytes of a folio to another one, of which the caller is the only writer. They are
    /// on their way when this returns: many copies can be.
    #[doc(alias = "folio_copy")]
    pub fn copy(&self, from: FrameNo, to: FrameNo, len: usize) -> Streams {
        self.arena.copy(byte(from), byte(to), len);
        Streams(())
    }

    /// The bytes of a folio in place. (Under the model checker: a copy of them as they are now.)
    ///
    /// # Safety
    /// Nothing writes these bytes while the slice lives: the caller holds a reference (rule 1) or
    /// the folio is under writeback.
    #[allow(unsafe_code)] // The promise of the room above, handed on.
    #[inline]
    pub unsafe fn bytes(&self, frame: FrameNo, len: usize) -> &[u8] {
        // SAFETY: the caller's promise.
        unsafe { self.arena.bytes(byte(frame), len) }
    }

    /// Where the bytes of a frame are, whatever they are now: within the reservation, if the frame
    /// is one of its own (of others the address means nothing).
    #[inline]
    pub fn address(&self, frame: FrameNo) -> *const u8 {
        self.arena.address(byte(frame))
    }

    /// Which frame has the byte at this address, which is one of the reservation.
    pub fn frame_at(&self, address: *const u8) -> FrameNo {
        let at = address.addr() - self.address(FrameNo(0)).addr();
        FrameNo((at / PAGE_SIZE) as u32)
    }

    /// The bytes of a folio that nobody has been shown yet, of which the caller is the only writer.
    pub fn fill_buf(&self, frame: FrameNo, len: usize) -> FillBuf<'_> {
        FillBuf::new(self, byte(frame), len)
    }

    /// Gives the memory of `frames` frames back to the kernel; they hold zeros then. The caller is
    /// the only writer.
    ///
    /// # Errors
    /// `EINVAL` if the process has locked its memory (`mlockall(2)`): nothing has happened then.
    #[doc(alias = "madvise")]
    pub fn discard(&self, first: FrameNo, frames: u32) -> io::Result<()> {
        self.arena.discard(byte(first), frames as usize * PAGE_SIZE)
    }

    #[inline]
    fn write_at(&self, at: usize, from: &[u8]) {
        self.arena.store(at, from);
    }

    fn zero_at(&self, at: usize, len: usize) {
        self.arena.zero(at, len);
    }

    /// Where bytes are that the kernel is to write.
    #[cfg(not(refolio_model))]
    fn address_at(&self, at: usize, len: usize) -> *mut u8 {
        self.arena.room(at, len)
    }

    fn pread_at(
        &self,
        fd: BorrowedFd<'_>,
        at: usize,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        self.arena.pread(fd, at, len, offset)
    }
}

/// Copies of this thread that are on their way. Once it is dropped they are there, for whoever sees a
/// later Release store of this thread: before the destination is shown to anybody, or freed.
#[must_use]
#[derive(Debug, Default)]
#[cfg_attr(refolio_explore, derive(Hash))]
pub(crate) struct Streams(());

impl Drop for Streams {
    #[inline]
    fn drop(&mut self) {
        #[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
        x86_64::settle();
    }
}

/// Has what is at an address brought to the processor's caches, where that can be said.
#[inline]
pub(crate) fn prefetch<T>(_at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(refolio_model), not(any(miri, refolio_tsan))))]
    x86_64::prefetch(_at.cast());
}

/// Where a frame starts, counted from the start of the reservation.
#[inline]
fn byte(frame: FrameNo) -> usize {
    frame.0 as usize * PAGE_SIZE
}
