//! Holding pages: references that the kernel takes for us, for a moment or for long; and copies
//! through the kernel, which answer with an error where a load would end the process.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use refolio::PAGE_SIZE;

use super::{Map, answer};

/// Pages that an io_uring holds, as buffers for I/O: until it is dropped.
#[derive(Debug)]
pub(in super::super) struct Registered {
    _ring: OwnedFd,
}

impl Registered {
    /// Pins pages for as long as it likes (`FOLL_LONGTERM`).
    pub fn new(map: &Map, pages: std::ops::Range<u64>) -> io::Result<Self> {
        const REGISTER_BUFFERS: u32 = 0;
        // 120 bytes: `struct io_uring_params`, all zeros.
        let mut params = [0u64; 15];
        // SAFETY: the kernel reads and writes that struct, and makes a descriptor that is ours.
        let ring =
            answer(unsafe { libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr()) })?;
        // SAFETY: nobody else knows the descriptor.
        let ring = unsafe { OwnedFd::from_raw_fd(ring as i32) };
        let len = (pages.end - pages.start) as usize * PAGE_SIZE;
        let buffer = [map.address(pages.start), len];
        // SAFETY: reads one `struct iovec`. No I/O is ever asked for, so no byte changes.
        answer(unsafe {
            let fd = ring.as_raw_fd();
            libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_BUFFERS, buffer.as_ptr(), 1)
        })?;
        Ok(Self { _ring: ring })
    }
}

/// Puts the pages themselves into a pipe, which holds them until it is read.
pub(in super::super) fn splice_out(pipe: &OwnedFd, map: &Map, page: u64) -> io::Result<usize> {
    let _lives = map.reading();
    let part = libc::iovec { iov_base: map.address(page) as *mut _, iov_len: PAGE_SIZE };
    // SAFETY: reads one `struct iovec`, and takes a reference to the page; nothing is given away.
    answer(unsafe { libc::vmsplice(pipe.as_raw_fd(), &raw const part, 1, 0) } as i64)
}

/// Copies memory out by way of a reference to its pages (`get_user_pages`).
pub(in super::super) fn copy_out(map: &Map, offset: usize, into: &mut [u8]) -> io::Result<usize> {
    let _lives = map.reading();
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: (map.address(0) + offset) as *mut _, iov_len: into.len() };
    // SAFETY: writes `into` only; what it reads it looks up itself.
    let copied = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    answer(copied as i64)
}

/// Copies bytes in by way of a reference to the pages.
pub(in super::super) fn copy_in(map: &Map, offset: usize, from: &[u8]) -> io::Result<usize> {
    assert!(offset + from.len() <= map.pages() as usize * PAGE_SIZE, "inside");
    let _lives = map.reading();
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = libc::iovec { iov_base: (map.address(0) + offset) as *mut _, iov_len: from.len() };
    // SAFETY: reads `from`; what it writes lies inside the mapping, whose bytes may
    // change at any time.
    let copied = unsafe {
        libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    answer(copied as i64)
}

/// Has the kernel (or a device) read a file into the pages; how many bytes there were.
pub(in super::super) fn read_into(
    (fd, at): (&OwnedFd, u64),
    map: &Map,
    offset: usize,
    len: usize,
) -> io::Result<usize> {
    assert!(offset + len <= map.pages() as usize * PAGE_SIZE, "inside");
    let address = map.address(0) + offset;
    // SAFETY: what it writes lies inside the mapping, whose bytes may change at any time; where
    // nothing is mapped, or nothing may be written, it answers with an error.
    answer(unsafe { libc::pread(fd.as_raw_fd(), address as *mut _, len, at as i64) } as i64)
}

/// Has the kernel (or a device) write the pages to a file.
pub(in super::super) fn write_from(
    (fd, at): (&OwnedFd, u64),
    map: &Map,
    offset: usize,
    len: usize,
) -> io::Result<usize> {
    assert!(offset + len <= map.pages() as usize * PAGE_SIZE, "inside");
    let address = map.address(0) + offset;
    // SAFETY: it reads inside the mapping only, and answers with an error where nothing is mapped.
    answer(unsafe { libc::pwrite(fd.as_raw_fd(), address as *const _, len, at as i64) } as i64)
}

/// Writes a file's dirty pages back, as far as the flags say.
pub(in super::super) fn sync_range(file: &std::fs::File, flags: u32) -> io::Result<()> {
    // SAFETY: touches no memory of ours.
    answer(unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) }.into()).map(drop)
}
