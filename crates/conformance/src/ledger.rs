//! What a page may hold at this moment: who has written what, and what was cut off.
//!
//! A page is written in one or more *parts*, and each part has one writer, who numbers its writes.
//! The ledger knows of each part:
//!
//! | word | moves | means |
//! |---|---|---|
//! | `begun` | before a write | nothing newer can be seen |
//! | `done` | after it returned | nothing older may be seen, by whoever looks from now on |
//! | `cut` | after a truncation returned | what was done before it began: never to be seen again |
//! | `maybe_cut` | just before that | what had begun when it ended: zeros may stand in its place |
//!
//! Whoever looks at a page notes `done` and `cut` before, and compares with `begun` and `maybe_cut`
//! after. All accesses are SeqCst: this is the suite, not what it measures.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use refolio::PAGE_SIZE;

use crate::content::{Content, LINES, Stamp};
use crate::verdict::Wrong;

/// Pages of each file of a case: few, so that they are fought over.
pub const PAGES: u64 = 32;

#[derive(Debug, Default)]
struct Part {
    begun: AtomicU64,
    done: AtomicU64,
    cut: AtomicU64,
    maybe_cut: AtomicU64,
}

/// The books of one file.
#[derive(Debug)]
pub struct Ledger {
    file: u32,
    seed: u64,
    parts_per_page: usize,
    parts: Vec<Part>,
    cuts_begun: AtomicU64,
    cuts_ended: AtomicU64,
}

/// What was known of a part before somebody looked at it.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    part: usize,
    done: u64,
    cut: u64,
}

impl Before {
    /// The generation whose write had returned.
    pub fn done(self) -> u64 {
        self.done
    }
}

/// What is wrong, and in which words.
pub type Damage = (Wrong, String);

impl Ledger {
    /// The books of a new file, every part of which holds generation 1.
    pub fn new(file: u32, seed: u64, parts_per_page: usize) -> Self {
        Self::with_pages(file, seed, parts_per_page, PAGES)
    }

    /// The books of a new file of so many pages.
    pub fn with_pages(file: u32, seed: u64, parts_per_page: usize, pages: u64) -> Self {
        let part = || Part { begun: 1.into(), done: 1.into(), ..Part::default() };
        let parts = (0..pages as usize * parts_per_page).map(|_| part()).collect();
        let (cuts_begun, cuts_ended) = Default::default();
        Self { file, seed, parts_per_page, parts, cuts_begun, cuts_ended }
    }

