//! Copies into, out of and between frames on x86-64, as inline assembly.
//!
//! In Rust's memory model an instruction here stands for relaxed atomic accesses of single bytes.
//! The processor gives no less: no byte tears, and all but streaming stores keep their order with
//! the loads and stores around them; those get their fence. The compiler assumes no more, as it
//! sees none of it. And *every* access to a frame goes through this file, so accesses of
//! different sizes, which the model forbids to race, never meet.
//!
//! Copies are mostly of lines that no cache holds. What counts there is how many misses are on
//! their way at once, and so how few instructions stand between them: few and wide loads, all
//! before the first store.

#![allow(unsafe_code)] // The room of frame bytes: see `super`.

use std::arch::asm;
use std::hint::cold_path;

/// The load and store of 16 bytes, in the encoding that mixes well with the code around it.
#[cfg(target_feature = "avx")]
macro_rules! movups {
    () => {
        "vmovups"
    };
}
#[cfg(not(target_feature = "avx"))]
macro_rules! movups {
    () => {
        "movups"
    };
}

/// Copies the first and the last `$width` bytes of a range, which meet or overlap, by `$part` of
/// registers.
macro_rules! copy_ends {
    ($from:ident, $to:ident, $len:ident, $mov:expr, $class:ident, $width:literal, $part:expr) => {
        asm!(
            concat!($mov, " {a", $part, "}, [{from}]"),
            concat!($mov, " {b", $part, "}, [{from} + {len} - ", $width, "]"),
            concat!($mov, " [{to}], {a", $part, "}"),
            concat!($mov, " [{to} + {len} - ", $width, "], {b", $part, "}"),
            from = in(reg) $from, to = in(reg) $to, len = in(reg) $len,
            a = out($class) _, b = out($class) _, options(nostack, preserves_flags),
        )
    };
}

/// The widest registers to copy by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    /// 16 bytes: every x86-64 has them.
    Sse,
    /// 32 bytes.
    Avx,
    /// 64 bytes, 32 registers of them, and instructions for parts of these.
    Avx512,
}

impl Width {
    /// This processor's.
    pub fn here() -> Self {
        // The last includes "avx512f".
        match (is_x86_feature_detected!("avx"), is_x86_feature_detected!("avx512vl")) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx,
            (false, _) => Self::Sse,
        }
    }
}

/// Copies `len` bytes into or out of a frame.
///
/// # Safety
/// - `from` is readable and `to` writable for `len` bytes, and they do not overlap.
/// - Of the frame bytes that are written no slice is alive; what is not frame bytes is the
///   caller's own.
/// - The processor has registers of that width.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize, width: Width) {
    // SAFETY: nothing before the start or after `len` is touched, by the bounds of each arm. Where
    // two moves overlap, a byte is written twice with the same value.
    unsafe {
        if len == 64 {
            if width == Width::Avx512 {
                asm!(
                    "vmovdqu64 zmm16, [{from}]",
                    "vmovdqu64 [{to}], zmm16",
                    from = in(reg) from, to = in(reg) to,
                    out("xmm16") _, options(nostack, preserves_flags),
                );
                return;
            }
            cold_path(); // So that there is no jump behind the instructions above.
        }
        if len > 64 {
            match width {
                Width::Avx512 => copy_lines(from, to, len),
                Width::Avx => copy_halves(from, to, len),
                Width::Sse => copy_string(from, to, len),
            }
        } else if len >= 32 {
            asm!(
                concat!(movups!(), " {a}, [{from}]"),
                concat!(movups!(), " {b}, [{from} + 16]"),
                concat!(movups!(), " {c}, [{from} + {len} - 32]"),
                concat!(movups!(), " {d}, [{from} + {len} - 16]"),
                concat!(movups!(), " [{to}], {a}"),
                concat!(movups!(), " [{to} + 16], {b}"),
                concat!(movups!(), " [{to} + {len} - 32], {c}"),
                concat!(movups!(), " [{to} + {len} - 16], {d}"),
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                options(nostack, preserves_flags),
            );
        } else if len >= 16 {
            copy_ends!(from, to, len, movups!(), xmm_reg, 16, "");
        } else if len >= 8 {
            copy_ends!(from, to, len, "mov", reg, 8, "");
        } else if len >= 4 {
            copy_ends!(from, to, len, "mov", reg, 4, ":e");
        } else if len >= 2 {
            copy_ends!(from, to, len, "mov", reg, 2, ":x");
        } else if len == 1 {
            copy_ends!(from, to, len, "mov", reg_byte, 1, "");
        }
    }
}

