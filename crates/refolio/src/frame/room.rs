//! Room for the arrays that say something about every frame.
//!
//! They are looked into at random, as the frames are: on huge pages, so that it does not take a
//! miss of the TLB each time.

#![allow(unsafe_code)] // Memory of our own, that two arrays share, and `madvise(2)` of it.

#[cfg(not(refolio_model))]
pub(crate) use part::{Part, side_by_side};

#[cfg(not(any(miri, refolio_model)))]
use crate::units::{MAX_ORDER, folio_bytes};

/// An empty vector with room for `len` elements, on huge pages where it spans some and the kernel
/// finds them; None when there is no memory for it.
pub(crate) fn vec_with_room<T>(len: usize) -> Option<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).ok()?;
    #[cfg(not(any(miri, refolio_model)))]
    {
        let room = vec.spare_capacity_mut().as_mut_ptr_range();
        advise(room.start.cast(), room.end.addr() - room.start.addr());
    }
    Some(vec)
}

/// Asks for huge pages, wherever there is room for whole ones. Base pages do as well, only slower.
#[doc(alias = "MADV_HUGEPAGE")]
#[cfg(not(any(miri, refolio_model)))]
fn advise(at: *mut u8, len: usize) {
    let huge = folio_bytes(MAX_ORDER);
    let skip = at.align_offset(huge);
    if let Some(len) = len.checked_sub(skip).map(|len| len / huge * huge).filter(|len| *len > 0) {
        let advice = rustix::mm::Advice::LinuxHugepage;
        // SAFETY: the advice does not change what the bytes hold, only from where the kernel takes their
        // memory.
        let _ = unsafe { rustix::mm::madvise(at.wrapping_add(skip).cast(), len, advice) };
    }
}

/// Models have a vector of each.
#[cfg(refolio_model)]
pub(crate) type Part<T> = Vec<T>;

/// Two arrays.
#[cfg(refolio_model)]
pub(crate) fn side_by_side<A, B>(
    first: (usize, fn() -> A),
    second: (usize, fn() -> B),
) -> Option<(Part<A>, Part<B>)> {
    let vec = (0..first.0).map(|_| first.1()).collect();
    Some((vec, (0..second.0).map(|_| second.1()).collect()))
}

#[cfg(not(refolio_model))]
mod part {
    use std::alloc::{Layout, alloc, dealloc};
    use std::fmt;
    use std::ops::Deref;
    use std::ptr::NonNull;
    use std::sync::Arc;

    use crate::units::{MAX_ORDER, folio_bytes};

    /// Memory that arrays share.
    ///
    /// # Invariants
    /// It was allocated with this layout, which is of one byte at least.
    struct Piece {
        at: NonNull<u8>,
        layout: Layout,
    }

    // SAFETY: it is memory, which belongs to no thread; who may touch it is for the parts to say.
    unsafe impl Send for Piece {}
    // SAFETY: as above.
    unsafe impl Sync for Piece {}

    impl Piece {
        fn new(layout: Layout) -> Option<Self> {
            assert!(layout.size() > 0);
            // SAFETY: of one byte at least, as was just seen.
            let at = NonNull::new(unsafe { alloc(layout) })?;
            #[cfg(not(miri))]
            super::advise(at.as_ptr(), layout.size());
            Some(Self { at, layout })
        }
    }

    impl Drop for Piece {
        fn drop(&mut self) {
            // SAFETY: it was allocated so (invariants), and this is the last that knows of it.
            unsafe { dealloc(self.at.as_ptr(), self.layout) }
        }
    }

    /// An array in a piece of memory, which it shares with another one.
    ///
    /// # Invariants
    /// `first` points to `len` elements that are there and stay there as long as the piece does, and are
    /// never written but through `&`. It was made of the pointer to all of the piece, and may be used
    /// for its other elements, too.
    pub(crate) struct Part<T> {
        first: NonNull<T>,
        len: usize,
        piece: Arc<Piece>,
    }

