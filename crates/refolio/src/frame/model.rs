//! The reservation under the model checker: words that it watches.
//!
//! Loom also watches who relies on the bytes of a frame to stand still: each frame has a cell that is
//! read with [`Arena::bytes`] and written with every store, and it fails a model in which one of the
//! two is not ordered after the other.

#![allow(unsafe_code)] // One promise, kept to have the signature of the real thing; and `Sync`.

use super::reserve::{Backing, HugeBacking, NumaBacking, Run};
use super::words::{self, WORD};
use crate::sync::AtomicU64;
use crate::units::PAGE_SIZE;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) struct Arena {
    words: Vec<AtomicU64>,
    still: Vec<Still>,
}

/// One frame's bytes, to the checker of orderings.
#[cfg(refolio_loom)]
#[derive(Default)]
struct Still(loom::cell::UnsafeCell<()>);

// SAFETY: the cell holds nothing; the checker runs one thread at a time.
#[cfg(refolio_loom)]
unsafe impl Sync for Still {}

#[cfg(refolio_loom)]
impl Still {
    fn is_relied_on(&self) {
        self.0.with(|_| ());
    }

    fn changes(&self) {
        self.0.with_mut(|_| ());
    }
}

/// One frame's bytes, to the checker that has no orderings.
#[cfg(refolio_explore)]
#[derive(Default)]
struct Still;

#[cfg(refolio_explore)]
impl Still {
    fn is_relied_on(&self) {}

    fn changes(&self) {}
}

impl Arena {
    pub fn reserve(len: usize) -> io::Result<Self> {
        Ok(Self {
            words: (0..len.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect(),
            still: (0..len.div_ceil(PAGE_SIZE)).map(|_| Still::default()).collect(),
        })
    }

    /// Names the words in a trace.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        for (at, word) in self.words.iter().enumerate() {
            let named = || format!("frame {}", at * WORD / PAGE_SIZE);
            crate::sync::name(word, named, crate::model::names::bytes);
        }
    }

    pub fn place(&self, _start: usize, _run: &Run) -> Backing {
        Backing { huge: HugeBacking::NotAsked, numa: NumaBacking::NotAsked }
    }

    pub fn load(&self, at: usize, into: &mut [u8]) {
        words::load(&self.words, at, into);
    }

    pub fn prefetch(&self, _at: usize) {}

    pub fn store(&self, at: usize, from: &[u8]) {
        self.change(at, from.len());
        words::store(&self.words, at, from);
    }

    pub fn zero(&self, at: usize, len: usize) {
        self.change(at, len);
        words::zero(&self.words, at, len);
    }

    pub fn copy(&self, from: usize, to: usize, len: usize) {
        self.change(to, len);
        words::copy(&self.words, from, to, len);
    }

    fn frames(&self, at: usize, len: usize) -> &[Still] {
        &self.still[at / PAGE_SIZE..(at + len).div_ceil(PAGE_SIZE)]
    }

    fn change(&self, at: usize, len: usize) {
        self.frames(at, len).iter().for_each(Still::changes);
    }

    /// A copy, never freed: the checker's words are not bytes that a slice could show, and the
    /// process ends with the model.
    ///
    /// # Safety
    /// None needed here; the real thing has some.
    pub unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.frames(at, len).iter().for_each(Still::is_relied_on);
        let mut copy = vec![0; len];
        self.load(at, &mut copy);
        copy.leak()
    }

    /// Of a copy: see [`bytes`](Self::bytes).
    pub fn address(&self, at: usize) -> *const u8 {
        // SAFETY: none is needed.
        unsafe { self.bytes(at, PAGE_SIZE) }.as_ptr()
    }

    pub fn pread(
        &self,
        fd: BorrowedFd<'_>,
        at: usize,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        let mut bytes = vec![0; len];
        let done = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut *bytes, offset))?;
        self.store(at, &bytes[..done]);
        Ok(done)
    }

    pub fn discard(&self, at: usize, len: usize) -> io::Result<()> {
        self.zero(at, len);
        Ok(())
    }
}
