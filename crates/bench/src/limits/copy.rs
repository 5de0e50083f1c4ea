//! Ways to copy memory, each of them as fast as it can: what a move is held against.
#![allow(unsafe_code)] // Intrinsics and raw copies are what is measured here.

use std::ptr;

/// A way to copy memory: from, to, length (a multiple of 64; both aligned to 64).
pub type Copier = unsafe fn(*const u8, *mut u8, usize);

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
