//! What a file may hold.
//!
//! An operation that fails midway may have done a part of what it was to do. So each page has a
//! list of contents that it may have, as a rule one; bytes that are seen rule out those they
//! contradict, and one at least must be left.

use std::ops::Range;

use refolio::PAGE_SIZE;

pub struct Holds {
    /// With zeros behind the end of the file.
    pages: Vec<Vec<Vec<u8>>>,
    len: usize,
}

/// The pages of a run of bytes.
fn pages(bytes: &Range<usize>) -> Range<usize> {
    bytes.start / PAGE_SIZE..bytes.end.div_ceil(PAGE_SIZE)
}

impl Holds {
    pub fn new(bytes: &[u8]) -> Self {
        let mut holds = Self { pages: Vec::new(), len: 0 };
        holds.resize(bytes.len());
        holds.change(0..bytes.len(), true, |at, byte| *byte = bytes[at]);
        holds
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes, which must not be in doubt.
    pub fn bytes(&self) -> Vec<u8> {
        let page = |page: &Vec<Vec<u8>>| {
            assert_eq!(page.len(), 1, "a page may hold either of two contents");
            page[0].clone()
        };
        let mut bytes: Vec<u8> = self.pages.iter().flat_map(page).collect();
        bytes.truncate(self.len);
        bytes
    }

    /// These bytes were changed; or may have been, each page of them for itself.
    pub fn change(&mut self, bytes: Range<usize>, certain: bool, change: impl Fn(usize, &mut u8)) {
        for index in pages(&bytes) {
            let start = index * PAGE_SIZE;
            let changed = self.pages[index].iter().map(|page| {
                let mut page = page.clone();
                for at in bytes.start.max(start)..bytes.end.min(start + PAGE_SIZE) {
                    change(at, &mut page[at - start]);
                }
                page
            });
            let changed: Vec<_> = changed.collect();
            match certain {
                true => self.pages[index] = changed,
                false => self.pages[index].extend(changed),
            }
        }
    }

    pub fn resize(&mut self, len: usize) {
        let end = self.pages.len() * PAGE_SIZE;
        self.change(len.min(end)..end, true, |_, byte| *byte = 0);
        self.pages.resize(len.div_ceil(PAGE_SIZE), vec![vec![0; PAGE_SIZE]]);
        self.len = len;
    }

    /// Rules out what contradicts bytes that were seen.
    #[track_caller]
    pub fn saw(&mut self, offset: usize, bytes: &[u8], what: &str) {
        for index in pages(&(offset..offset + bytes.len())) {
            let start = index * PAGE_SIZE;
            let (from, to) = (offset.max(start), (offset + bytes.len()).min(start + PAGE_SIZE));
            let seen = &bytes[from - offset..to - offset];
            self.pages[index].retain(|page| page[from - start..to - start] == *seen);
            assert!(!self.pages[index].is_empty(), "{what}: page {index} cannot hold this");
        }
    }
}
