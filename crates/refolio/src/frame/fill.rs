//! What a store reads into: the bytes of a folio that nobody has been shown yet.
//!
//! There is no `&mut [u8]` of a frame, not even here: a reader that took no reference may still be
//! copying out of it, for what the frame held before. What it gets it throws away, as the version
//! has changed; but under a `&mut` its look alone would be undefined behaviour.

use super::Frames;
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// The bytes that a [`Store`](crate::Store) fills: all or part of a folio that nobody has been
/// shown yet, or a plain buffer ([`over`](Self::over)).
///
/// They are written by position, in any order and as often as wanted, but not read: what is not
/// written has no meaning. All positions count from the start of the buffer.
///
/// ```
/// use refolio::FillBuf;
///
/// let mut page = [0xff; 16];
/// let mut buf = FillBuf::over(&mut page);
/// buf.write(0, b"abcd");
/// buf.part(4..8).write(2, b"xy");
/// buf.zero(8..16);
/// assert_eq!(page, *b"abcd\xff\xffxy\0\0\0\0\0\0\0\0");
/// ```
pub struct FillBuf<'a>(Target<'a>);

enum Target<'a> {
    Frames { frames: &'a Frames, start: usize, len: usize },
    Plain(&'a mut [u8]),
}

impl<'a> FillBuf<'a> {
    pub(super) fn new(frames: &'a Frames, start: usize, len: usize) -> Self {
        Self(Target::Frames { frames, start, len })
    }

    /// A buffer over plain bytes: for a store that decrypts or decompresses what another store
    /// reads, and to try a store out.
    pub fn over(bytes: &'a mut [u8]) -> Self {
        Self(Target::Plain(bytes))
    }

    /// How many bytes there are to fill, which is at least one page where a cache asks.
    pub fn len(&self) -> usize {
        match &self.0 {
            Target::Frames { len, .. } => *len,
            Target::Plain(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing to fill.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `range` as a buffer of their own.
    ///
    /// # Panics
    /// If `range` ends after the buffer or before it starts, as do all methods here.
    pub fn part(&mut self, range: Range<usize>) -> FillBuf<'_> {
        let len = self.check(&range);
        FillBuf(match &mut self.0 {
            Target::Frames { frames, start, .. } => {
                Target::Frames { frames, start: *start + range.start, len }
            }
            Target::Plain(bytes) => Target::Plain(&mut bytes[range]),
        })
    }

    /// Writes `from` at position `at`.
    ///
    /// # Panics
    /// If `from` does not fit there.
    pub fn write(&mut self, at: usize, from: &[u8]) {
        self.check(&(at..at.saturating_add(from.len())));
        match &mut self.0 {
            Target::Frames { frames, start, .. } => frames.write_at(*start + at, from),
            Target::Plain(bytes) => bytes[at..at + from.len()].copy_from_slice(from),
        }
    }

    /// Writes zeros to `range`.
    ///
    /// # Panics
    /// If `range` ends after the buffer or before it starts.
    pub fn zero(&mut self, range: Range<usize>) {
        let len = self.check(&range);
        match &mut self.0 {
            Target::Frames { frames, start, .. } => frames.zero_at(*start + range.start, len),
            Target::Plain(bytes) => bytes[range].fill(0),
        }
    }

    /// Has the kernel read up to `len` bytes of a file, from `offset` of the file on, to
    /// position `at`, and says how many it read: 0 at the end of the file, otherwise perhaps
    /// fewer than asked. The bytes are copied once, by the kernel, or not at all under `O_DIRECT`.
    ///
    /// # Errors
    /// Those of `pread(2)`; an interrupted call is repeated.
    ///
    /// # Panics
    /// If `len` bytes do not fit there.
    #[doc(alias = "pread64")]
    pub fn pread(
        &mut self,
        fd: BorrowedFd<'_>,
        at: usize,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        self.check(&(at..at.saturating_add(len)));
        match &mut self.0 {
            Target::Frames { frames, start, .. } => frames.pread_at(fd, *start + at, len, offset),
            Target::Plain(bytes) => {
                let into = &mut bytes[at..at + len];
                Ok(rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut *into, offset))?)
            }
        }
    }

    /// Where the buffer is in memory, and how long: for the kernel to write it. That is what the
    /// buffer is for, so whoever keeps the address keeps the buffer, too.
    #[cfg(not(refolio_model))]
    pub(crate) fn as_raw(&mut self) -> (*mut u8, usize) {
        match &mut self.0 {
            Target::Frames { frames, start, len } => (frames.address_at(*start, *len), *len),
            Target::Plain(bytes) => (bytes.as_mut_ptr(), bytes.len()),
        }
    }

    /// Whether position 0 lies in memory at a multiple of `bytes`: what `O_DIRECT` asks for.
    pub(crate) fn is_aligned_to(&self, bytes: usize) -> bool {
        match &self.0 {
            Target::Frames { start, .. } => start.is_multiple_of(bytes),
            Target::Plain(plain) => plain.as_ptr().addr().is_multiple_of(bytes),
        }
    }

    /// The length of `range`, which must lie in the buffer.
    fn check(&self, range: &Range<usize>) -> usize {
        let len = self.len();
        assert!(
            range.start <= range.end && range.end <= len,
            "bytes {range:?} are not in a buffer of {len}"
        );
        range.len()
    }
}

impl fmt::Debug for FillBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FillBuf({} bytes)", self.len())
    }
}
