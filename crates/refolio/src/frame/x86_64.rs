//! Copies between the program's own bytes and frames on x86-64, as inline assembly.
//!
//! In Rust's memory model an instruction here stands for relaxed atomic accesses of single bytes:
//! the processor gives no less (no byte tears, `mov` and string instructions keep their order
//! with the atomics around them), and the compiler, which sees none of it, assumes no more. *Every*
//! access to a frame goes through this file, so accesses of different sizes, which the model
//! forbids to race, never meet.

#![allow(unsafe_code)] // The room of frame bytes: see `super`.

use std::arch::asm;

/// Up to this many bytes are moved by single instructions; a string instruction, which takes
/// some ten nanoseconds to get going, moves more.
const FEW: usize = 256;

/// The smallest copy between frames that goes around the caches.
const STREAMED: usize = 64;

/// Reads `into.len()` bytes of a frame.
///
/// # Safety
/// The bytes from `from` on are frame bytes, readable for as long as the call takes.
#[inline(always)]
pub(super) unsafe fn load(from: *const u8, into: &mut [u8]) {
    let (to, len) = (into.as_mut_ptr(), into.len());
    // SAFETY: `from` is readable for `len` bytes, as the caller promises, and `to` is ours to
    // write for as many; every `at` below ends at `len` or before.
    unsafe {
        match len {
            0..4 => (0..len).for_each(|at| to.add(at).write(load_u8(from.add(at)))),
            4..8 => [0, len - 4].into_iter().for_each(|at| {
                to.add(at).cast::<u32>().write_unaligned(load_u32(from.add(at)));
            }),
            8..=FEW => {
                let word = |at| to.add(at).cast::<u64>().write_unaligned(load_u64(from.add(at)));
                (0..len / 8).for_each(|i| word(i * 8));
                if len % 8 != 0 {
                    word(len - 8);
                }
            }
            _ => string_copy(from, to, len),
        }
    }
}

/// Writes `from` to a frame.
///
/// # Safety
/// The bytes from `to` on are frame bytes, writable for as long as the call takes, and no slice
/// of them is alive.
#[inline(always)]
pub(super) unsafe fn store(from: &[u8], to: *mut u8) {
    let (from, len) = (from.as_ptr(), from.len());
    // SAFETY: as in `load`, the other way round. A byte that two words cover is written twice,
    // with the same value.
    unsafe {
        match len {
            0..4 => (0..len).for_each(|at| store_u8(to.add(at), from.add(at).read())),
            4..8 => [0, len - 4].into_iter().for_each(|at| {
                store_u32(to.add(at), from.add(at).cast::<u32>().read_unaligned());
            }),
            8..=FEW => {
                let word = |at| store_u64(to.add(at), from.add(at).cast::<u64>().read_unaligned());
                (0..len / 8).for_each(|i| word(i * 8));
                if len % 8 != 0 {
                    word(len - 8);
                }
            }
            _ => string_copy(from, to, len),
        }
    }
}

/// Writes `len` zeros to a frame.
///
/// # Safety
/// As for [`store`].
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: `to` is writable for `len` bytes, as the caller promises. The direction flag is
    // clear wherever Rust code runs.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") 0_u8,
            options(nostack, preserves_flags));
    }
}

/// Copies frames to frames. The destination does not go through the caches: nobody has asked for
/// the copy yet, and what it would displace is in use.
///
/// # Safety
/// [`load`]'s for `from` and [`store`]'s for `to`; the two do not overlap.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let whole = len.is_multiple_of(STREAMED) && to.addr().is_multiple_of(STREAMED);
    if whole && len != 0 && is_x86_feature_detected!("avx512f") {
        // SAFETY: the caller's promise; the processor has the instructions.
        unsafe { stream(from, to, len) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { string_copy(from, to, len) }
    }
}

/// Copies by non-temporal stores of whole cache lines.
///
/// # Safety
/// As for [`copy`]; `len` is a multiple of 64 above 0, `to` is aligned to 64.
#[target_feature(enable = "avx512f")]
unsafe fn stream(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access lies within `len` of either side. `sfence` orders the streaming
    // stores before the release that publishes the copy. Registers from 16 up leave no upper
    // halves behind that would slow older vector code down.
    unsafe {
        asm!(
            "2:",
            "vmovdqu64 zmm16, [{from} + {at}]",
            "vmovntdq [{to} + {at}], zmm16",
            "add {at}, 64",
            "cmp {at}, {len}",
            "jb 2b",
            "sfence",
            from = in(reg) from, to = in(reg) to, len = in(reg) len, at = inout(reg) 0_usize => _,
            out("xmm16") _, options(nostack),
        );
    }
}

/// # Safety
/// `from` is readable and `to` writable for `len` bytes; one of them at least is frame bytes.
#[inline(always)]
unsafe fn string_copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The direction flag is clear wherever Rust code runs.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags));
    }
}

/// The single accesses: a load and a store of one width.
macro_rules! access {
    ($load:ident, $store:ident, $int:ty, $class:ident, $mov_in:literal, $mov_out:literal) => {
        /// # Safety
        /// As for [`load`].
        #[inline(always)]
        unsafe fn $load(from: *const u8) -> $int {
            let value;
            // SAFETY: the caller's promise.
            unsafe {
                asm!($mov_in, value = out($class) value, from = in(reg) from,
                    options(nostack, preserves_flags, readonly));
            }
            value
        }

        /// # Safety
        /// As for [`store`].
        #[inline(always)]
        unsafe fn $store(to: *mut u8, value: $int) {
            // SAFETY: the caller's promise.
            unsafe {
                asm!($mov_out, value = in($class) value, to = in(reg) to,
                    options(nostack, preserves_flags));
            }
        }
    };
}

access!(load_u64, store_u64, u64, reg, "mov {value}, [{from}]", "mov [{to}], {value}");
access!(load_u32, store_u32, u32, reg, "mov {value:e}, [{from}]", "mov [{to}], {value:e}");
access!(load_u8, store_u8, u8, reg_byte, "mov {value}, [{from}]", "mov [{to}], {value}");
