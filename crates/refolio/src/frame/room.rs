//! Room for arrays that have an element for each frame.
//!
//! They are looked into at random, as the frames are: on huge pages, so that it does not take a
//! miss of the TLB each time.

#![allow(unsafe_code)] // A call of `madvise(2)`, which changes no byte, and looks without a comparison.

use std::ops::Deref;

use crate::units::FrameNo;
#[cfg(not(any(miri, refolio_model)))]
use crate::units::{MAX_ORDER, folio_bytes};

/// An empty vector with room for `len` elements, on huge pages where it spans some and the kernel
/// finds them; None when there is no memory for it.
#[doc(alias = "MADV_HUGEPAGE")]
pub(crate) fn vec_with_room<T>(len: usize) -> Option<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).ok()?;
    #[cfg(not(any(miri, refolio_model)))]
    {
        let room = vec.spare_capacity_mut().as_mut_ptr_range();
        let huge = folio_bytes(MAX_ORDER);
        let skip = room.start.cast::<u8>().align_offset(huge);
        let end = room.end.addr() / huge * huge;
        if let Some(start) = room.start.addr().checked_add(skip)
            && start < end
        {
            let at = room.start.cast::<u8>().wrapping_add(skip).cast();
            // SAFETY: whole pages inside the vector's room; the advice does not change what they
            // hold, only from where the kernel takes their memory.
            let advised =
                unsafe { rustix::mm::madvise(at, end - start, rustix::mm::Advice::LinuxHugepage) };
            // Base pages do as well, only slower.
            let _ = advised;
        }
    }
    Some(vec)
}

/// One element for each frame.
#[derive(Debug)]
pub(crate) struct PerFrame<T>(Vec<T>);

impl<T> PerFrame<T> {
    /// Of so many frames; None when there is no memory.
    pub fn new(frames: usize, new: impl Fn() -> T) -> Option<Self> {
        let mut all = vec_with_room(frames)?;
        all.extend((0..frames).map(|_| new()));
        Some(Self(all))
    }

    /// The element of a frame that has one.
    ///
    /// # Safety
    /// There is such a frame. (Models look all the same.)
    #[inline(always)]
    pub unsafe fn known(&self, frame: FrameNo) -> &T {
        if cfg!(refolio_model) {
            return &self.0[frame.0 as usize];
        }
        // SAFETY: the caller's promise.
        unsafe { self.0.get_unchecked(frame.0 as usize) }
    }
}

impl<T> Deref for PerFrame<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Elements around a circle: number n is the same as n plus as many as there are. So every number is
/// one, and a look needs no comparison.
///
/// # Invariants
/// There are `last + 1` of them, a power of two.
#[derive(Debug)]
pub(crate) struct Around<T> {
    elements: Vec<T>,
    last: usize,
}

impl<T> Around<T> {
    /// So many at least, and one in any case; None when there is no memory.
    pub fn new(at_least: usize, new: impl Fn() -> T) -> Option<Self> {
        let len = at_least.checked_next_power_of_two()?;
        let mut elements = vec_with_room(len)?;
        elements.extend((0..len).map(|_| new()));
        Some(Self { elements, last: len - 1 })
    }

    /// The element of that number.
    #[inline]
    pub fn get(&self, number: u64) -> &T {
        // SAFETY: at most `last`, and there is one more than that (invariants).
        unsafe { self.elements.get_unchecked(number as usize & self.last) }
    }
}