/// Copies 65 bytes or more, by up to four lines at a time. (Registers from 16 up leave no upper
/// halves behind that would slow narrower code down.)
///
/// # Safety
/// As for [`copy`], with [`Width::Avx512`].
#[inline(never)]
unsafe fn copy_lines(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: as in `copy`.
    unsafe {
        if len <= 128 {
            asm!(
                "vmovdqu64 zmm16, [{from}]",
                "vmovdqu64 zmm17, [{from} + {len} - 64]",
                "vmovdqu64 [{to}], zmm16",
                "vmovdqu64 [{to} + {len} - 64], zmm17",
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                out("xmm16") _, out("xmm17") _, options(nostack, preserves_flags),
            );
            return;
        }
        // Four lines at a time, so simply that the loads of all turns are soon on their way.
        let whole = len & !255;
        if whole > 0 {
            asm!(
                "2:",
                "vmovdqu64 zmm16, [{from} + {at}]",
                "vmovdqu64 zmm17, [{from} + {at} + 64]",
                "vmovdqu64 zmm18, [{from} + {at} + 128]",
                "vmovdqu64 zmm19, [{from} + {at} + 192]",
                "vmovdqu64 [{to} + {at}], zmm16",
                "vmovdqu64 [{to} + {at} + 64], zmm17",
                "vmovdqu64 [{to} + {at} + 128], zmm18",
                "vmovdqu64 [{to} + {at} + 192], zmm19",
                "add {at}, 256",
                "cmp {at}, {whole}",
                "jb 2b",
                from = in(reg) from, to = in(reg) to, whole = in(reg) whole,
                at = inout(reg) 0_usize => _,
                out("xmm16") _, out("xmm17") _, out("xmm18") _, out("xmm19") _, options(nostack),
            );
            if whole == len {
                return;
            }
        }
        // What is left, and where that is little, what stands before it once more.
        let first = whole.min(len - 128);
        asm!(
            "vmovdqu64 zmm16, [{from} + {first}]",
            "vmovdqu64 zmm17, [{from} + {first} + 64]",
            "vmovdqu64 zmm18, [{from} + {len} - 128]",
            "vmovdqu64 zmm19, [{from} + {len} - 64]",
            "vmovdqu64 [{to} + {first}], zmm16",
            "vmovdqu64 [{to} + {first} + 64], zmm17",
            "vmovdqu64 [{to} + {len} - 128], zmm18",
            "vmovdqu64 [{to} + {len} - 64], zmm19",
            from = in(reg) from, to = in(reg) to, first = in(reg) first, len = in(reg) len,
            out("xmm16") _, out("xmm17") _, out("xmm18") _, out("xmm19") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies 65 bytes or more, by two lines at a time, in four halves. (A string instruction takes five
/// times as long on a Zen 3, where one side is not aligned to a line: callers' buffers mostly are not.)
///
/// # Safety
/// As for [`copy`], with [`Width::Avx`] at least.
#[inline(never)]
unsafe fn copy_halves(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: as in `copy`.
    unsafe {
        if len < 128 {
            asm!(
                "vmovdqu ymm0, [{from}]",
                "vmovdqu ymm1, [{from} + 32]",
                "vmovdqu ymm2, [{from} + {len} - 64]",
                "vmovdqu ymm3, [{from} + {len} - 32]",
                "vmovdqu [{to}], ymm0",
                "vmovdqu [{to} + 32], ymm1",
                "vmovdqu [{to} + {len} - 64], ymm2",
                "vmovdqu [{to} + {len} - 32], ymm3",
                "vzeroupper",
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                clobber_abi("C"), options(nostack, preserves_flags),
            );
            return;
        }
        // The last turn is moved back.
        asm!(
            "2:",
            "vmovdqu ymm0, [{from} + rax]",
            "vmovdqu ymm1, [{from} + rax + 32]",
            "vmovdqu ymm2, [{from} + rax + 64]",
            "vmovdqu ymm3, [{from} + rax + 96]",
            "vmovdqu [{to} + rax], ymm0",
            "vmovdqu [{to} + rax + 32], ymm1",
            "vmovdqu [{to} + rax + 64], ymm2",
            "vmovdqu [{to} + rax + 96], ymm3",
            "cmp rax, {end}",
            "je 3f",
            "add rax, 128",
            "cmp rax, {end}",
            "cmova rax, {end}",
            "jmp 2b",
            "3:",
            "vzeroupper",
            from = in(reg) from, to = in(reg) to, end = in(reg) len - 128,
            inout("rax") 0_usize => _, clobber_abi("C"), options(nostack),
        );
    }
}

/// # Safety
/// As for [`copy`].
unsafe fn copy_string(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The direction flag is clear wherever Rust code runs.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags));
    }
}

/// Has the line of an address brought to the processor's caches; any address may be given.
#[inline(always)]
pub(super) fn prefetch(at: *const u8) {
    // SAFETY: a hint to the processor, which reads nothing that the program sees, and never faults.
    unsafe {
        asm!("prefetcht0 [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags));
    }
}

/// Writes `len` zeros to a frame.
///
/// # Safety
/// As for [`copy`].
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The direction flag is clear wherever Rust code runs.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") 0_u8,
            options(nostack, preserves_flags));
    }
}

