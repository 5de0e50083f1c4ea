//! The player's hands for write guards.

use refolio::{Error, Migrate, Mode, NodeId, Outcome, PAGE_SIZE, PageIndex, PageMut, Sharing};

use super::ops::InGuard;
use super::play::Player;
use super::stage::Tested;
use crate::bytes::same;

impl Player<'_> {
    /// Takes a page in hand, and does something with it.
    pub fn guard(&mut self, n: usize, page: u64, fill: u16, what: &InGuard) {
        let (n, file) = self.file(n);
        if file.read_only_first {
            let refused = file.handles[0].page_mut(PageIndex(page)).map_err(|error| *error);
            assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
        }
        let view = matches!(what, InGuard::EndView)
            .then(|| file.writer().view(page..page + 1, Sharing::Shared).unwrap());
        if let Some(view) = &view {
            // Mapped, if it can be.
            let _ = view.read(&mut [0], 0);
        }
        match file.writer().page_mut(PageIndex(page)).map_err(|error| *error) {
            Ok(mut guard) => {
                assert!(page < file.pages() && !file.poisoned.borrow().contains(&page));
                self.check_guard(n, page, &guard);
                match what {
                    InGuard::EndView => drop(view),
                    _ => self.in_guard((n, page), fill, what, &mut guard),
                }
            }
            Err(Error::OutOfRange { .. }) => assert!(page >= file.pages()),
            Err(Error::Poisoned { .. }) => assert!(file.poisoned.borrow().contains(&page)),
            Err(Error::Held { .. }) => assert!(self.may_be_pinned(n, page..page + 1)),
            Err(other) => panic!("page_mut: {other}"),
        }
    }

    fn check_guard(&self, n: usize, page: u64, guard: &PageMut<'_>) {
        let bytes = self.stage.files[n].bytes.borrow();
        let rest = &bytes[page as usize * PAGE_SIZE..];
        assert_eq!(guard.len(), rest.len().min(PAGE_SIZE));
        let mut found = vec![0; guard.len()];
        guard.read(0, &mut found);
        same(&found, &rest[..guard.len()], "a page in hand");
        self.check_word(n, page, guard.private());
    }

    /// The embedder's word, if the page still has one, is the newest that its folio was given.
    pub fn check_word(&self, n: usize, page: u64, found: Option<u64>) {
        let file = &self.stage.files[n];
        let words = file.words.borrow();
        let newest = |order: u32| {
            let first = page >> order << order;
            words.range(first..first + (1 << order)).map(|(_, word)| *word).max()
        };
        let mut newest = (0..=file.order).map(|order| newest(order).and_then(|newest| newest.1));
        assert!(
            found.is_none() || newest.any(|newest| newest == found),
            "word {found:?} of page {page}"
        );
    }

    fn in_guard(&mut self, at: (usize, u64), fill: u16, what: &InGuard, guard: &mut PageMut<'_>) {
        let (n, page) = at;
        let file = &self.stage.files[n];
        match what {
            InGuard::Write { pieces } => {
                let mut rng = fastrand::Rng::with_seed(fill.into());
                for _ in 0..*pieces {
                    let start = rng.usize(..guard.len());
                    let from = self.some(fill, rng.usize(..=guard.len() - start));
                    guard.write(start, &from);
                    let start = page as usize * PAGE_SIZE + start;
                    file.bytes.borrow_mut()[start..start + from.len()].copy_from_slice(&from);
                }
            }
            InGuard::Word(word) => {
                self.serial += 1;
                let word = word.map(|_| self.serial);
                guard.set_private(word);
                assert_eq!(guard.private(), word);
                file.words.borrow_mut().insert(page, (self.serial, word));
            }
            InGuard::Poison if file.order == 0 => {
                guard.poison();
                file.poisoned.borrow_mut().insert(page);
            }
            InGuard::Poison | InGuard::EndView => {}
            InGuard::Read { file, offset, len } => self.read_in_guard(at, *file, *offset, *len),
            InGuard::Refused => self.refused(file),
            InGuard::Another { page: other } => {
                match file.writer().page_mut(PageIndex(*other)).map_err(|error| *error) {
                    Ok(guard) => self.check_guard(n, *other, &guard),
                    Err(Error::OutOfRange { .. }) => assert!(*other >= file.pages()),
                    Err(Error::GuardHeld { .. }) => {
                        let pinned = self.may_be_pinned(n, *other..other + 1);
                        assert!(pinned || self.same_block(at, n, *other));
                    }
                    Err(Error::Poisoned { .. }) => assert!(file.poisoned.borrow().contains(other)),
                    Err(Error::Held { .. }) => assert!(self.may_be_pinned(n, *other..other + 1)),
                    Err(other) => panic!("a second guard: {other}"),
                }
            }
            InGuard::Migrate { to } => self.migrate_in_guard(at, *to),
        }
    }

    /// Whether two pages may be of one folio.
    fn same_block(&self, at: (usize, u64), n: usize, page: u64) -> bool {
        let order = self.stage.files[n].order;
        at.0 == n && at.1 >> order == page >> order
    }

    fn read_in_guard(&self, at: (usize, u64), n: usize, offset: usize, len: usize) {
        let (n, file) = self.file(n);
        let mut into = vec![0; len];
        match file.reader(offset).read_at(&mut into, offset as u64).map_err(|error| *error) {
            Ok(got) => {
                let bytes = file.bytes.borrow();
                let expected = &bytes[bytes.len().min(offset)..];
                assert_eq!(got, expected.len().min(len));
                same(&into[..got], &expected[..got], "a read beside a guard");
            }
            Err(Error::GuardHeld { .. }) => {
                let mut pages = offset / PAGE_SIZE..(offset + len).div_ceil(PAGE_SIZE);
                assert!(pages.any(|page| self.same_block(at, n, page as u64)));
            }
            Err(Error::Poisoned { .. }) => assert!(file.poisoned_in(offset, len).is_some()),
            Err(other) => panic!("a read beside a guard: {other}"),
        }
    }

    /// Whoever has a page in hand does not wait for others.
    fn refused(&self, file: &Tested) {
        let writer = file.writer();
        let sync = Migrate::new().mode(Mode::Sync);
        let refusals = [
            writer.write_at(b"no", 0),
            writer.set_len(0),
            writer.punch_hole(0, 1),
            writer.sync(),
            writer.evict(0..1).map(drop),
            writer.migrate(0..1, NodeId(0), &sync).map(drop),
            self.stage.cache.drain(NodeId(0), &sync).map(drop),
            self.stage.cache.write_back(),
        ];
        // A hole behind the end of an empty file is none; a node out of use is no target.
        for (which, refusal) in refusals.into_iter().enumerate() {
            let refusal = refusal.map_err(|error| *error);
            let other_reason = matches!(refusal, Err(Error::Node { .. }));
            let guard = matches!(refusal, Err(Error::GuardHeld { .. }));
            assert!(guard || other_reason, "call {which}: {refusal:?}");
        }
    }

    /// Moving without waiting goes on beside a guard, whose page stays.
    fn migrate_in_guard(&self, at: (usize, u64), to: usize) {
        let file = &self.stage.files[at.0];
        let to = NodeId((to % self.stage.nodes) as u8);
        let node = file.writer().node_of(PageIndex(at.1));
        let how = Migrate::new().mode(Mode::Async);
        let Ok(report) = file.writer().migrate(0..u64::MAX, to, &how) else {
            assert!(self.stage.cache.nodes()[to.0 as usize].drained);
            return;
        };
        assert_eq!(file.writer().node_of(PageIndex(at.1)), node, "a page in hand was moved");
        if node != Some(to) && report.counts().no_memory == 0 {
            assert!(
                report.outcomes.iter().any(|page| matches!(page.outcome, Outcome::Busy { .. }))
            );
        }
    }
}
