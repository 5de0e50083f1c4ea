//! A store in a plain file, by `pread` and `pwritev`.
//!
//! With `O_DIRECT` there are two descriptors: whole aligned blocks go past the kernel's own page
//! cache by the one, and the ragged ends (the last, partial page) through it by the other. The
//! kernel keeps the two coherent, as calls for the same bytes never overlap (see [`Store`]).
//!
//! Reads of a batch that follow each other are one vectored read (`run.rs`, `scatter.rs`); with
//! `io_uring` many of those are in flight at a time (`uring.rs`).

#[cfg(not(refolio_model))]
use super::batch::{BatchRead, ReadBatch};
#[cfg(not(refolio_model))]
use super::run::Runs;
#[cfg(not(refolio_model))]
use super::scatter::Pieces;
#[cfg(all(feature = "io-uring", target_os = "linux", not(refolio_model)))]
use super::uring;
use super::{FileStoreOptions, OpenError, Store, write_zeros};
use crate::frame::FillBuf;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, retry_on_intr};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// One half of a window is in the hands of the disk while the other is prepared, or being read.
const READ_AHEAD_BYTES: usize = 4 << 20;

/// Bytes that one call reads at most.
const RUN_BYTES: u64 = 1 << 20;

/// A plain file as a store.
///
/// Calls from several threads run beside each other. The file may be open elsewhere, too, but the
/// cache does not notice what is written to it there.
pub struct FileStore {
    buffered: OwnedFd,
    direct: Option<OwnedFd>,
    id: (u64, u64),
    read_only: bool,
    /// Batches are read by io_uring.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    io_uring: bool,
    path: PathBuf,
}

impl FileStore {
    /// What `O_DIRECT` transfers are multiples of, in the file and in memory: what every block
    /// device up to a block size of a page is content with.
    pub(super) const BLOCK: usize = 4096;

    /// A store of files that are open; `id` is theirs.
    pub(super) fn new(
        path: &Path,
        buffered: OwnedFd,
        direct: Option<OwnedFd>,
        id: (u64, u64),
        read_only: bool,
    ) -> Self {
        Self {
            buffered,
            direct,
            id,
            read_only,
            #[cfg(all(feature = "io-uring", target_os = "linux"))]
            io_uring: false,
            path: path.into(),
        }
    }

    /// From now on batches are read by io_uring, which the kernel must have shown to be there.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub(super) fn with_io_uring(self, io_uring: bool) -> Self {
        Self { io_uring, ..self }
    }

    /// Opens the file at `path` to read and write, buffered by the kernel. For more,
    /// see [`FileStoreOptions`].
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file, and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileStoreOptions::new().open(path)
    }

    /// Device and inode: equal for two stores of one file, whatever its names.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// Whether everything that would change the file fails.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn check_writable(&self) -> io::Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = format!("{} was opened read-only", self.path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }

    /// The descriptor of `O_DIRECT`, if a transfer at `offset` can go by it.
    fn direct_at(&self, offset: u64) -> Option<&OwnedFd> {
        self.direct.as_ref().filter(|_| offset.is_multiple_of(Self::BLOCK as u64))
    }
}

fn pwritev(fd: &OwnedFd, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::pwritev(fd, bufs, offset))?)
}

