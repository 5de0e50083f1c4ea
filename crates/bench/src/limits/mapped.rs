//! A file mapped into memory, through the system's page cache.
#![allow(unsafe_code)] // A mapped file is what is measured here.

use std::fs::File;
use std::ptr;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use crate::error::{Error, Result};

/// A file that is mapped to be read.
///
/// # Invariants
/// `len` bytes from `base` on are a mapping of a file that nobody makes shorter, and nobody else's.
#[derive(Debug)]
pub struct Mapped {
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping belongs to no thread, and is only read.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// All of a file of `len` bytes, for reads at random. With `populated`, of which all is in
    /// memory.
    pub fn new(file: &File, len: usize, populated: bool) -> Result<Self> {
        let flags =
            if populated { MapFlags::SHARED | MapFlags::POPULATE } else { MapFlags::SHARED };
        // SAFETY: a new mapping, at an address of the kernel's choice; the file is a scratch file
        // of this run, which nobody else changes.
        let base = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, flags, file, 0) };
        let base = base.map_err(Error::while_("mapping a file"))?.cast::<u8>();
        // SAFETY: our own mapping; the advice does not change what it holds.
        let _ = unsafe { madvise(base.cast(), len, Advice::Random) };
        Ok(Self { base, len })
    }

    /// For reads one after the other instead.
    pub fn advise_sequential(&self) {
        // SAFETY: our own mapping; the advice does not change what it holds.
        let _ = unsafe { madvise(self.base.cast(), self.len, Advice::Sequential) };
    }

    /// The first byte.
    pub fn base(&self) -> *const u8 {
        self.base
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies bytes out, which the kernel may have to read in first.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        assert!(at <= self.len && into.len() <= self.len - at);
        // SAFETY: within the mapping, as was checked.
        unsafe { self.base.add(at).copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping, which nobody can reach any more.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}
