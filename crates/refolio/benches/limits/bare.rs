//! The frames of a cache without its protocol, and the least that a pin could be: the limits that
//! reads are held against.
//!
//! They are of the very memory that the cache uses: whether the host has backed a run of frames by
//! large pages of its own, or by small ones, makes more of a difference than most of what is
//! measured here.
#![allow(unsafe_code)] // Memory without any protocol is what is measured here.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use refolio::{File, PAGE_SIZE, PageIndex};

use crate::arena::Arena;

/// The frames of a file whose pages are all resident, in frames that lie together (but for a few
/// that are free).
///
/// # Invariants
/// The `len` bytes from `base` on are frames of the file's cache, which lives as long as it. Nobody
/// writes, moves or evicts pages during this bench.
#[derive(Clone, Copy, Debug)]
pub struct Bare<'f> {
    base: *const u8,
    len: usize,
    file: &'f File,
}

impl<'f> Bare<'f> {
    /// Looks where the pages are.
    pub fn new(file: &'f File) -> Self {
        let pages = file.len() / PAGE_SIZE as u64;
        let place = |index| {
            let page = file.page(PageIndex(index)).expect("a page that can be pinned");
            (page.frame().0, page.as_ptr())
        };
        let frames = || (0..pages).map(|index| place(index).0);
        let (first, last) = (frames().min().unwrap_or(0), frames().max().unwrap_or(0));
        assert!(
            u64::from(last - first) < pages + pages / 32,
            "all frames but a few are the file's"
        );
        let (frame, at) = place(0);
        let base = at.wrapping_sub((frame - first) as usize * PAGE_SIZE);
        Self { base, len: pages as usize * PAGE_SIZE, file }
    }

    /// 64 bytes, as one would load them if nothing ever moved: by the widest registers.
    #[inline(always)]
    pub fn load(&self, at: usize) -> [u8; 64] {
        debug_assert!(at + 64 <= self.len);
        // SAFETY: within the frames, as every caller computes `at` (and a debug build checks).
        unsafe { self.base.add(at).cast::<[u8; 64]>().read() }
    }

    /// The same 64 bytes as eight loads of a word, added up.
    #[inline(always)]
    pub fn load_words(&self, at: usize) -> u64 {
        debug_assert!(at + 64 <= self.len && at.is_multiple_of(8));
        // SAFETY: as in `load`; aligned.
        let word = |n| unsafe { self.base.add(at).cast::<u64>().add(n).read_volatile() };
        (0..8).map(word).fold(0, u64::wrapping_add)
    }

    /// Copies a frame out.
    #[inline(always)]
    pub fn copy_page(&self, at: usize, into: &mut [u8; PAGE_SIZE]) {
        debug_assert!(at + PAGE_SIZE <= self.len);
        // SAFETY: as in `load`.
        unsafe { self.base.add(at).copy_to_nonoverlapping(into.as_mut_ptr(), PAGE_SIZE) }
    }

    /// The frame of a page, counted from the first one; of the last few pages, any.
    fn frame(&self, index: u64) -> u32 {
        let page = self.file.page(PageIndex(index)).expect("a page that can be pinned");
        let frame = (page.as_ptr().addr() - self.base.addr()) / PAGE_SIZE;
        (frame % (self.len / PAGE_SIZE)) as u32
    }
}

/// What a pin cannot do without: where the page is, a word for each frame in a cache line of its
/// own, one exchange to count a reference, one subtraction to give it back.
///
/// # Invariants
/// `frames` begins with a `u32` for each page, which is below the number of pages; `words` with 64
/// bytes for each.
#[derive(Debug)]
pub struct BarePins<'f> {
    bare: Bare<'f>,
    frames: Arena,
    words: Arena,
}

impl<'f> BarePins<'f> {
    /// For these frames.
    pub fn new(bare: Bare<'f>) -> Self {
        let pages = bare.len / PAGE_SIZE;
        let (frames, words) = (Arena::new(pages * size_of::<u32>()), Arena::new(pages * 64));
        for index in 0..pages {
            // SAFETY: within the arenas, by their sizes; aligned; nobody else has them.
            unsafe {
                frames.base().cast::<u32>().add(index).write(bare.frame(index as u64));
                words.base().add(index * 64).cast::<u64>().write(1);
            }
        }
        Self { bare, frames, words }
    }

    /// Pins, loads 64 bytes and unpins.
    #[inline(always)]
    pub fn load(&self, page: u64, at: usize) -> [u8; 64] {
        debug_assert!((page as usize) < self.bare.len / PAGE_SIZE);
        // SAFETY: within the arenas (invariants), as every caller computes `page`.
        let (frame, word) = unsafe {
            let frame = self.frames.base().cast::<u32>().add(page as usize).read() as usize;
            (frame, &*self.words.base().add(frame * 64).cast::<AtomicU64>())
        };
        let before = word.load(Relaxed);
        let got = word.compare_exchange(before, before + 1, Acquire, Relaxed);
        assert!(got.is_ok(), "nobody else pins here");
        let line = self.bare.load(frame * PAGE_SIZE + at);
        word.fetch_sub(1, Release);
        line
    }
}
