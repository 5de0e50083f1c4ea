//! Stores that do with a batch what a store may do.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use refolio::{FillBuf, MemStore, ReadBatch, Store};

/// What a [`Handful`] does with the reads it has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers all of them, the last one first.
    Answer,
    /// Answers every other one; the rest it drops.
    AnswerSome,
    /// Answers with half of the bytes.
    AnswerShort,
    /// Says that it was interrupted.
    Interrupted,
    /// Takes none.
    Nothing,
    /// Panics when it has them all in hand.
    Panic,
}

/// Bytes in memory, of which many are in hand at a time.
pub struct Handful {
    pub inner: MemStore,
    pub does: Does,
    /// Reads that were in hand at once, at most.
    pub most: AtomicUsize,
    /// Reads that came by themselves.
    pub alone: AtomicUsize,
}

impl Handful {
    pub fn new(bytes: Vec<u8>, does: Does) -> Self {
        let inner = MemStore::with_bytes(bytes);
        Self { inner, does, most: AtomicUsize::new(0), alone: AtomicUsize::new(0) }
    }
}

impl Store for Handful {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.alone.fetch_add(1, Relaxed);
        self.inner.read(offset, into)
    }

    fn read_batch<'a>(&self, batch: &mut (dyn ReadBatch<'a> + '_)) {
        let mut hand = Vec::new();
        while self.does != Does::Nothing
            && let Some(read) = batch.take()
        {
            hand.push(read);
        }
        self.most.fetch_max(hand.len(), Relaxed);
        assert!(self.does != Does::Panic || hand.is_empty(), "told to panic");
        for (n, mut read) in hand.into_iter().enumerate().rev() {
            let (offset, len) = (read.offset(), read.buf().len());
            match self.does {
                Does::Answer | Does::Nothing | Does::Panic => {
                    let result = self.inner.read(offset, read.buf());
                    batch.answer(read, result);
                }
                Does::AnswerSome if n % 2 == 0 => {
                    let result = self.inner.read(offset, read.buf());
                    batch.answer(read, result);
                }
                Does::AnswerSome => {}
                Does::AnswerShort => {
                    let result = self.inner.read(offset, &mut read.buf().part(0..len / 2));
                    batch.answer(read, result);
                }
                Does::Interrupted => {
                    batch.answer(read, Err(io::ErrorKind::Interrupted.into()));
                }
            }
        }
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write(offset, bufs)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}
