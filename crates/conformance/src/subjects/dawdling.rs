//! A store that takes its time, so that what happens meanwhile has time to happen.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use refolio::{FillBuf, MemStore, Store};

use crate::content::mix;

/// Lets others come in between, now and then, for a while that the number decides.
pub(super) fn pause(choice: u64) {
    match choice % 8 {
        0 => std::thread::sleep(Duration::from_micros(choice >> 8 & 63)),
        1..3 => std::thread::yield_now(),
        _ => {}
    }
}

/// A store that takes its time, and looks whether what it is given to write stands still.
pub(super) struct Dawdling {
    store: MemStore,
    calls: AtomicU64,
    unstable: Arc<AtomicU64>,
}

impl Dawdling {
    /// A slower `store`, which counts in `unstable` the writes whose bytes did not stand still.
    pub fn new(store: MemStore, unstable: Arc<AtomicU64>) -> Self {
        Self { store, calls: AtomicU64::new(0), unstable }
    }

    fn dawdle(&self) {
        // Relaxed: a number, and no more.
        pause(mix(self.calls.fetch_add(1, Relaxed)));
    }
}

impl Store for Dawdling {
    fn len(&self) -> io::Result<u64> {
        self.store.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.dawdle();
        let read = self.store.read(offset, into);
        self.dawdle();
        read
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let first: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.dawdle();
        let then = std::hint::black_box(bufs);
        let stood_still = first.iter().eq(then.iter().flat_map(|buf| buf.iter()));
        // Relaxed: a count, and no more.
        self.unstable.fetch_add(u64::from(!stood_still), Relaxed);
        self.store.write(offset, then)
    }

    fn sync(&self) -> io::Result<()> {
        self.store.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.dawdle();
        self.store.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.dawdle();
        self.store.punch(offset, len)
    }

    fn name(&self) -> String {
        "a dawdling store".into()
    }
}
