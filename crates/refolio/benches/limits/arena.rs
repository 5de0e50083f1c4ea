//! Bare memory, and what the machine does with it at best: the limits. With `bare.rs` the files of
//! this bench with `unsafe` in them.
#![allow(unsafe_code)] // Mapped memory without any protocol is what is measured here.

use std::ptr;

use refolio::PAGE_SIZE;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Bytes of a large page.
pub const HUGE: usize = 2 << 20;

/// Memory on huge pages where the system has any, all of it touched.
///
/// # Invariants
/// `len` bytes from `base` on lie in the mapping of `len + HUGE` bytes at `map`, which is private,
/// readable, writable and nobody else's.
#[derive(Debug)]
pub struct Arena {
    map: *mut u8,
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Arena {}

/// A way to copy memory: from, to, length (a multiple of 64; both aligned to 64).
pub type Copier = unsafe fn(*const u8, *mut u8, usize);

impl Arena {
    /// Takes memory, and writes something to every page.
    pub fn new(len: usize) -> Self {
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let map = unsafe {
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(ptr::null_mut(), len + HUGE, prot, MapFlags::PRIVATE)
        };
        let map = map.expect("memory for the bare arena").cast::<u8>();
        let base = map.wrapping_add(map.addr().next_multiple_of(HUGE) - map.addr());
        let arena = Self { map, base, len };
        // SAFETY: our own mapping; the advice does not change what it holds.
        let _ = unsafe { madvise(base.cast(), len, Advice::LinuxHugepage) };
        for at in (0..len).step_by(8) {
            // SAFETY: within the mapping (invariants), aligned.
            unsafe { base.add(at).cast::<u64>().write(crate::resident::word(at as u64 / 8)) };
        }
        arena
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Copies `len` bytes that are whole pages.
    #[inline(always)]
    pub fn copy(&mut self, copier: Copier, from: usize, to: usize, len: usize) {
        assert!(from.max(to) + len <= self.len && from.abs_diff(to) >= len);
        assert!([from, to, len].iter().all(|n| n.is_multiple_of(PAGE_SIZE)));
        // SAFETY: within the mapping, disjoint and aligned, as was checked.
        unsafe { copier(self.base.add(from), self.base.add(to), len) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping, which nobody can reach any more.
        let _ = unsafe { munmap(self.map.cast(), self.len + HUGE) };
    }
}

/// All ways to copy that this machine knows; the first one is `memcpy`.
pub fn copiers() -> Vec<(&'static str, Copier)> {
    let mut all: Vec<(&'static str, Copier)> = vec![("memcpy", memcpy)];
    #[cfg(target_arch = "x86_64")]
    {
        all.push(("rep movsb", x86_64::string));
        all.push(("SSE2 streaming stores", x86_64::stream_16));
        if is_x86_feature_detected!("avx512f") {
            all.push(("AVX-512 streaming stores", x86_64::stream_64));
            all.push(("AVX-512 streaming stores, half loads", x86_64::stream_halves));
        }
    }
    all
}

/// # Safety
/// Readable, writable, disjoint: for all copiers.
unsafe fn memcpy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, len) }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    /// # Safety
    /// As for `memcpy`.
    pub unsafe fn string(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the caller's promise; the direction flag is clear in Rust code.
        unsafe {
            asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
                options(nostack, preserves_flags));
        }
    }

    /// # Safety
    /// As for `memcpy`; aligned to 64, and a multiple of 64.
    pub unsafe fn stream_16(from: *const u8, to: *mut u8, len: usize) {
        for at in (0..len).step_by(16) {
            // SAFETY: the caller's promise.
            unsafe { _mm_stream_si128(to.add(at).cast(), _mm_load_si128(from.add(at).cast())) };
        }
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() };
    }

    /// # Safety
    /// As for `stream_16`; the processor has AVX-512.
    pub unsafe fn stream_64(from: *const u8, to: *mut u8, len: usize) {
        #[target_feature(enable = "avx512f")]
        unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
            for at in (0..len).step_by(64) {
                // SAFETY: the caller's promise.
                unsafe {
                    _mm512_stream_si512(to.add(at).cast(), _mm512_load_si512(from.add(at).cast()));
                }
            }
            _mm_sfence();
        }
        // SAFETY: the caller's promise.
        unsafe { copy(from, to, len) }
    }

    /// # Safety
    /// As for `stream_64`.
    pub unsafe fn stream_halves(from: *const u8, to: *mut u8, len: usize) {
        #[target_feature(enable = "avx512f")]
        unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
            for at in (0..len).step_by(64) {
                // SAFETY: the caller's promise.
                unsafe {
                    let low = _mm256_load_si256(from.add(at).cast());
                    let high = _mm256_load_si256(from.add(at + 32).cast());
                    let line = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
                    _mm512_stream_si512(to.add(at).cast(), line);
                }
            }
            _mm_sfence();
        }
        // SAFETY: the caller's promise.
        unsafe { copy(from, to, len) }
    }
}
