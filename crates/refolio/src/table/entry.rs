//! One entry of a table: what a view knows of one of its pages.
//!
//! ```text
//!  63            32 31      17 8       4 3 2 1 0
//! +----------------+--+-------+--------+-+-+-+---+
//! |     folio      |  | page  |        |d|a|w| k |   k: 0 empty, 1 present, 2 migration
//! +----------------+--+-------+--------+-+-+-+---+   w: writable, a: accessed, d: dirty
//! ```
//!
//! The bits are known to [`Entry::encode`] and [`Entry::decode`] only.

use crate::units::FrameNo;

/// What an entry says about a page that has a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mapped {
    /// First frame of the folio.
    pub folio: FrameNo,
    /// Which of the folio's pages.
    pub page: u32,
    pub writable: bool,
    /// Used through this entry since reclaim last looked.
    pub accessed: bool,
    /// Written through this entry.
    pub dirty: bool,
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing here yet.
    Empty,
    /// The page can be used; the entry holds a reference to the folio.
    Present(Mapped),
    /// The folio is being moved. The entry holds no reference; whoever meets it waits for the folio
    /// to be unlocked, and looks again.
    #[doc(alias = "swp_entry_t")]
    Migration(Mapped),
}

const PRESENT: u64 = 1;
const MIGRATION: u64 = 2;
const KIND: u64 = 3;
const WRITABLE: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 3;
const DIRTY: u64 = 1 << 4;
const PAGE_SHIFT: u32 = 8;
const PAGE: u64 = (1 << 10) - 1;
const FOLIO_SHIFT: u32 = 32;

impl Entry {
    /// As the word in the table.
    #[doc(alias = "mk_pte")]
    pub fn encode(self) -> u64 {
        let (kind, mapped) = match self {
            Entry::Empty => return 0,
            Entry::Present(mapped) => (PRESENT, mapped),
            Entry::Migration(mapped) => (MIGRATION, mapped),
        };
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        u64::from(mapped.folio.0) << FOLIO_SHIFT
            | (u64::from(mapped.page) & PAGE) << PAGE_SHIFT
            | flag(mapped.writable, WRITABLE)
            | flag(mapped.accessed, ACCESSED)
            | flag(mapped.dirty, DIRTY)
            | kind
    }

    /// From the word in the table.
    #[doc(alias = "pte_pfn")]
    pub fn decode(word: u64) -> Self {
        let mapped = Mapped {
            folio: FrameNo((word >> FOLIO_SHIFT) as u32),
            page: (word >> PAGE_SHIFT & PAGE) as u32,
            writable: word & WRITABLE != 0,
            accessed: word & ACCESSED != 0,
            dirty: word & DIRTY != 0,
        };
        match word & KIND {
            PRESENT => Entry::Present(mapped),
            MIGRATION => Entry::Migration(mapped),
            _ => Entry::Empty,
        }
    }

    /// The entry's folio, if it has one.
    pub fn mapped(self) -> Option<Mapped> {
        match self {
            Entry::Empty => None,
            Entry::Present(mapped) | Entry::Migration(mapped) => Some(mapped),
        }
    }

    /// Whether the entry says that page `page` of `folio` can be used.
    pub fn is_present(self, folio: FrameNo, page: u32) -> bool {
        matches!(self, Entry::Present(m) if m.folio == folio && m.page == page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Entry::decode(Entry::Empty.encode()), Entry::Empty);
        for bits in 0..8u32 {
            for (folio, page) in [(0, 0), (u32::MAX, 511), (7, 3)] {
                let mapped = Mapped {
                    folio: FrameNo(folio),
                    page,
                    writable: bits & 1 != 0,
                    accessed: bits & 2 != 0,
                    dirty: bits & 4 != 0,
                };
                for entry in [Entry::Present(mapped), Entry::Migration(mapped)] {
                    assert_eq!(Entry::decode(entry.encode()), entry);
                }
            }
        }
    }
}
