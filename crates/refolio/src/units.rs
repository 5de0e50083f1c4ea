//! The units of a page cache as types, so that an index is never taken for a frame.

use std::fmt;

/// Bytes in a page, and in the frame that holds it. (Tiny under the model checker, whose every
/// word is a point where threads may interleave.)
pub const PAGE_SIZE: usize = if cfg!(refolio_model) { 16 } else { 4096 };

/// Frames that are taken from a node together at most, and go together: as many as one read of a store
/// has.
pub(crate) const BLOCK: u32 = if cfg!(refolio_model) { 1 } else { 64 };

/// The largest folio is `2^MAX_ORDER` pages: 2 MiB.
pub const MAX_ORDER: u32 = if cfg!(refolio_model) { 2 } else { 9 };

/// Pages of the largest file that can be cached.
pub(crate) const MAX_FILE_PAGES: u64 = 1 << 40;

/// Bytes of the largest file that can be cached: 4 PiB.
pub const MAX_FILE_BYTES: u64 = MAX_FILE_PAGES * PAGE_SIZE as u64;

/// The position of a page in its file, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(pub u64);

impl PageIndex {
    /// The page that holds byte `offset` of the file.
    pub const fn of_offset(offset: u64) -> Self {
        Self(offset / PAGE_SIZE as u64)
    }

    /// How many pages a file of `len_bytes` has, the last one perhaps in part.
    pub const fn count(len_bytes: u64) -> u64 {
        len_bytes.div_ceil(PAGE_SIZE as u64)
    }

    /// The first byte of the page; saturates at the end of the 64-bit offsets.
    pub const fn offset(self) -> u64 {
        self.0.saturating_mul(PAGE_SIZE as u64)
    }

    /// The first page of the aligned run of `2^order` pages that this page is in.
    pub const fn align_down(self, order: u32) -> Self {
        Self(self.0 & !((1 << order) - 1))
    }
}

impl fmt::Display for PageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A page of a view, counted from the view's start (a "virtual page number").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vpn(pub u64);

/// A page frame, numbered over all nodes of a cache: descriptor and bytes are one multiplication
/// away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNo(pub u32);

impl FrameNo {
    /// The frame `pages` further on.
    pub(crate) const fn add(self, pages: u32) -> Self {
        Self(self.0 + pages)
    }
}

/// A memory node of a cache. Node 0 is the fastest; a larger number is a lower tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u8);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// Pages in a folio of `order`.
pub(crate) const fn pages(order: u32) -> u32 {
    1 << order
}

/// Bytes in a folio of `order`.
pub(crate) const fn folio_bytes(order: u32) -> usize {
    PAGE_SIZE << order
}

/// Cuts a run of bytes at the page boundaries: page, offset in the page, and which of the bytes.
pub(crate) fn pieces(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (PageIndex, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE_SIZE as u64) as usize;
        let part = (PAGE_SIZE - within).min(len - done);
        let start = done;
        done += part;
        (part > 0).then_some((PageIndex::of_offset(at), within, start..start + part))
    })
}
