//! The store of a model. Threads do not meet in it: what is searched are the meetings in the cache.
//! But each call comes after those before it, as with a system call or a lock.

use std::io::{self, IoSlice};

use crate::frame::FillBuf;
use crate::store::{ReadBatch, Store};
use crate::sync::plain::{AtomicBool, AtomicU32, Mutex, MutexGuard};
#[cfg(refolio_loom)]
use crate::sync::{self, AcqRel};
use crate::sync::{Arc, Relaxed};
use crate::units::{PAGE_SIZE, PageIndex};

/// Bytes in memory, which can refuse to be written. Clones share them.
#[derive(Clone, Default)]
pub struct Disk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    #[cfg(refolio_loom)]
    calls: sync::AtomicU32,
    fails: AtomicBool,
    writes: AtomicU32,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        *disk.0.bytes.lock().unwrap() = bytes;
        disk
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // AcqRel: orders the calls among each other, and nothing else. (The explorer needs no
        // order, and would take each call for a crossroads.)
        #[cfg(refolio_loom)]
        self.0.calls.fetch_add(1, AcqRel);
        self.0.bytes.lock().unwrap()
    }

    /// What it holds for page `index`, as the cache takes it.
    pub fn page(&self, index: u64) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        let bytes = self.bytes();
        let rest = bytes.get(PageIndex(index).offset() as usize..).unwrap_or_default();
        let len = rest.len().min(PAGE_SIZE);
        page[..len].copy_from_slice(&rest[..len]);
        page
    }

    /// How often it was written to.
    pub fn writes(&self) -> u32 {
        self.0.writes.load(Relaxed)
    }

    /// From now on each write fails, or none.
    pub fn fail_writes(&self, fails: bool) {
        self.0.fails.store(fails, Relaxed);
    }
}

impl Store for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        // A copy: the checker may go on with another thread at each word that is written.
        let bytes = self.bytes();
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let done = rest.len().min(into.len());
        into.write(0, &rest[..done]);
        Ok(done)
    }

    /// As a store that has many reads in hand: takes all that there are, and then answers.
    fn read_batch<'a>(&self, batch: &mut (dyn ReadBatch<'a> + '_)) {
        let reads: Vec<_> = std::iter::from_fn(|| batch.take()).collect();
        for mut read in reads {
            let result = self.read(read.offset(), read.buf());
            batch.answer(read, result);
        }
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.0.fails.load(Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.writes.fetch_add(1, Relaxed);
        let from = bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<_>>();
        let (start, end) = (offset as usize, offset as usize + from.len());
        let mut bytes = self.lock();
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[start..end].copy_from_slice(&from);
        Ok(from.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().resize(len as usize, 0);
        Ok(())
    }
}
