//! A store that takes its time, so that what may happen during a call does happen.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use refolio::{FillBuf, MemStore, Store};

/// Memory, with a random delay in every eighth call or so.
#[derive(Clone)]
pub struct Jitter {
    pub inner: MemStore,
    random: std::sync::Arc<AtomicU64>,
}

impl Jitter {
    pub fn new(bytes: Vec<u8>, seed: u64) -> Self {
        Self {
            inner: MemStore::with_bytes(bytes),
            random: std::sync::Arc::new(AtomicU64::new(seed)),
        }
    }

    fn delay(&self) {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        match fastrand::Rng::with_seed(seed).u8(..64) {
            0 => std::thread::sleep(Duration::from_micros(100)),
            1..8 => std::thread::yield_now(),
            _ => {}
        }
    }
}

impl Store for Jitter {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.delay();
        let done = self.inner.read(offset, into);
        self.delay();
        done
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.delay();
        // Piece by piece, so that bytes which change meanwhile are noticed.
        let mut done = 0;
        for buf in bufs {
            for half in buf.chunks(buf.len().div_ceil(2).max(1)) {
                done += self.inner.write(offset + done as u64, &[IoSlice::new(half)])?;
                self.delay();
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        self.delay();
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.delay();
        let done = self.inner.set_len(len);
        self.delay();
        done
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.delay();
        let done = self.inner.punch(offset, len);
        self.delay();
        done
    }
}
