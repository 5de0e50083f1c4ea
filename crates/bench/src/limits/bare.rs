//! Loads from memory that nothing protects, and the least that a pin could be: the limits that
//! reads are held against.
//!
//! The memory is mostly the frames of the cache itself: whether the host has backed a run of frames
//! by large pages of its own, or by small ones, makes more of a difference than most of what is
//! measured here.
#![allow(unsafe_code)] // Memory without any protocol is what is measured here.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use refolio::{File, PAGE_SIZE, PageIndex};

use super::arena::Arena;
use super::mapped::Mapped;
use crate::error::{Error, Result};
use crate::reach::{Hand, Reach, first_word};

/// Memory whose bytes stand still: frames of a file all of whose pages are resident, which lie
/// together (but for a few that are free); or an arena, or a mapped file.
///
/// # Invariants
/// The `len` bytes from `base` on can be read while `'m` lasts. Nobody writes, moves or evicts
/// pages while reads are measured.
#[derive(Clone, Copy, Debug)]
pub struct Bare<'m> {
    base: *const u8,
    len: usize,
    of: PhantomData<&'m ()>,
}

// SAFETY: it is only read.
unsafe impl Send for Bare<'_> {}
// SAFETY: as above.
unsafe impl Sync for Bare<'_> {}

impl<'m> Bare<'m> {
    /// The frames of the cache that has the file.
    pub fn of_file(file: &'m File) -> Result<Self> {
        let pages = file.len() / PAGE_SIZE as u64;
        let place = |index| match file.page(PageIndex(index)) {
            Ok(page) => Ok((page.frame().0, page.as_ptr())),
            Err(error) => Err(Error::failed("pinning a page", error)),
        };
        let (mut first, mut last) = (u32::MAX, 0);
        for index in 0..pages {
            let (frame, _) = place(index)?;
            (first, last) = (first.min(frame), last.max(frame));
        }
        if u64::from(last - first) >= pages + pages / 16 {
            return Err(Error::failed("measuring bare loads", "the frames do not lie together"));
        }
        let (frame, at) = place(0)?;
        let base = at.wrapping_sub((frame - first) as usize * PAGE_SIZE);
        Ok(Self { base, len: pages as usize * PAGE_SIZE, of: PhantomData })
    }

    /// An arena's.
    pub fn of_arena(arena: &'m Arena) -> Self {
        Self { base: arena.base(), len: arena.len(), of: PhantomData }
    }

    /// A mapped file's.
    pub fn of_mapped(mapped: &'m Mapped) -> Self {
        Self { base: mapped.base(), len: mapped.len(), of: PhantomData }
    }

    /// 64 bytes, as one would load them if nothing ever moved: by the widest registers.
    #[inline(always)]
    fn load(&self, at: usize) -> [u8; 64] {
        debug_assert!(at + 64 <= self.len);
        // SAFETY: within the memory, as every caller computes `at` (and a debug build checks).
        unsafe { self.base.add(at).cast::<[u8; 64]>().read() }
    }

    /// Copies a page out.
    #[inline(always)]
    fn copy_page(&self, at: usize, into: &mut [u8; PAGE_SIZE]) {
        debug_assert!(at + PAGE_SIZE <= self.len);
        // SAFETY: as in `load`.
        unsafe { self.base.add(at).copy_to_nonoverlapping(into.as_mut_ptr(), PAGE_SIZE) }
    }
}

/// By words: 64 bytes are eight loads, added up.
impl Reach for Bare<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, own: &mut (), page: u64, at: usize) {
        black_box(self.chain(hand, own, page, at));
    }

    #[inline(always)]
    fn chain(&self, _hand: &mut Hand, _own: &mut (), page: u64, at: usize) -> u64 {
        let at = page as usize * PAGE_SIZE + at;
        debug_assert!(at + 64 <= self.len && at.is_multiple_of(8));
        // SAFETY: as in `load`; aligned.
        let word = |n| unsafe { self.base.add(at).cast::<u64>().add(n).read_volatile() };
        (0..8).map(word).fold(0, u64::wrapping_add)
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        self.copy_page(page as usize * PAGE_SIZE, &mut hand.page);
    }
}

/// By the widest registers that there are.
#[derive(Clone, Copy, Debug)]
pub struct Widest<'m>(pub Bare<'m>);

impl Reach for Widest<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, _hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        black_box(&self.0.load(page as usize * PAGE_SIZE + at));
    }

    #[inline(always)]
    fn chain(&self, _hand: &mut Hand, _own: &mut (), page: u64, at: usize) -> u64 {
        let line = self.0.load(page as usize * PAGE_SIZE + at);
        first_word(black_box(&line))
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        self.0.page(hand, &mut (), page);
    }
}

/// What a pin cannot do without: where the page is, a word for each frame in a cache line of its
/// own, one exchange to count a reference, one subtraction to give it back.
///
/// # Invariants
/// `frames` begins with a `u32` for each page, which is below the number of pages; `words` with 64
/// bytes for each.
#[derive(Debug)]
pub struct BarePins<'m> {
    bare: Bare<'m>,
    frames: Arena,
    words: Arena,
}

impl<'m> BarePins<'m> {
    /// For the frames of this file, which are `bare`.
    pub fn new(file: &File, bare: Bare<'m>) -> Result<Self> {
        let pages = bare.len / PAGE_SIZE;
        let frames = Arena::large(pages * size_of::<u32>())?;
        let words = Arena::large(pages * 64)?;
        for index in 0..pages {
            let page = file.page(PageIndex(index as u64));
            let page = page.map_err(Error::while_("pinning a page"))?;
            // Of the last few pages, any.
            let frame = (page.as_ptr().addr() - bare.base.addr()) / PAGE_SIZE % pages;
            // SAFETY: within the arenas, by their sizes; aligned; nobody else has them.
            unsafe {
                frames.base().cast::<u32>().add(index).write(frame as u32);
                words.base().add(index * 64).cast::<u64>().write(1);
            }
        }
        Ok(Self { bare, frames, words })
    }
}

impl Reach for BarePins<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, _hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        debug_assert!((page as usize) < self.bare.len / PAGE_SIZE);
        // SAFETY: within the arenas (invariants), as every caller computes `page`.
        let (frame, word) = unsafe {
            let frame = self.frames.base().cast::<u32>().add(page as usize).read() as usize;
            (frame, &*self.words.base().add(frame * 64).cast::<AtomicU64>())
        };
        let mut before = word.load(Relaxed);
        while let Err(now) = word.compare_exchange_weak(before, before + 1, Acquire, Relaxed) {
            before = now;
        }
        black_box(&self.bare.load(frame * PAGE_SIZE + at));
        word.fetch_sub(1, Release);
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        self.bare.page(hand, &mut (), page);
    }
}