    /// The bytes of the file as it is made.
    pub fn first_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.parts.len() * self.part_len()];
        for (index, page) in (0..).zip(bytes.chunks_exact_mut(PAGE_SIZE)) {
            Stamp { file: self.file, index, generation: 1, writer: 0 }.fill(self.seed, 0, page);
        }
        bytes
    }

    /// The seed of its bytes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many parts the file has.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The parts of a page.
    pub fn parts_of(&self, page: u64) -> Range<usize> {
        let first = page as usize * self.parts_per_page;
        first..first + self.parts_per_page
    }

    /// Bytes in a part.
    pub fn part_len(&self) -> usize {
        PAGE_SIZE / self.parts_per_page
    }

    /// Where a part begins in the file.
    pub fn offset(&self, part: usize) -> u64 {
        (part * self.part_len()) as u64
    }

    /// The page that a part is of, and its first line there.
    pub fn place(&self, part: usize) -> (u64, usize) {
        (self.page(part), self.first_line(part))
    }

    fn page(&self, part: usize) -> u64 {
        (part / self.parts_per_page) as u64
    }

    fn first_line(&self, part: usize) -> usize {
        part % self.parts_per_page * (LINES / self.parts_per_page)
    }

    /// Writes a part: by `write`, which gets the bytes, and answers whether they were taken.
    pub fn write<E>(
        &self,
        part: usize,
        writer: u32,
        into: &mut [u8],
        write: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let generation = self.parts[part].begun.fetch_add(1, SeqCst) + 1;
        let stamp = Stamp { file: self.file, index: self.page(part), generation, writer };
        stamp.fill(self.seed, self.first_line(part), into);
        write(into)?;
        self.parts[part].done.store(generation, SeqCst);
        Ok(())
    }

    /// Truncates pages: by `cut`.
    pub fn cut<E>(&self, pages: Range<u64>, cut: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.cuts_begun.fetch_add(1, SeqCst);
        let parts = self.parts_of(pages.start).start..self.parts_of(pages.end).start;
        let parts = &self.parts[parts];
        let done: Vec<_> = parts.iter().map(|part| part.done.load(SeqCst)).collect();
        cut()?;
        for (part, done) in parts.iter().zip(done) {
            part.maybe_cut.fetch_max(part.begun.load(SeqCst), SeqCst);
            part.cut.fetch_max(done, SeqCst);
        }
        self.cuts_ended.fetch_add(1, SeqCst);
        Ok(())
    }

    /// How many truncations have begun; None while one is under way.
    pub fn cuts(&self) -> Option<u64> {
        // In this order: equal numbers mean that all which had begun had ended.
        let ended = self.cuts_ended.load(SeqCst);
        (self.cuts_begun.load(SeqCst) == ended).then_some(ended)
    }

    /// To be called before the look at a part that [`judge`](Self::judge) is to judge.
    pub fn before(&self, part: usize) -> Before {
        let Part { done, cut, .. } = &self.parts[part];
        Before { part, done: done.load(SeqCst), cut: cut.load(SeqCst) }
    }

    /// Whether nobody wrote the part between `before` and now: then nothing but its last generation
    /// may have been seen, where looks are not atomic either.
    pub fn is_quiet(&self, before: Before) -> bool {
        self.parts[before.part].begun.load(SeqCst) == before.done
    }

    /// Whether this generation of a part has been cut off for certain.
    pub fn is_cut(&self, part: usize, generation: u64) -> bool {
        self.parts[part].cut.load(SeqCst) >= generation
    }

    /// Judges what a look found (None: no such page). The answer is the generation, or None for a
    /// part that was cut off.
    ///
    /// # Errors
    /// What is wrong with it. An older generation than `before` allows is called a stale page;
    /// whether it is a lost write, a second look tells.
    pub fn judge(&self, before: Before, found: Option<&[u8]>) -> Result<Option<u64>, Damage> {
        let part = before.part;
        let content = found
            .map_or(Content::Zeros, |bytes| Content::of(self.seed, self.first_line(part), bytes));
        let is_own = |stamp: Stamp| stamp.file == self.file && stamp.index == self.page(part);
        let damage = |wrong, found: String| {
            let Before { done, .. } = before;
            let (file, page) = (self.file, self.page(part));
            Err((
                wrong,
                format!("page {page} of file {file} has {found}; generation {done} was written"),
            ))
        };
        match content {
            Content::Zeros if self.may_be_empty(before) => Ok(None),
            Content::Zeros if found.is_none() => damage(Wrong::ZeroedPage, "no bytes".into()),
            Content::Zeros => damage(Wrong::ZeroedPage, "zeros".into()),
            Content::Whole(stamp) if is_own(stamp) => match stamp.generation {
                old if old <= before.cut => {
                    damage(Wrong::ResurrectedPage, format!("generation {old}, which was cut off"))
                }
                old if old < before.done => damage(Wrong::StalePage, format!("generation {old}")),
                new if new > self.parts[part].begun.load(SeqCst) => {
                    damage(Wrong::GarbledPage, format!("generation {new} of the future"))
                }
                now => Ok(Some(now)),
            },
            Content::Torn { first, then, line }
                if [first, then].into_iter().flatten().all(is_own) =>
            {
                let name = |stamp: Option<Stamp>| {
                    stamp.map_or("zeros".into(), |stamp| format!("generation {}", stamp.generation))
                };
                let (first, then) = (name(first), name(then));
                damage(Wrong::TornPage, format!("{first}, but from line {line} on {then}"))
            }
            Content::Whole(stamp) | Content::Misplaced(stamp) => {
                damage(Wrong::ForeignPage, format!("bytes of {stamp:?}"))
            }
            Content::Torn { first, then, line } => {
                let parts = format!("bytes of {first:?}, from line {line} on of {then:?}");
                damage(Wrong::ForeignPage, parts)
            }
            Content::Garbled { line } => {
                damage(Wrong::GarbledPage, format!("bytes in line {line} that nobody wrote"))
            }
        }
    }

    /// Whether zeros may stand in the place of what had been written before the look.
    fn may_be_empty(&self, before: Before) -> bool {
        self.cuts().is_none() || self.parts[before.part].maybe_cut.load(SeqCst) >= before.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Result<(), ()> = Ok(());

    fn bytes(index: u64, generation: u64) -> Vec<u8> {
        let mut bytes = vec![0; PAGE_SIZE];
        Stamp { file: 1, index, generation, writer: 1 }.fill(7, 0, &mut bytes);
        bytes
    }

    fn name(judged: Result<Option<u64>, Damage>) -> Result<Option<u64>, Wrong> {
        judged.map_err(|(wrong, _)| wrong)
    }

    #[test]
    fn what_was_done_and_what_has_begun_may_be_seen() {
        let ledger = Ledger::new(1, 7, 1);
        let mut page = vec![0; PAGE_SIZE];
        ledger.write(3, 1, &mut page, |_| OK).unwrap();
        let before = ledger.before(3);
        let refused = ledger.write(3, 1, &mut page, |_| Err(()));
        assert_eq!(refused, Err(()));
        let judge = |bytes: &[u8]| name(ledger.judge(before, Some(bytes)));
        assert_eq!(judge(&bytes(3, 2)), Ok(Some(2)));
        assert_eq!(judge(&bytes(3, 3)), Ok(Some(3)));
        assert_eq!(judge(&bytes(3, 1)), Err(Wrong::StalePage));
        assert_eq!(judge(&bytes(3, 4)), Err(Wrong::GarbledPage));
        assert_eq!(judge(&bytes(4, 2)), Err(Wrong::ForeignPage));
        assert_eq!(judge(&[0; PAGE_SIZE]), Err(Wrong::ZeroedPage));
        assert_eq!(name(ledger.judge(before, None)), Err(Wrong::ZeroedPage));
        let mut torn = bytes(3, 2);
        torn[1024..].copy_from_slice(&bytes(3, 3)[1024..]);
        assert_eq!(judge(&torn), Err(Wrong::TornPage));
        torn[1024..].copy_from_slice(&bytes(4, 3)[1024..]);
        assert_eq!(judge(&torn), Err(Wrong::ForeignPage));
        torn[2000] ^= 1;
        torn[..1024].copy_from_slice(&bytes(4, 3)[..1024]);
        assert_eq!(judge(&torn), Err(Wrong::GarbledPage));
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let ledger = Ledger::new(1, 7, 1);
        ledger
            .cut(4..PAGES, || {
                // Not over yet: nothing is certain.
                assert_eq!(ledger.judge(ledger.before(4), None), Ok(None));
                assert_eq!(ledger.judge(ledger.before(4), Some(&bytes(4, 1))), Ok(Some(1)));
                assert_eq!(ledger.cuts(), None);
                OK
            })
            .unwrap();
        assert_eq!(ledger.cuts(), Some(1));
        assert!(ledger.is_cut(4, 1) && !ledger.is_cut(3, 1));
        let now = ledger.before(4);
        assert_eq!(ledger.judge(now, None), Ok(None));
        assert_eq!(name(ledger.judge(now, Some(&bytes(4, 1)))), Err(Wrong::ResurrectedPage));
        assert_eq!(name(ledger.judge(ledger.before(3), None)), Err(Wrong::ZeroedPage));
        ledger.write(4, 1, &mut vec![0; PAGE_SIZE], |_| OK).unwrap();
        let now = ledger.before(4);
        assert_eq!(ledger.judge(now, Some(&bytes(4, 2))), Ok(Some(2)));
        assert_eq!(name(ledger.judge(now, None)), Err(Wrong::ZeroedPage));
    }

    #[test]
    fn the_parts_of_a_page_are_judged_one_by_one() {
        let ledger = Ledger::new(1, 7, 2);
        let mut half = vec![0; ledger.part_len()];
        ledger.write(7, 1, &mut half, |_| OK).unwrap();
        assert_eq!((ledger.parts_of(3), ledger.offset(7)), (6..8, 3 * 4096 + 2048));
        assert_eq!(ledger.judge(ledger.before(7), Some(&half)), Ok(Some(2)));
        assert_eq!(ledger.judge(ledger.before(6), Some(&bytes(3, 1)[..2048])), Ok(Some(1)));
        assert_eq!(name(ledger.judge(ledger.before(6), Some(&half))), Err(Wrong::ForeignPage));
    }
}
