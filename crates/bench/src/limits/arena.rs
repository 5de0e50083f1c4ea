//! Bare memory, on large pages or on small ones.
#![allow(unsafe_code)] // Mapped memory without any protocol is what is measured here.

use std::ptr;

use refolio::PAGE_SIZE;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::copy::Copier;
use crate::error::{Error, Result};
use crate::resident;

/// Bytes of a large page.
pub const HUGE: usize = 2 << 20;

/// Memory, all of it touched.
///
/// # Invariants
/// `len` bytes from `base` on lie in the mapping of `len + HUGE` bytes at `map`, which is readable,
/// writable and nobody else's.
#[derive(Debug)]
pub struct Arena {
    map: *mut u8,
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping belongs to no thread; it is changed through `&mut` only.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// On large pages where the system has any, with the bytes of [`resident::page`].
    pub fn large(len: usize) -> Result<Self> {
        Self::new(len, Advice::LinuxHugepage, MapFlags::PRIVATE)
    }

    /// On small pages, with the same bytes.
    pub fn small(len: usize) -> Result<Self> {
        Self::new(len, Advice::LinuxNoHugepage, MapFlags::PRIVATE)
    }

    /// On small pages of the system's page cache, with the same bytes.
    pub fn shared(len: usize) -> Result<Self> {
        Self::new(len, Advice::LinuxNoHugepage, MapFlags::SHARED)
    }

    fn new(len: usize, advice: Advice, sharing: MapFlags) -> Result<Self> {
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let map = unsafe {
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(ptr::null_mut(), len + HUGE, prot, sharing)
        };
        let map = map.map_err(Error::while_("mapping memory to compare with"))?.cast::<u8>();
        let base = map.wrapping_add(map.addr().next_multiple_of(HUGE) - map.addr());
        let arena = Self { map, base, len };
        // SAFETY: our own mapping; the advice does not change what it holds. Without it, what the
        // system hands out unasked is measured.
        let _ = unsafe { madvise(base.cast(), len, advice) };
        for at in (0..len).step_by(8) {
            // SAFETY: within the mapping (invariants), aligned.
            unsafe { base.add(at).cast::<u64>().write(resident::word(at as u64 / 8)) };
        }
        Ok(arena)
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies `len` bytes that are whole pages.
    #[inline(always)]
    pub fn copy(&mut self, copier: Copier, from: usize, to: usize, len: usize) {
        assert!(from.max(to) + len <= self.len && from.abs_diff(to) >= len);
        assert!([from, to, len].iter().all(|n| n.is_multiple_of(PAGE_SIZE)));
        // SAFETY: within the mapping, disjoint and aligned, as was checked.
        unsafe { copier(self.base.add(from), self.base.add(to), len) }
    }

    /// Has the process map nothing of it until it is touched again. What is shared stays in the page
    /// cache; what is private would be zeros then.
    pub fn unmap(&mut self) -> Result<()> {
        // SAFETY: our own mapping, which nobody else looks at (`&mut`).
        unsafe { madvise(self.base.cast(), self.len, Advice::LinuxDontNeed) }
            .map_err(Error::while_("unmapping memory"))
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping, which nobody can reach any more.
        let _ = unsafe { munmap(self.map.cast(), self.len + HUGE) };
    }
}
