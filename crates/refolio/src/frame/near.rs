//! Where the bytes of all frames are, and by which registers they are copied, in one word: for
//! whoever has it at hand, and need not load it from where the frames are kept.

#![allow(unsafe_code)] // Copies without a look at where they are from: the promise of the room.

use super::Frames;
#[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
use super::{
    byte,
    x86_64::{self, Width},
};
use crate::units::FrameNo;
#[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
use crate::units::PAGE_SIZE;

/// # Invariants
/// The address of the first frame, plus the width, which is in bits that are none of an address of a
/// frame. (Where copies are not by registers, nothing.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near(
    #[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))] *const u8,
);

/// Copies are by 64 bytes.
#[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
const WIDEST: usize = 2;

/// Copies are by 32 bytes.
#[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
const WIDE: usize = 1;

#[cfg(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan))))]
impl Near {
    /// Of these frames.
    pub fn of(frames: &Frames) -> Self {
        let width = match frames.arena.width {
            Width::Avx512 => WIDEST,
            Width::Avx => WIDE,
            Width::Sse => 0,
        };
        Self(frames.address(FrameNo(0)).map_addr(|at| at | width))
    }

    /// [`Frames::address`].
    #[inline(always)]
    pub fn address(self, _frames: &Frames, frame: FrameNo) -> *const u8 {
        self.0.wrapping_add(byte(frame)).map_addr(|at| at & !(PAGE_SIZE - 1))
    }

    /// [`Frames::read`] of bytes of one frame.
    ///
    /// # Safety
    /// It is a frame of `frames`, of which this is, and the bytes are in it.
    #[inline(always)]
    pub unsafe fn read(self, _frames: &Frames, frame: FrameNo, offset: usize, into: &mut [u8]) {
        let (at, to, len) = (byte(frame) + offset, into.as_mut_ptr(), into.len());
        // SAFETY: in the arena, as the caller promises; `into` is not.
        unsafe {
            // Of the usual width one instruction finds out, and takes it off.
            if self.0.addr() & WIDEST != 0 {
                x86_64::copy(self.0.wrapping_sub(WIDEST).wrapping_add(at), to, len, Width::Avx512);
            } else {
                let width = if self.0.addr() & WIDE != 0 { Width::Avx } else { Width::Sse };
                let first = self.0.map_addr(|at| at & !WIDE);
                x86_64::copy(first.wrapping_add(at), to, len, width);
            }
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", not(any(refolio_model, miri, refolio_tsan)))))]
impl Near {
    /// Of these frames.
    pub fn of(_frames: &Frames) -> Self {
        Self()
    }

    /// [`Frames::address`].
    pub fn address(self, frames: &Frames, frame: FrameNo) -> *const u8 {
        frames.address(frame)
    }

    /// [`Frames::read`] of bytes of one frame.
    ///
    /// # Safety
    /// It looks all the same.
    pub unsafe fn read(self, frames: &Frames, frame: FrameNo, offset: usize, into: &mut [u8]) {
        frames.read(frame, offset, into);
    }
}
