//! The reservation itself: address space, its backing, and the bytes in it.

#![allow(unsafe_code)] // The room of frame bytes: mapped memory and shared bytes, see `super`.

use super::reserve::{Backing, HugeBacking, HugePages, NumaBacking, Run};
#[cfg(not(all(target_arch = "x86_64", not(any(miri, refolio_tsan)))))]
use super::words;
#[cfg(all(target_arch = "x86_64", not(any(miri, refolio_tsan))))]
use super::x86_64;
use crate::units::{MAX_ORDER, PAGE_SIZE, folio_bytes};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Reserved address space, aligned to the largest folio.
///
/// # Invariants
/// - The `len` bytes from `base` on lie in the mapping of `mapped` bytes at `map`. It is private,
///   readable and writable, and is unmapped in `drop` and nowhere else.
/// - No `&mut` of these bytes exists, ever; a `&` only through [`bytes`](Self::bytes). All other
///   accesses are relaxed atomic.
/// - The processor has registers of that `width`.
pub(super) struct Arena {
    map: *mut u8,
    mapped: usize,
    base: *mut u8,
    len: usize,
    #[cfg(all(target_arch = "x86_64", not(any(miri, refolio_tsan))))]
    pub(super) width: x86_64::Width,
}

// SAFETY: the mapping belongs to no thread, and shared bytes are accessed atomically (invariants).
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// Reserves `len` bytes, of which none takes memory yet.
    pub fn reserve(len: usize) -> io::Result<Self> {
        let align = folio_bytes(MAX_ORDER);
        let mapped = len + align;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let map = unsafe {
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(ptr::null_mut(), mapped, prot, MapFlags::PRIVATE | MapFlags::NORESERVE)?
        };
        let map = map.cast::<u8>();
        let skip = map.addr().next_multiple_of(align) - map.addr();
        Ok(Self {
            map,
            mapped,
            base: map.wrapping_add(skip),
            len,
            #[cfg(all(target_arch = "x86_64", not(any(miri, refolio_tsan))))]
            width: x86_64::Width::here(),
        })
    }

    /// Asks the kernel to back the run at `start` as wished.
    pub fn place(&self, start: usize, run: &Run) -> Backing {
        let len = run.frames as usize * PAGE_SIZE;
        Backing {
            huge: self.advise_huge(start, len, run.huge),
            numa: run.numa.map_or(NumaBacking::NotAsked, |node| self.bind(start, len, node)),
        }
    }

    fn advise_huge(&self, start: usize, len: usize, huge: HugePages) -> HugeBacking {
        let advise = |advice| {
            // SAFETY: neither advice changes what the bytes hold.
            unsafe { madvise(self.at(start, len).cast(), len, advice) }
        };
        if huge == HugePages::Off {
            // Fails where the kernel knows no huge pages, which is what was asked for.
            let _ = advise(Advice::LinuxNoHugepage);
            return HugeBacking::NotAsked;
        }
        let enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
        if std::fs::read_to_string(enabled).is_ok_and(|mode| mode.contains("[never]")) {
            return HugeBacking::Refused(format!("{enabled} says never; write madvise to it"));
        }
        match advise(Advice::LinuxHugepage) {
            Ok(()) if len < folio_bytes(MAX_ORDER) => {
                HugeBacking::Refused("the node is smaller than one".into())
            }
            Ok(()) => HugeBacking::Advised,
            Err(error) => HugeBacking::Refused(error.to_string()),
        }
    }

    #[doc(alias = "mbind")]
    fn bind(&self, start: usize, len: usize, node: u32) -> NumaBacking {
        if numa_nodes() < 2 {
            return NumaBacking::SingleNode;
        }
        let mut mask = vec![0_u64; node as usize / 64 + 1];
        mask[node as usize / 64] = 1 << (node % 64);
        // The kernel reads one bit less than it is told.
        let bits = mask.len() * 64 + 1;
        // SAFETY: binding changes where memory will come from, not what the bytes hold; the
        // kernel reads `bits - 1` bits of the mask.
        let rc = unsafe {
            let at = self.at(start, len);
            libc::syscall(libc::SYS_mbind, at, len, libc::MPOL_BIND, mask.as_ptr(), bits, 0)
        };
        if rc == 0 {
            return NumaBacking::Bound(node);
        }
        NumaBacking::Refused(format!("node {node}: {}", io::Error::last_os_error()))
    }

    /// The bytes in place.
    ///
    /// # Safety
    /// Nothing writes them while the slice lives.
    #[inline]
    pub unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: mapped while `self` lives (invariants), initialised (the kernel's zeros at
        // least), and not written, as the caller promises. Atomic loads may go on beside it.
        unsafe { std::slice::from_raw_parts(self.at(at, len), len) }
    }

    /// Where the byte `at` is, if it is one of the reservation.
    #[inline]
    pub fn address(&self, at: usize) -> *const u8 {
        self.base.wrapping_add(at)
    }

    /// Where `len` bytes are that the kernel is to write.
    pub fn room(&self, at: usize, len: usize) -> *mut u8 {
        self.at(at, len)
    }

    /// Has the kernel write what it reads from a file.
    pub fn pread(
        &self,
        fd: BorrowedFd<'_>,
        at: usize,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        let into = self.at(at, len);
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            // SAFETY: `into` is writable for `len` bytes, and as in `store`. The kernel's copy is
            // none of the program's accesses.
            let done = unsafe { libc::pread(fd.as_raw_fd(), into.cast(), len, offset) };
            match usize::try_from(done) {
                Ok(done) => return Ok(done),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Gives memory back.
    pub fn discard(&self, at: usize, len: usize) -> io::Result<()> {
        // The kernel would round the end up, into the next frames, where its pages are larger.
        let page = rustix::param::page_size();
        let start = at.next_multiple_of(page);
        let len = (at + len).saturating_sub(start) / page * page;
        // SAFETY: as in `store`; the bytes are zeros afterwards.
        unsafe { Ok(madvise(self.at(start, len).cast(), len, Advice::LinuxDontNeed)?) }
    }

    /// Has a byte brought near.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        // No byte is accessed, so it need not be inside.
        super::prefetch(self.base.wrapping_add(at));
    }

    /// The address of `len` bytes from `at` on.
    ///
    /// # Panics
    /// If these bytes are not all inside.
    #[inline]
    fn at(&self, at: usize, len: usize) -> *mut u8 {
        // Within one page, of which there are whole ones only, it takes but one comparison.
        let in_page = len <= PAGE_SIZE - at % PAGE_SIZE && at < self.len;
        if !in_page && (len > self.len || at > self.len - len) {
            outside();
        }
        // SAFETY: within the mapping (invariants).
        unsafe { self.base.add(at) }
    }
}

