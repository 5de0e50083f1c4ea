//! Many reads in one call: the misses of the processor's caches are waited for together, and those
//! of the disk are.
//!
//! ```text
//! hits      each is copied as any optimistic read, those that come next are prefetched meanwhile
//! misses    their pages, in the order of the file, are filled as one batch (`batch.rs`); each is
//!           copied out as it comes, under the reference of its fill
//! rest      what somebody else was filling, or what had a page already but was disturbed: by itself
//! ```

use crate::batch::{self, Failed, Need, Purpose};
use crate::core::{Core, FolioRef};
use crate::error::{Error, Result};
use crate::folio::Use;
use crate::mapping::Mapping;
use crate::read;
use crate::sync::Arc;
use crate::units::{PAGE_SIZE, PageIndex, pieces};
use std::ops::Range;

/// Reads ahead of the one that is copied that are prefetched.
const PREFETCH: usize = 8;

/// Pieces of pages that are filled together at most: 4 MiB.
const MAX_PIECES: usize = 1024;

/// One of the reads of [`File::read_many`](crate::File::read_many).
#[derive(Debug)]
pub struct ReadAt<'b> {
    offset: u64,
    into: &'b mut [u8],
    done: usize,
}

impl<'b> ReadAt<'b> {
    /// A read of the bytes from `offset` on.
    pub fn new(offset: u64, into: &'b mut [u8]) -> Self {
        Self { offset, into, done: 0 }
    }

    /// The first byte to be read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes were read: fewer than asked for at the end of the file, or where a page could
    /// not be read.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The bytes that were read.
    pub fn bytes(&self) -> &[u8] {
        &self.into[..self.done]
    }
}

/// A part of one page that one of the reads asks for, and does not have yet.
#[derive(Debug)]
struct Piece {
    index: PageIndex,
    read: usize,
    within: usize,
    part: Range<usize>,
    copied: bool,
}

/// Does all the reads. Returns the failure of the first that failed; the others are done.
pub(crate) fn from_file(
    core: &Core,
    mapping: &Arc<Mapping>,
    uses: Use,
    reads: &mut [ReadAt<'_>],
) -> Result<()> {
    let len = mapping.len();
    let mut missing = Missing { core, mapping, uses, pieces: Vec::new(), error: None };
    for at in 0..reads.len() {
        if let Some(next) = reads.get(at + PREFETCH) {
            core.prefetch_page(mapping, next.offset);
        }
        let ReadAt { offset, into, done } = &mut reads[at];
        let there = usize::try_from(len.saturating_sub(*offset)).unwrap_or(usize::MAX);
        *done = into.len().min(there);
        for (index, within, part) in pieces(*offset, *done) {
            if !read::optimistic(core, mapping, uses, index, within, &mut into[part.clone()]) {
                missing.pieces.push(Piece { index, read: at, within, part, copied: false });
            }
        }
        if missing.pieces.len() >= MAX_PIECES {
            missing.fill(reads);
        }
    }
    missing.fill(reads);
    // Truncated meanwhile: as in `read::from_file`.
    let reach = mapping.reach();
    for read in reads {
        let there = usize::try_from(reach.saturating_sub(read.offset)).unwrap_or(usize::MAX);
        read.done = read.done.min(there);
    }
    missing.error.map_or(Ok(()), |(_, error)| Err(error))
}

struct Missing<'c, 'm> {
    core: &'c Core,
    mapping: &'m Arc<Mapping>,
    uses: Use,
    pieces: Vec<Piece>,
    /// The first failure, and of which of the reads.
    error: Option<(usize, Box<Error>)>,
}

impl<'c> Missing<'c, '_> {
    /// Reads the pieces in, all together.
    fn fill(&mut self, reads: &mut [ReadAt<'_>]) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|piece| piece.index);
        let indices: Vec<_> =
            pieces.chunk_by(|a, b| a.index == b.index).map(|same| same[0].index).collect();
        let core = self.core;
        let mut copy = |folio: &FolioRef<'c>, base: PageIndex| {
            let end = base.0 + u64::from(folio.folio().pages());
            let first = pieces.partition_point(|piece| piece.index < base);
            for piece in pieces[first..].iter_mut().take_while(|piece| piece.index.0 < end) {
                let start = (piece.index.0 - base.0) as usize * PAGE_SIZE + piece.within;
                let into = &mut reads[piece.read].into[piece.part.clone()];
                core.frames.read(folio.frame, start, into);
                piece.copied = true;
            }
        };
        let mut failed = if indices.len() > 1 {
            let mut indices = indices.into_iter();
            let purpose = Purpose { uses: self.uses, ..Purpose::from(Need::Now) };
            batch::fill(core, self.mapping, purpose, &mut indices, &mut copy)
        } else {
            Failed::new()
        };
        for piece in pieces.iter().filter(|piece| !piece.copied) {
            self.by_itself(piece, &mut reads[piece.read], &mut failed);
        }
    }

    /// Reads one piece that the batch has not brought.
    fn by_itself(&mut self, piece: &Piece, read: &mut ReadAt<'_>, failed: &mut Failed) {
        // It failed at an earlier page.
        if piece.part.start >= read.done {
            return;
        }
        let into = &mut read.into[piece.part.clone()];
        let known = failed.iter().position(|(pages, _)| pages.contains(&piece.index.0));
        let result = match known {
            Some(at) => Err(failed.swap_remove(at).1),
            None => {
                let Piece { index, within, .. } = *piece;
                read::referenced(self.core, self.mapping, self.uses, index, within, into)
            }
        };
        let Err(error) = result else { return };
        read.done = read.done.min(piece.part.start);
        // Truncated meanwhile: that is the end of the file, and no failure.
        if error.is_out_of_range() {
            return;
        }
        if self.error.as_ref().is_none_or(|(first, _)| piece.read < *first) {
            self.error = Some((piece.read, error));
        }
    }
}
