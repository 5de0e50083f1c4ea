//! A mapping, and its bytes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use refolio::PAGE_SIZE;
use rustix::mm::{MapFlags, MprotectFlags, MremapFlags, MsyncFlags, ProtFlags};

use super::answer;

/// Memory of this process: mapped from when it is made until it is dropped.
///
/// # Invariants
/// From `base` on, `len` bytes are a mapping that this value made and nobody else unmaps, replaces
/// or moves; `base` is a multiple of the page size. It changes only while `lives` is locked for
/// writing, and bytes are accessed only while it is locked for reading.
#[derive(Debug)]
pub(in super::super) struct Map {
    base: AtomicUsize,
    len: usize,
    writable: bool,
    lives: RwLock<()>,
}

/// What is mapped.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Source<'f> {
    /// Memory of this process alone.
    Private,
    /// Memory shared with children.
    Shared,
    /// Huge pages of the pool.
    Pool,
    /// A file from its start, shared.
    File(BorrowedFd<'f>),
    /// A file from its start, shared, for reading only.
    ReadOnly(BorrowedFd<'f>),
    /// A file from its start, private.
    Copied(BorrowedFd<'f>),
}

/// What the kernel is told about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Advice {
    /// Its pages may go from the page table; those of private memory go for good.
    DontNeed = libc::MADV_DONTNEED as isize,
    /// It is to be written out, and its pages freed.
    PageOut = libc::MADV_PAGEOUT as isize,
    /// Huge pages are welcome.
    Huge = libc::MADV_HUGEPAGE as isize,
    /// Huge pages are not.
    NoHuge = libc::MADV_NOHUGEPAGE as isize,
    /// Its pages are to be made one huge page, now.
    Collapse = 25,
    /// Equal pages may be merged.
    Mergeable = libc::MADV_MERGEABLE as isize,
    /// A child does not get it: its pages are not shared with one.
    DontFork = libc::MADV_DONTFORK as isize,
    /// It will be needed.
    WillNeed = libc::MADV_WILLNEED as isize,
    /// Its pages are to be moved, and their frames never used again.
    SoftOffline = 101,
}

/// Huge pages have this size.
pub(in super::super) const HUGE: usize = 2 << 20;

impl Map {
    /// Maps `len` bytes, at a multiple of the huge page size.
    pub fn new(source: Source<'_>, len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(PAGE_SIZE);
        let room = len + HUGE;
        // SAFETY: the kernel chooses an address that nothing is mapped at.
        let start = unsafe {
            rustix::mm::mmap_anonymous(null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE)?
        } as usize;
        let base = start.next_multiple_of(HUGE);
        let writable = !matches!(source, Source::ReadOnly(_));
        let map = Self { base: base.into(), len, writable, lives: RwLock::default() };
        let mapped = place(source, base, len);
        let end = start + room;
        for (from, to) in [(start, base), (base + len, end)] {
            if to > from {
                // SAFETY: the rest of what was mapped above, which nobody knows of.
                unsafe { rustix::mm::munmap(without_provenance_mut(from), to - from)? }
            }
        }
        mapped.map(|()| map)
    }

    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        (self.len / PAGE_SIZE) as u64
    }

    /// The address of a page: for the kernel, which looks for itself whether it is mapped.
    pub fn address(&self, page: u64) -> usize {
        self.base.load(SeqCst) + page as usize * PAGE_SIZE
    }

    /// Keeps the mapping where it is, for as long as the answer is kept.
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.lives.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn words(&self, offset: usize, len: usize) -> impl Iterator<Item = &AtomicU64> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(inside && offset.is_multiple_of(8) && len.is_multiple_of(8), "{offset}+{len}");
        let start = self.base.load(SeqCst) + offset;
        (start..start + len).step_by(8).map(|address| {
            // SAFETY: a word inside the mapping, by the check above, aligned since the base is;
            // it stays mapped while the reference is used, for `lives` is locked by the caller.
            // All of this process access it atomically; the kernel's copies are no Rust accesses.
            unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(address)) }
        })
    }

    /// Loads bytes: whole words, each at once.
    pub fn load(&self, offset: usize, into: &mut [u8]) {
        let _lives = self.reading();
        for (word, bytes) in self.words(offset, into.len()).zip(into.chunks_exact_mut(8)) {
            // Relaxed: what is seen is compared with the ledger, whose accesses order it.
            bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
    }

    /// Stores bytes: whole words, each at once.
    pub fn store(&self, offset: usize, from: &[u8]) {
        assert!(self.writable, "a mapping for reading");
        let _lives = self.reading();
        for (word, bytes) in self.words(offset, from.len()).zip(from.chunks_exact(8)) {
            let mut value = [0; 8];
            value.copy_from_slice(bytes);
            // Relaxed: as above.
            word.store(u64::from_ne_bytes(value), Relaxed);
        }
    }

    /// Keeps loads and stores out, for as long as the answer is kept.
    pub fn still(&self) -> RwLockWriteGuard<'_, ()> {
        self.lives.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the address space while no load and no store is under way.
    pub fn alone<T>(&self, act: impl FnOnce() -> T) -> T {
        let _lives = self.still();
        act()
    }

    /// Tells the kernel about pages. What [`Advice::DontNeed`] does to bytes, the caller knows.
    pub fn advise(&self, pages: std::ops::Range<u64>, advice: Advice) -> io::Result<()> {
        let _lives = self.reading();
        let (start, len) = self.range(pages);
        // SAFETY: a range of our mapping; no advice unmaps it, and its bytes may change any time.
        answer(unsafe { libc::madvise(start.cast(), len, advice as i32) }.into()).map(drop)
    }

    /// Forbids stores to pages for as long as `meanwhile` runs.
    pub fn protected<T>(
        &self,
        pages: std::ops::Range<u64>,
        meanwhile: impl FnOnce() -> T,
    ) -> io::Result<T> {
        self.alone(|| {
            self.protect(pages.clone(), MprotectFlags::READ)?;
            let done = meanwhile();
            self.protect(pages, MprotectFlags::READ | MprotectFlags::WRITE)?;
            Ok(done)
        })
    }

    fn protect(&self, pages: std::ops::Range<u64>, flags: MprotectFlags) -> io::Result<()> {
        let (start, len) = self.range(pages);
        // SAFETY: a range of our mapping; nobody stores to it meanwhile, for the caller is alone.
        unsafe { rustix::mm::mprotect(start.cast(), len, flags) }.map_err(io::Error::from)
    }

    /// Moves the mapping to another address.
    pub fn shift(&self) -> io::Result<()> {
        self.alone(|| {
            let room = Self::new(Source::Private, self.len)?;
            let (to, _) = room.range(0..room.pages());
            let (from, len) = self.range(0..self.pages());
            let flags = MremapFlags::MAYMOVE;
            // SAFETY: all of our mapping, which nobody accesses meanwhile, to where `room` is: that
            // one goes, and must not unmap its place again.
            unsafe { rustix::mm::mremap_fixed(from.cast(), len, len, flags, to.cast())? };
            self.base.store(room.base.load(SeqCst), SeqCst);
            std::mem::forget(room);
            Ok(())
        })
    }

    /// Unmaps everything and maps `source` in its place.
    pub fn replace(&self, source: Source<'_>) -> io::Result<()> {
        self.alone(|| {
            let (start, len) = self.range(0..self.pages());
            // SAFETY: all of our mapping, which nobody accesses meanwhile. Nothing else is mapped
            // there between the two calls but by chance; then the second fails, not replacing it.
            unsafe { rustix::mm::munmap(start.cast(), len)? };
            place(source, start as usize, len)
        })
    }

    /// Writes changed pages back.
    pub fn sync(&self) -> io::Result<()> {
        let _lives = self.reading();
        let (start, len) = self.range(0..self.pages());
        // SAFETY: our mapping, which stays as it is.
        unsafe { rustix::mm::msync(start.cast(), len, MsyncFlags::SYNC) }.map_err(io::Error::from)
    }

    /// Keeps all pages in memory.
    pub fn lock(&self) -> io::Result<()> {
        let (start, len) = self.range(0..self.pages());
        // SAFETY: our mapping, whose bytes stay as they are.
        unsafe { rustix::mm::mlock(start.cast(), len) }.map_err(io::Error::from)
    }

    fn range(&self, pages: std::ops::Range<u64>) -> (*mut u8, usize) {
        assert!(pages.start <= pages.end && pages.end <= self.pages(), "{pages:?}");
        let len = (pages.end - pages.start) as usize * PAGE_SIZE;
        (std::ptr::with_exposed_provenance_mut(self.address(pages.start)), len)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let (start, len) = self.range(0..self.pages());
        // SAFETY: our mapping, of which no reference is left. An error leaves it mapped.
        let _ = unsafe { rustix::mm::munmap(start.cast(), len) };
    }
}

