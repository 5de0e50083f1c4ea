//! The reservation under the model checker: words that it watches.

#![allow(unsafe_code)] // One promise, kept to have the signature of the real thing.

use super::reserve::{Backing, HugeBacking, NumaBacking, Run};
use super::words::{self, WORD};
use crate::sync::AtomicU64;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) struct Arena(Vec<AtomicU64>);

impl Arena {
    pub fn reserve(len: usize) -> io::Result<Self> {
        Ok(Self((0..len.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect()))
    }

    pub fn place(&self, _start: usize, _run: &Run) -> Backing {
        Backing { huge: HugeBacking::NotAsked, numa: NumaBacking::NotAsked }
    }

    pub fn load(&self, at: usize, into: &mut [u8]) {
        words::load(&self.0, at, into);
    }

    pub fn store(&self, at: usize, from: &[u8]) {
        words::store(&self.0, at, from);
    }

    pub fn zero(&self, at: usize, len: usize) {
        words::zero(&self.0, at, len);
    }

    pub fn copy(&self, from: usize, to: usize, len: usize) {
        words::copy(&self.0, from, to, len);
    }

    /// A copy, never freed: the checker's words are not bytes that a slice could show, and the
    /// process ends with the model.
    ///
    /// # Safety
    /// None needed here; the real thing has some.
    pub unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        let mut copy = vec![0; len];
        self.load(at, &mut copy);
        copy.leak()
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