#[cold]
#[inline(never)]
fn outside() -> ! {
    panic!("outside of the frames")
}

/// The shared accesses, by instructions that the compiler does not see.
#[cfg(all(target_arch = "x86_64", not(any(miri, refolio_tsan))))]
impl Arena {
    /// Copies bytes out.
    #[inline]
    pub fn load(&self, at: usize, into: &mut [u8]) {
        let (from, len) = (self.at(at, into.len()), into.len());
        // SAFETY: `from` is in the arena, `into` is not (invariants).
        unsafe { x86_64::copy(from, into.as_mut_ptr(), len, self.width) }
    }

    /// Copies bytes in.
    #[inline]
    pub fn store(&self, at: usize, from: &[u8]) {
        let (to, len) = (self.at(at, from.len()), from.len());
        // SAFETY: `to` is in the arena. `from` may be as well, if it is a slice of another folio:
        // whoever holds a slice has promised that nothing writes there, so they do not overlap.
        unsafe { x86_64::copy(from.as_ptr(), to, len, self.width) }
    }

    /// Writes zeros.
    pub fn zero(&self, at: usize, len: usize) {
        // SAFETY: in the arena; as in `store`.
        unsafe { x86_64::zero(self.at(at, len), len) }
    }

    /// Copies folios, by stores that are on their way when this returns.
    pub fn copy(&self, from: usize, to: usize, len: usize) {
        check_copy(from, to, len);
        // SAFETY: in the arena, as in `store`; aligned and disjoint, as was checked.
        unsafe { x86_64::stream(self.at(from, len), self.at(to, len), len, self.width) }
    }
}

/// The shared accesses, word by word.
#[cfg(not(all(target_arch = "x86_64", not(any(miri, refolio_tsan)))))]
impl Arena {
    /// Copies bytes out.
    #[inline]
    pub fn load(&self, at: usize, into: &mut [u8]) {
        words::load(self.words(), at, into);
    }

    /// Copies bytes in.
    #[inline]
    pub fn store(&self, at: usize, from: &[u8]) {
        words::store(self.words(), at, from);
    }

    /// Writes zeros.
    pub fn zero(&self, at: usize, len: usize) {
        words::zero(self.words(), at, len);
    }

    /// Copies folios.
    pub fn copy(&self, from: usize, to: usize, len: usize) {
        check_copy(from, to, len);
        words::copy(self.words(), from, to, len);
    }

    fn words(&self) -> &[crate::sync::AtomicU64] {
        // SAFETY: mapped while `self` lives and aligned; a word may be shared while it changes.
        unsafe { std::slice::from_raw_parts(self.base.cast(), self.len / words::WORD) }
    }
}

fn check_copy(from: usize, to: usize, len: usize) {
    let whole = [from, to, len].iter().all(|n| n.is_multiple_of(PAGE_SIZE));
    assert!(whole && len > 0 && from.abs_diff(to) >= len, "a folio is copied to another one");
}

impl Drop for Arena {
    fn drop(&mut self) {
        if cfg!(refolio_tsan) {
            // ThreadSanitizer does not see that the kernel hands addresses on, and would take who gets
            // them for a racer of who had them: the memory goes, the addresses are kept.
            // SAFETY: our own mapping (invariants), which nobody can reach any more.
            let _ = unsafe { madvise(self.map.cast(), self.mapped, Advice::LinuxDontNeed) };
            return;
        }
        // SAFETY: our own mapping (invariants), which nobody can reach any more. To unmap the whole
        // of what was mapped does not fail.
        let _ = unsafe { munmap(self.map.cast(), self.mapped) };
    }
}

/// How many NUMA nodes the machine has; 1 where it does not say.
fn numa_nodes() -> usize {
    let is_node =
        |name: &str| name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok());
    std::fs::read_dir("/sys/devices/system/node").map_or(1, |entries| {
        entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_node)).count()
    })
}
