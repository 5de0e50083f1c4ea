//! One read of a file into many buffers.

#![allow(unsafe_code)] // The room of reads into many buffers: see `Pieces`.

use super::run::Run;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The buffers of a run, as the kernel takes them.
///
/// # Invariants
/// - Each piece is memory that belongs to the [`FillBuf`](crate::FillBuf)s of the run that it was
///   made of, which is writable for `'a`, and which nothing else is told to write.
/// - The pieces stand still in memory while `self` lives, also when it is moved.
pub(super) struct Pieces<'a> {
    pieces: Vec<libc::iovec>,
    len: usize,
    _bufs: PhantomData<&'a mut [u8]>,
}

impl<'a> Pieces<'a> {
    /// Those of a run. Buffers that follow each other in memory are one piece.
    pub fn of(run: &mut Run<'a>) -> Self {
        let mut pieces: Vec<libc::iovec> = Vec::with_capacity(run.reads().len());
        let mut len = 0;
        for read in run.reads() {
            let (at, bytes) = read.buf().as_raw();
            len += bytes;
            match pieces.last_mut() {
                Some(last) if last.iov_base.addr() + last.iov_len == at.addr() => {
                    last.iov_len += bytes;
                }
                _ => pieces.push(libc::iovec { iov_base: at.cast(), iov_len: bytes }),
            }
        }
        Self { pieces, len, _bufs: PhantomData }
    }

    /// Bytes in all of them.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pieces.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub fn as_slice(&self) -> &[libc::iovec] {
        &self.pieces
    }

    /// Has the kernel read into all of them; how many bytes it read.
    pub fn read(&mut self, fd: BorrowedFd<'_>, offset: u64) -> io::Result<usize> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            let (at, count) = (self.pieces.as_ptr(), self.pieces.len() as libc::c_int);
            // SAFETY: `count` pieces, each of memory that may be written until the call returns
            // (invariants). The kernel's copy is none of the program's accesses.
            let done = unsafe { libc::preadv(fd.as_raw_fd(), at, count, offset) };
            match usize::try_from(done) {
                Ok(done) => return Ok(done.min(self.len)),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }
}