/// Copies frames to frames past the caches: nobody has asked for the copy yet, and what it would
/// displace is in use. It also saves reading the destination first. The stores are on their way when
/// this returns; [`settle`] waits for them, so that a later release publishes the copy.
///
/// # Safety
/// As for [`copy`]; `to` is aligned to 64, and `len` a multiple of 64 above 0.
pub(super) unsafe fn stream(from: *const u8, to: *mut u8, len: usize, width: Width) {
    // SAFETY: the caller's promise; every access lies within `len`.
    unsafe {
        if width == Width::Avx512 {
            // A whole line per store goes out at once. Two loads per line, because the processor's
            // own prefetching gets going sooner that way.
            asm!(
                "2:",
                "vmovdqu64 ymm16, [{from} + {at}]",
                "vmovdqu64 ymm17, [{from} + {at} + 32]",
                "vinserti64x4 zmm16, zmm16, ymm17, 1",
                "vmovntdq [{to} + {at}], zmm16",
                "add {at}, 64",
                "cmp {at}, {len}",
                "jb 2b",
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                at = inout(reg) 0_usize => _, out("xmm16") _, out("xmm17") _, options(nostack),
            );
        } else {
            asm!(
                "2:",
                "movups xmm0, [{from} + {at}]",
                "movups xmm1, [{from} + {at} + 16]",
                "movups xmm2, [{from} + {at} + 32]",
                "movups xmm3, [{from} + {at} + 48]",
                "movntps [{to} + {at}], xmm0",
                "movntps [{to} + {at} + 16], xmm1",
                "movntps [{to} + {at} + 32], xmm2",
                "movntps [{to} + {at} + 48], xmm3",
                "add {at}, 64",
                "cmp {at}, {len}",
                "jb 2b",
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                at = inout(reg) 0_usize => _,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, options(nostack),
            );
        }
    }
}

/// Streaming stores of this thread are where everybody sees them before any later store is.
#[inline(always)]
pub(super) fn settle() {
    // SAFETY: every x86-64 has it, and nothing but the order of stores depends on it.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) }
}
