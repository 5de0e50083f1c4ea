//! Stores: where the bytes of a mapping come from and go to.
//!
//! A store is bytes by offset and a length, nothing more. The cache asks it for whole folios, each
//! into frames that nobody has been shown yet ([`FillBuf`]), and hands it frames whose bytes stand
//! still, so nothing is copied on the way. What a store must not do is call back into the cache:
//! the folio it serves is locked.

mod batch;
mod file;
mod mem;
mod open;
#[cfg(not(refolio_model))]
mod run;
#[cfg(not(refolio_model))]
mod scatter;
#[cfg(all(feature = "io-uring", target_os = "linux", not(refolio_model)))]
mod uring;

pub use batch::{BatchRead, ReadBatch};
pub use file::FileStore;
pub use mem::MemStore;
pub use open::{FileStoreOptions, OpenError};

use crate::frame::FillBuf;
use crate::sync::Arc;
use std::io::{self, IoSlice};

/// The bytes behind a mapping: a file, an object, a device.
///
/// Five methods, and a few that are provided. Each may fail and may be called by many threads at
/// once. The cache
/// never has two calls in flight for the same bytes, except that [`set_len`](Self::set_len) may run
/// beside reads and writes of what it cuts off: then either order is fine.
///
/// ```
/// use refolio::{FillBuf, Store};
/// use std::io::{self, IoSlice};
///
/// /// The natural numbers, four bytes each, without end and not to be changed.
/// struct Naturals;
///
/// impl Store for Naturals {
///     fn len(&self) -> io::Result<u64> {
///         Ok(4 << 32)
///     }
///     fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
///         for at in (0..into.len()).step_by(4) {
///             into.write(at, &((offset as usize + at) as u32 / 4).to_le_bytes());
///         }
///         Ok(into.len())
///     }
///     fn write(&self, _offset: u64, _bufs: &[IoSlice<'_>]) -> io::Result<usize> {
///         Err(io::ErrorKind::ReadOnlyFilesystem.into())
///     }
///     fn sync(&self) -> io::Result<()> {
///         Ok(())
///     }
///     fn set_len(&self, _len: u64) -> io::Result<()> {
///         Err(io::ErrorKind::ReadOnlyFilesystem.into())
///     }
/// }
///
/// let mut bytes = [0; 8];
/// let done = Naturals.read(4096, &mut FillBuf::over(&mut bytes))?;
/// assert_eq!((done, bytes), (8, [0, 4, 0, 0, 1, 4, 0, 0]));
/// # io::Result::Ok(())
/// ```
#[allow(clippy::len_without_is_empty)] // Its length can fail, and nobody asks whether it is 0.
pub trait Store: Send + Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever the store's medium reports; so for all methods. The cache hands the error on to
    /// the caller whose access needed the call.
    fn len(&self) -> io::Result<u64>;

    /// Reads up to `into.len()` bytes from `offset` on to the start of `into`, and says how many.
    /// Fewer than asked is no error: the cache asks for the rest. 0 says that the store ends at
    /// `offset` or before, which the cache, as it asks for no more than there was, takes for a
    /// store that was cut off behind its back.
    ///
    /// Offsets are whole pages, except after a short read, and so is the end, except that of the
    /// store.
    ///
    /// # Errors
    /// As for [`len`](Self::len). What was written to `into` has no meaning then.
    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize>;

    /// Does all reads of a batch, each as [`read`](Self::read) would. Unless overridden it does them
    /// one after the other; a store whose medium can have several in hand takes several.
    ///
    /// Returns when every read that it took is answered or dropped: from then on the buffers are
    /// not written any more.
    fn read_batch<'a>(&self, batch: &mut (dyn ReadBatch<'a> + '_)) {
        while let Some(mut read) = batch.take() {
            let result = self.read(read.offset(), read.buf());
            batch.answer(read, result);
        }
    }

    /// How many bytes of a file that is read from front to back are worth reading ahead: as many as
    /// keep the store's medium busy while its last bytes are used. 0, unless overridden, where it
    /// is as fast to read them when they are needed.
    fn read_ahead_bytes(&self) -> usize {
        0
    }

    /// Writes the bytes of `bufs`, one after the other, from `offset` on, and says how many. Fewer
    /// than all is no error: the cache comes back with the rest; 0 is one (`WriteZero`). Bytes
    /// between the old end and `offset` are zeros.
    ///
    /// The bytes stand still until the call returns. They need not be durable then
    /// ([`sync`](Self::sync)). Offsets are whole pages, except after a short write, and so are
    /// the lengths of all `bufs` but the last; none of them is empty.
    ///
    /// # Errors
    /// As for [`len`](Self::len). The cache keeps the bytes and writes all of them again later.
    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Makes everything written before, and the length, durable.
    ///
    /// # Errors
    /// As for [`len`](Self::len). Nothing is known about what was written since the last sync
    /// that succeeded.
    fn sync(&self) -> io::Result<()>;

    /// Makes the store `len` bytes long: cuts it off, or lengthens it by zeros.
    ///
    /// # Errors
    /// As for [`len`](Self::len).
    #[doc(alias = "truncate")]
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes `len` bytes from `offset` on zeros, and gives their room back where it can. The length
    /// of the store stays: what lies behind its end is left alone. Unless overridden it writes
    /// zeros.
    ///
    /// # Errors
    /// As for [`len`](Self::len). A part of the bytes may be zeros already.
    #[doc(alias = "fallocate")]
    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        write_zeros(self, offset, len)
    }

    /// What to call the store in messages.
    fn name(&self) -> String {
        "unnamed store".into()
    }
}

/// Overwrites what a hole would cover.
fn write_zeros<S: Store + ?Sized>(store: &S, offset: u64, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let end = offset.saturating_add(len).min(store.len()?);
    let mut at = offset;
    while at < end {
        let piece = usize::try_from(end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        let done = store.write(at, &[IoSlice::new(&ZEROS[..piece])])?;
        if done == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += done as u64;
    }
    Ok(())
}

/// A store that several owners share.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        (**self).read(offset, into)
    }

    fn read_batch<'a>(&self, batch: &mut (dyn ReadBatch<'a> + '_)) {
        (**self).read_batch(batch);
    }

    fn read_ahead_bytes(&self) -> usize {
        (**self).read_ahead_bytes()
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write(offset, bufs)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        (**self).set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        (**self).punch(offset, len)
    }

    fn name(&self) -> String {
        (**self).name()
    }
}
