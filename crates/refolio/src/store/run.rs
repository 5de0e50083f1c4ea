//! Reads of a batch that follow each other, as one: a disk does better with few large ones.

use super::batch::{BatchRead, ReadBatch};
use std::io;

/// Reads in a run at most: the kernel takes 1024 pieces in one call.
const RUN_READS: usize = 256;

/// Reads whose bytes follow each other.
#[derive(Debug)]
pub(super) struct Run<'a> {
    reads: Vec<BatchRead<'a>>,
}

impl<'a> Run<'a> {
    pub fn offset(&self) -> u64 {
        self.reads[0].offset()
    }

    pub fn reads(&mut self) -> &mut [BatchRead<'a>] {
        &mut self.reads
    }
}

/// The runs of a batch.
pub(super) struct Runs<'b, 'a> {
    batch: &'b mut (dyn ReadBatch<'a> + 'b),
    /// A read that begins the next run.
    next: Option<BatchRead<'a>>,
    /// Bytes in a run at most.
    max_bytes: u64,
}

impl<'b, 'a> Runs<'b, 'a> {
    pub fn of(batch: &'b mut (dyn ReadBatch<'a> + 'b), max_bytes: u64) -> Self {
        Self { batch, next: None, max_bytes }
    }

    /// The next run of reads that `fits` accepts. The others are given to `alone`, one by one.
    pub fn next(
        &mut self,
        fits: impl Fn(&mut BatchRead<'a>) -> bool,
        alone: impl Fn(&mut BatchRead<'a>) -> io::Result<usize>,
    ) -> Option<Run<'a>> {
        let mut run: Option<Run<'a>> = None;
        loop {
            let Some(mut read) = self.next.take().or_else(|| self.batch.take()) else {
                return run;
            };
            if !fits(&mut read) {
                let result = alone(&mut read);
                self.batch.answer(read, result);
                continue;
            }
            match &mut run {
                None => run = Some(Run { reads: vec![read] }),
                Some(Run { reads }) => {
                    let follows = reads.last().is_some_and(|last| last.end() == read.offset())
                        && reads.len() < RUN_READS
                        && read.end() - reads[0].offset() <= self.max_bytes;
                    if !follows {
                        self.next = Some(read);
                        return run;
                    }
                    reads.push(read);
                }
            }
        }
    }

    /// What became of a run. Where it failed, or ended short, each of its reads that got no byte is
    /// left to be asked for by itself: then it is known which of them it is.
    pub fn answer(&mut self, run: Run<'a>, result: io::Result<usize>) {
        let alone = run.reads.len() == 1;
        let mut left = match result {
            Ok(done) => done as u64,
            Err(error) => {
                if let Some(read) = run.reads.into_iter().next().filter(|_| alone) {
                    self.batch.answer(read, Err(error));
                }
                return;
            }
        };
        let ends = run.reads.iter().map(|read| {
            let done = left.min(read.end() - read.offset());
            left -= done;
            done as usize
        });
        let ends: Vec<_> = ends.collect();
        // The last one first: who waits for the bytes waits for the first of them, as a rule, and
        // finds the others there.
        for (read, done) in run.reads.into_iter().zip(ends).rev() {
            if done > 0 || alone {
                self.batch.answer(read, Ok(done));
            }
        }
    }
}