/// Maps in the place of a mapping that is the caller's.
fn place(source: Source<'_>, base: usize, len: usize) -> io::Result<()> {
    let at = without_provenance_mut(base);
    let both = ProtFlags::READ | ProtFlags::WRITE;
    let fixed = MapFlags::FIXED;
    let anonymous = |flags| {
        // SAFETY: the caller's place, by this function's contract; nothing refers to it yet.
        unsafe { rustix::mm::mmap_anonymous(at, len, both, flags | fixed) }
    };
    let of_file = |fd: BorrowedFd<'_>, prot, flags| {
        // SAFETY: as above.
        unsafe { rustix::mm::mmap(at, len, prot, flags | fixed, fd.as_fd(), 0) }
    };
    let mapped = match source {
        Source::Private => anonymous(MapFlags::PRIVATE),
        Source::Shared => anonymous(MapFlags::SHARED),
        Source::Pool => anonymous(MapFlags::PRIVATE | MapFlags::HUGETLB),
        Source::File(fd) => of_file(fd, both, MapFlags::SHARED),
        Source::ReadOnly(fd) => of_file(fd, ProtFlags::READ, MapFlags::SHARED),
        Source::Copied(fd) => of_file(fd, both, MapFlags::PRIVATE),
    }?;
    // So that addresses may become pointers again.
    assert_eq!(mapped.expose_provenance(), base, "fixed means fixed");
    Ok(())
}
