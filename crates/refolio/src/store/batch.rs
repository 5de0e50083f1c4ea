//! Reads that a store is asked for together, so that its medium has many of them in hand at once.

use crate::frame::FillBuf;
use std::io;

/// One read of a [`ReadBatch`].
#[derive(Debug)]
pub struct BatchRead<'a> {
    key: usize,
    offset: u64,
    into: FillBuf<'a>,
}

impl<'a> BatchRead<'a> {
    /// A read of all of `into`, from byte `offset` of the store on. The `key` is for whoever made
    /// the batch, to know the read by.
    pub fn new(key: usize, offset: u64, into: FillBuf<'a>) -> Self {
        Self { key, offset, into }
    }

    /// What the read is known by.
    pub fn key(&self) -> usize {
        self.key
    }

    /// The first byte of the store to be read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The byte behind the last one to be read.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.into.len() as u64)
    }

    /// Where the bytes go.
    pub fn buf(&mut self) -> &mut FillBuf<'a> {
        &mut self.into
    }
}

/// A batch of reads: a store [takes](Self::take) as many as its medium is to have in hand, and
/// [answers](Self::answer) them in any order, with which it may go on to take others.
pub trait ReadBatch<'a> {
    /// The next read; None when there is none, or none before those which were taken are answered.
    /// (So a store that had None answers what it has, and returns.) Reads that follow each other
    /// in the store mostly come one after the other.
    fn take(&mut self) -> Option<BatchRead<'a>>;

    /// What became of a read: as [`Store::read`](super::Store::read) would return it. One that is
    /// dropped without an answer is read again, by itself.
    fn answer(&mut self, read: BatchRead<'a>, result: io::Result<usize>);
}
