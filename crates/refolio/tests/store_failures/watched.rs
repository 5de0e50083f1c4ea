//! A store that counts what failed, and makes one transfer short.

use std::io::{self, IoSlice};
use std::sync::Mutex;

use refolio::testing::{Call, FailingStore};
use refolio::{FillBuf, MemStore, Store};

/// The transfer with this number, counted from 1 on over reads and writes together, moves so many
/// bytes at most.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    pub nth: u64,
    pub at_most: usize,
}

pub struct Watched {
    pub inner: FailingStore<MemStore>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    short: Option<Short>,
    transfers: u64,
    /// Failures of all calls, and those of writes and syncs that no `sync` has reported.
    failures: u64,
    untold: u64,
}

impl Watched {
    pub fn new(bytes: Vec<u8>) -> Self {
        let inner = FailingStore::new(MemStore::with_bytes(bytes));
        Self { inner, notes: Mutex::default() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.inner.inner().bytes()
    }

    pub fn calls(&self, call: Call) -> u64 {
        self.inner.calls(call)
    }

    pub fn shorten(&self, short: Short) {
        self.notes.lock().unwrap().short = Some(short);
    }

    /// How many calls have failed.
    pub fn failures(&self) -> u64 {
        self.notes.lock().unwrap().failures
    }

    /// Whether there were failures that `sync` must tell; it is taken to have told them.
    pub fn told(&self) -> bool {
        std::mem::take(&mut self.notes.lock().unwrap().untold) > 0
    }

    /// How many bytes the next transfer may move.
    fn most(&self) -> usize {
        let mut notes = self.notes.lock().unwrap();
        notes.transfers += 1;
        let now = notes.transfers;
        notes.short.filter(|short| short.nth == now).map_or(usize::MAX, |short| short.at_most)
    }

    fn noted<T>(&self, call: Call, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            let mut notes = self.notes.lock().unwrap();
            notes.failures += 1;
            notes.untold += u64::from(matches!(call, Call::Write | Call::Sync));
        }
        result
    }
}

impl Store for Watched {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        let len = self.most().min(into.len());
        self.noted(Call::Read, self.inner.read(offset, &mut into.part(0..len)))
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut left = self.most();
        let bufs = bufs.iter().map(|buf| {
            let len = left.min(buf.len());
            left -= len;
            IoSlice::new(&buf[..len])
        });
        self.noted(Call::Write, self.inner.write(offset, &bufs.collect::<Vec<_>>()))
    }

    fn sync(&self) -> io::Result<()> {
        self.noted(Call::Sync, self.inner.sync())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noted(Call::SetLen, self.inner.set_len(len))
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.noted(Call::Punch, self.inner.punch(offset, len))
    }
}