impl Store for FileStore {
    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.buffered)?.st_size as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        let blocks = into.len() / Self::BLOCK * Self::BLOCK;
        match self.direct_at(offset) {
            Some(direct) if blocks > 0 && into.is_aligned_to(Self::BLOCK) => {
                into.pread(direct.as_fd(), 0, blocks, offset)
            }
            _ => into.pread(self.buffered.as_fd(), 0, into.len(), offset),
        }
    }

    #[cfg(not(refolio_model))]
    fn read_batch<'a>(&self, batch: &mut (dyn ReadBatch<'a> + '_)) {
        let direct = self.direct.as_ref();
        let fd = direct.unwrap_or(&self.buffered).as_fd();
        let is_block = |read: &mut BatchRead<'a>| {
            read.offset().is_multiple_of(Self::BLOCK as u64)
                && read.buf().len().is_multiple_of(Self::BLOCK)
                && read.buf().is_aligned_to(Self::BLOCK)
        };
        let fits = |read: &mut BatchRead<'a>| direct.is_none() || is_block(read);
        let alone = |read: &mut BatchRead<'a>| self.read(read.offset(), read.buf());
        #[cfg(all(feature = "io-uring", target_os = "linux"))]
        if self.io_uring {
            return uring::read(fd, &mut Runs::of(batch, uring::RUN_BYTES), fits, alone);
        }
        let mut runs = Runs::of(batch, RUN_BYTES);
        while let Some(mut run) = runs.next(fits, alone) {
            let result = Pieces::of(&mut run).read(fd, run.offset());
            runs.answer(run, result);
        }
    }

    fn read_ahead_bytes(&self) -> usize {
        READ_AHEAD_BYTES
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_writable()?;
        let aligned = |buf: &IoSlice<'_>| buf.as_ptr().addr().is_multiple_of(Self::BLOCK);
        let is_block = |buf: &IoSlice<'_>| aligned(buf) && buf.len().is_multiple_of(Self::BLOCK);
        let Some(direct) = self.direct_at(offset) else {
            return pwritev(&self.buffered, bufs, offset);
        };
        // Whole blocks in one go; else what is whole of the first buffer; else that one buffered.
        // The caller comes back for the rest.
        let blocks = bufs.iter().position(|buf| !is_block(buf)).unwrap_or(bufs.len());
        match bufs.first() {
            Some(ragged) if blocks == 0 => {
                let (whole, _) = ragged.split_at(ragged.len() / Self::BLOCK * Self::BLOCK);
                if aligned(ragged) && !whole.is_empty() {
                    pwritev(direct, &[IoSlice::new(whole)], offset)
                } else {
                    pwritev(&self.buffered, &bufs[..1], offset)
                }
            }
            _ => pwritev(direct, &bufs[..blocks], offset),
        }
    }

    /// `fdatasync(2)`, which by POSIX covers whatever is needed to read the bytes back, the new
    /// length among it; only time stamps are left out.
    #[doc(alias = "fdatasync")]
    fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fdatasync(&self.buffered))?)
    }

    #[doc(alias = "ftruncate")]
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.buffered, len))?)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        // The kernel takes no empty hole, and no end beyond what files can be long. The last block
        // goes whole.
        let end = offset.saturating_add(len).min(self.len()?.next_multiple_of(Self::BLOCK as u64));
        if end <= offset {
            return Ok(());
        }
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.buffered, mode, offset, end - offset)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, offset, len),
            other => Ok(other?),
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .field("direct", &self.direct.is_some())
            .field("read_only", &self.read_only)
            .finish()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::frame::{Frames, HugePages, Run};
    use std::fs;

    /// A new file with these bytes, and the store of it.
    fn file(bytes: &[u8], options: &FileStoreOptions) -> (tempfile::TempPath, FileStore) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, bytes).unwrap();
        let store = options.open(&path).unwrap();
        (path, store)
    }

    fn read(store: &FileStore, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0xee; len];
        let done = store.read(offset, &mut FillBuf::over(&mut bytes))?;
        bytes.truncate(done);
        Ok(bytes)
    }

    #[test]
    fn reads_and_writes_where_it_is_told() {
        let (path, store) = file(b"0123456789", &FileStoreOptions::new());
        assert_eq!(read(&store, 3, 4).unwrap(), b"3456");
        assert_eq!(read(&store, 8, 100).unwrap(), b"89");
        assert_eq!(read(&store, 10, 1).unwrap(), b"");
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
        assert_eq!(store.write(12, &bufs).unwrap(), 3);
        assert_eq!(fs::read(&path).unwrap(), b"0123456789\0\0abc");
        store.set_len(5).unwrap();
        store.set_len(7).unwrap();
        store.sync().unwrap();
        assert_eq!((store.len().unwrap(), fs::read(&path).unwrap()), (7, b"01234\0\0".to_vec()));
        assert_eq!(store.name(), path.display().to_string());
    }

    #[test]
    fn more_buffers_than_the_kernel_takes_are_a_short_write() {
        let (path, store) = file(b"", &FileStoreOptions::new());
        let bytes: Vec<_> = (0..3000_u32).map(|i| i as u8).collect();
        let bufs: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        let mut done = 0;
        while done < bytes.len() {
            done += store.write(done as u64, &bufs[done..]).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn absurd_offsets_are_errors() {
        let (path, store) = file(b"kept", &FileStoreOptions::new());
        for offset in [1 << 63, u64::MAX] {
            assert!(read(&store, offset, 1).is_err());
            assert!(store.write(offset, &[IoSlice::new(b"x")]).is_err());
            assert!(store.set_len(offset).is_err());
            store.punch(offset, u64::MAX).unwrap(); // Nothing is there that could not be zeros.
        }
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_hole_is_zeros_and_takes_no_room() {
        use std::os::unix::fs::MetadataExt;
        let (path, store) = file(&vec![7; 1 << 20], &FileStoreOptions::new());
        store.sync().unwrap();
        let before = fs::metadata(&path).unwrap();
        store.punch(4096, 512 << 10).unwrap();
        store.punch((1 << 20) - 10, u64::MAX).unwrap();
        store.punch(0, 0).unwrap();
        let mut expected = vec![7; 1 << 20];
        expected[4096..4096 + (512 << 10)].fill(0);
        expected[(1 << 20) - 10..].fill(0);
        assert!(fs::read(&path).unwrap() == expected);
        let after = fs::metadata(&path).unwrap();
        assert_eq!(after.len(), before.len());
        assert!(after.blocks() < before.blocks(), "{} of {}", after.blocks(), before.blocks());
    }

    #[test]
    fn a_store_opened_read_only_says_so_when_written() {
        let (path, store) = file(b"kept", FileStoreOptions::new().read_only(true));
        assert!(store.is_read_only());
        assert_eq!(read(&store, 0, 9).unwrap(), b"kept");
        let says = format!("{} was opened read-only", path.display());
        let errors = [
            store.write(0, &[IoSlice::new(b"x")]).unwrap_err(),
            store.set_len(0).unwrap_err(),
            store.punch(0, 1).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.to_string() == says), "{errors:?}");
        store.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    /// Five pages and a bit, by frames and by plain memory, aligned and not.
    #[test]
    fn direct_transfers_leave_the_ragged_ends_to_the_buffered_ones() {
        let bytes: Vec<u8> = (0..5 * 4096 + 100_u32).map(|i| (i / 7) as u8).collect();
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, &bytes).unwrap();
        let store = match FileStoreOptions::new().direct(true).open(&path) {
            Ok(store) => store,
            Err(error) => {
                let says = error.to_string();
                assert!(says.ends_with("open it without `direct`"), "{says}");
                return;
            }
        };
        let (frames, _) =
            Frames::new(&[Run { frames: 8, huge: HugePages::Off, numa: None }]).unwrap();
        let first = frames.first_frame(0);
        let mut buf = frames.fill_buf(first, 8 * 4096);
        let mut done = 0;
        loop {
            let part = &mut buf.part(done..8 * 4096);
            match store.read(done as u64, part).unwrap() {
                0 => break,
                n => done += n,
            }
        }
        let mut seen = vec![0; done];
        frames.read(first, 0, &mut seen);
        assert!(seen == bytes);
        assert_eq!(read(&store, 4096 + 50, 300).unwrap(), bytes[4146..4446]);
        assert!(read(&store, 4096, 4096).unwrap() == bytes[4096..8192], "from plain memory");

        // The same bytes backwards: whole blocks, then some of them and a bit.
        let mut memory = vec![0; bytes.len() + 4096];
        let skip = memory.as_ptr().align_offset(4096);
        let back = &mut memory[skip..skip + bytes.len()];
        back.copy_from_slice(&bytes.iter().rev().copied().collect::<Vec<_>>());
        let bufs = [&back[..8192], &back[8192..12288], &back[12288..]].map(IoSlice::new);
        assert_eq!(store.write(0, &bufs).unwrap(), 12288, "the whole blocks in one go");
        assert_eq!(store.write(12288, &bufs[2..]).unwrap(), 8192, "whole blocks of a buffer");
        assert_eq!(store.write(20480, &[IoSlice::new(&back[20480..])]).unwrap(), 100);
        assert_eq!(store.write(20580, &[IoSlice::new(&back[1..5000])]).unwrap(), 4999);
        store.sync().unwrap();
        let expected = [&*back, &back[1..5000]].concat();
        assert!(fs::read(&path).unwrap() == expected);
    }

    /// A batch of pages into plain memory: those at these indices, in this order.
    struct Pages<'a> {
        left: std::vec::IntoIter<(u64, &'a mut [u8])>,
        done: Vec<(u64, io::Result<usize>)>,
        panics: bool,
    }

    impl<'a> ReadBatch<'a> for Pages<'a> {
        fn take(&mut self) -> Option<BatchRead<'a>> {
            let (index, into) = self.left.next()?;
            Some(BatchRead::new(index as usize, index * 4096, FillBuf::over(into)))
        }

        fn answer(&mut self, read: BatchRead<'a>, result: io::Result<usize>) {
            assert!(!self.panics, "told to panic");
            self.done.push((read.key() as u64, result));
        }
    }

    /// Room for so many pages, aligned as `O_DIRECT` asks for.
    fn aligned(memory: &mut Vec<u8>, pages: usize) -> &mut [u8] {
        *memory = vec![0xee; (pages + 1) * 4096];
        let skip = memory.as_ptr().align_offset(4096);
        &mut memory[skip..skip + pages * 4096]
    }

    /// The stores that are to be had here, of one file.
    fn stores(path: &std::path::Path) -> Vec<(String, FileStore)> {
        let mut stores = Vec::new();
        for direct in [false, true] {
            for io_uring in [false, true] {
                let mut options = FileStoreOptions::new();
                options.direct(direct);
                #[cfg(all(feature = "io-uring", target_os = "linux"))]
                options.io_uring(io_uring);
                let name = format!("direct {direct}, io_uring {io_uring}");
                match options.open(path) {
                    Ok(store) => stores.push((name, store)),
                    Err(error) => println!("{name}: {error}"),
                }
            }
        }
        stores
    }

    /// Runs, single pages, backwards, the ragged end, and pages behind it.
    #[test]
    fn a_batch_brings_the_same_bytes_as_reads_do() {
        let bytes: Vec<u8> = (0..700 * 4096 + 100_u32).map(|at| (at / 4001) as u8).collect();
        let (path, _) = file(&bytes, &FileStoreOptions::new());
        for (name, store) in stores(&path) {
            let wanted: Vec<u64> =
                (0..600).chain([650, 640, 641, 642, 5, 699, 700, 701, 620]).collect();
            let mut memory = Vec::new();
            let into = aligned(&mut memory, wanted.len());
            let pages = into.chunks_mut(4096);
            let left: Vec<_> = wanted.iter().copied().zip(pages).collect();
            let mut batch = Pages { left: left.into_iter(), done: Vec::new(), panics: false };
            store.read_batch(&mut batch);
            let mut done: Vec<_> = batch.done;
            done.sort_by_key(|(index, _)| *index);
            assert!(done.len() >= wanted.len() - 3, "{name}: {} answers", done.len());
            for (index, result) in &done {
                let there = bytes.len().saturating_sub(*index as usize * 4096).min(4096);
                assert_eq!(*result.as_ref().unwrap(), there, "{name}: page {index}");
            }
            for (index, page) in wanted.iter().zip(into.chunks(4096)) {
                let there = bytes.get(*index as usize * 4096..).unwrap_or_default();
                let there = &there[..there.len().min(4096)];
                assert!(page[..there.len()] == *there, "{name}: page {index}");
            }
        }
    }

    #[test]
    fn a_panic_with_reads_in_flight_waits_for_them() {
        let bytes: Vec<u8> = (0..64 * 4096_u32).map(|at| (at / 4001) as u8).collect();
        let (path, _) = file(&bytes, &FileStoreOptions::new());
        for (name, store) in stores(&path) {
            let mut memory = Vec::new();
            let into = aligned(&mut memory, 32);
            let left: Vec<_> =
                (0..32_u64).map(|index| index * 2).zip(into.chunks_mut(4096)).collect();
            let mut batch = Pages { left: left.into_iter(), done: Vec::new(), panics: true };
            let read = std::panic::AssertUnwindSafe(|| store.read_batch(&mut batch));
            assert!(std::panic::catch_unwind(read).is_err(), "{name}");
            // Nothing is written any more: what was in flight has arrived, or never will.
            into.fill(0x11);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(into.iter().all(|byte| *byte == 0x11), "{name}: written afterwards");
            // And the next reader is served.
            assert!(read_one(&store) == bytes[4096..8192], "{name}");
        }
    }

    fn read_one(store: &FileStore) -> Vec<u8> {
        let mut memory = Vec::new();
        let into = aligned(&mut memory, 1);
        let left = vec![(1, &mut *into)];
        let mut batch = Pages { left: left.into_iter(), done: Vec::new(), panics: false };
        store.read_batch(&mut batch);
        assert_eq!(batch.done.len(), 1);
        into.to_vec()
    }

    /// A read from a file that was opened to write only, say: the run fails, and is left to be
    /// asked for page by page; a single page is told.
    #[test]
    fn a_batch_that_fails_tells_single_pages_and_leaves_runs_to_be_asked_for() {
        let (path, _) = file(&[7; 8 * 4096], &FileStoreOptions::new());
        for io_uring in [false, true] {
            let write_only = fs::OpenOptions::new().write(true).open(&path).unwrap();
            let store = FileStore::new(&path, write_only.into(), None, (0, 0), false);
            #[cfg(all(feature = "io-uring", target_os = "linux"))]
            let store = store.with_io_uring(io_uring && super::uring::probe().is_ok());
            let mut memory = Vec::new();
            let into = aligned(&mut memory, 4);
            let left: Vec<_> = [0, 1, 2, 5].into_iter().zip(into.chunks_mut(4096)).collect();
            let mut batch = Pages { left: left.into_iter(), done: Vec::new(), panics: false };
            store.read_batch(&mut batch);
            let [(5, Err(error))] = &batch.done[..] else { panic!("{io_uring}: {:?}", batch.done) };
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    }
}
