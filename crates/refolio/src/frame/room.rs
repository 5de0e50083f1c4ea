//! Room for arrays that have an element for each frame.
//!
//! They are looked into at random, as the frames are: on huge pages, so that it does not take a
//! miss of the TLB each time.

#![allow(unsafe_code)] // One call of `madvise(2)`, which changes no byte.

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