    // SAFETY: it is what a slice of them is (invariants), and nobody drops them.
    unsafe impl<T: Sync> Send for Part<T> {}
    // SAFETY: as above.
    unsafe impl<T: Sync> Sync for Part<T> {}

    impl<T> Part<T> {
        /// Where it begins: for the other part as well.
        #[inline(always)]
        pub fn first(&self) -> *const T {
            self.first.as_ptr()
        }

        /// `len` new elements, from `at` bytes of the piece on.
        ///
        /// # Safety
        /// The bytes are in the piece, aligned for them, and nothing else's.
        unsafe fn fill(piece: &Arc<Piece>, at: usize, len: usize, new: fn() -> T) -> Self {
            const { assert!(!std::mem::needs_drop::<T>()) }
            // SAFETY: within the piece, as the caller promises; so are all that are written, each once.
            let first = unsafe {
                let first = piece.at.add(at).cast::<T>();
                (0..len).for_each(|i| first.add(i).write(new()));
                first
            };
            Self { first, len, piece: piece.clone() }
        }
    }

    impl<T> Deref for Part<T> {
        type Target = [T];

        #[inline(always)]
        fn deref(&self) -> &[T] {
            // SAFETY: they are there, and nobody has a `&mut` of them (invariants).
            unsafe { NonNull::slice_from_raw_parts(self.first, self.len).as_ref() }
        }
    }

    impl<T> fmt::Debug for Part<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} of {} bytes", self.len, self.piece.layout.size())
        }
    }

    /// An array of so many new elements, and another one right behind it, on huge pages where they span
    /// some; None when there is no memory for them. So one address is enough to find both, if that is
    /// known how far the first one reaches back from it.
    pub(crate) fn side_by_side<A, B>(
        first: (usize, fn() -> A),
        second: (usize, fn() -> B),
    ) -> Option<(Part<A>, Part<B>)> {
        let (a, b) = (Layout::array::<A>(first.0).ok()?, Layout::array::<B>(second.0).ok()?);
        let align = a.align().max(b.align());
        let border = a.size().checked_next_multiple_of(align)?;
        let size = border.checked_add(b.size())?.max(1);
        let huge = if size < folio_bytes(MAX_ORDER) { align } else { folio_bytes(MAX_ORDER) };
        let piece = Arc::new(Piece::new(Layout::from_size_align(size, huge).ok()?)?);
        // SAFETY: all of one, up to the border, and all of the other, from there on: both are in the
        // piece. The border is aligned for both, and so is what is whole elements before it.
        unsafe {
            let before = Part::fill(&piece, border - a.size(), first.0, first.1);
            Some((before, Part::fill(&piece, border, second.0, second.1)))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::sync::Relaxed;
        use crate::sync::plain::{AtomicU32, AtomicU64};

        #[test]
        fn the_second_array_stands_right_behind_the_first_and_neither_is_in_the_other() {
            for (few, many) in [(0, 0), (0, 1), (1, 1), (3, 5), (8, 1000), (1 << 19, 1 << 19)] {
                let (a, b) = side_by_side(
                    (few, || AtomicU32::new(1)),
                    (many, || [AtomicU64::new(2), AtomicU64::new(3)]),
                )
                .unwrap();
                assert_eq!((a.len(), b.len()), (few, many));
                assert_eq!(a.as_ptr_range().end.addr(), b.first().addr());
                a.iter().for_each(|one| one.store(7, Relaxed));
                assert!(b.iter().all(|[x, y]| (x.load(Relaxed), y.load(Relaxed)) == (2, 3)));
                b.iter().for_each(|[x, _]| x.store(9, Relaxed));
                assert!(a.iter().all(|one| one.load(Relaxed) == 7));
                // The one that is left has its memory still.
                drop(b);
                assert!(a.iter().all(|one| one.load(Relaxed) == 7));
            }
        }

        #[test]
        fn what_there_is_no_memory_for_is_none() {
            let too_many = |n| side_by_side((n, || AtomicU32::new(0)), (1, || AtomicU64::new(0)));
            assert!(too_many(usize::MAX).is_none());
            assert!(too_many(isize::MAX as usize / 4).is_none());
        }
    }
}
