//! The player's hands for migration and drains.

use std::time::{Duration, Instant};

use refolio::{
    Error, HolderKind, Kind, Migrate, Mode, NodeId, Outcome, Owner, PageIndex, PageOutcome, Report,
};

use super::ops::{How, Wait, What};
use super::play::Player;

impl How {
    fn migrate(&self) -> Migrate<'static> {
        let mode = match self.wait {
            Wait::Async => Mode::Async,
            Wait::Light => Mode::Light,
            Wait::Sync => Mode::Sync,
            Wait::UntilSoon => Mode::Until(Instant::now() + Duration::from_micros(200)),
        };
        Migrate::new().mode(mode).form(self.form).batch(self.batch)
    }
}

impl Player<'_> {
    fn node(&self, n: usize) -> NodeId {
        NodeId((n % self.stage.nodes) as u8)
    }

    pub fn migrate(&mut self, what: &What, to: usize, how: &How) {
        if matches!(what, What::View { .. }) && self.stage.views.is_empty() {
            return;
        }
        let to = self.node(to);
        let target = self.stage.cache.nodes()[to.0 as usize].clone();
        let asked = self.ask(what, to).unwrap();
        match self.order(what, to, how).map_err(|error| *error) {
            Err(Error::Node { .. }) => assert!(target.drained),
            Err(other) => panic!("migrate: {other}"),
            Ok(report) => {
                assert!(!target.drained);
                assert!(!self.stage.quiet || report.outcomes.len() == asked.outcomes.len());
                report.outcomes.iter().for_each(|page| self.check_outcome(page));
                // Nothing was pushed off the target to make room: whoever moved there is there.
                let moved = report.counts().moved;
                if self.stage.quiet && moved + moved / 8 + 16 < target.nr_free_pages {
                    self.check_arrived(&report, to);
                    self.check_asked(&asked, &report);
                }
            }
        }
    }

    /// The dry run.
    fn ask(&self, what: &What, to: NodeId) -> refolio::Result<Report> {
        match what {
            What::File { file, first, pages } => {
                let range = *first..first.saturating_add(*pages);
                self.file(*file).1.writer().would_move(range, to)
            }
            What::View { view, first, pages } => {
                let range = *first..first.saturating_add(*pages);
                self.stage.views[view % self.stage.views.len()].view.would_move(range, to)
            }
            What::Node(from) => self.stage.cache.would_move(self.node(*from), to),
        }
    }

    fn order(&self, what: &What, to: NodeId, how: &How) -> refolio::Result<Report> {
        let how = &how.migrate();
        match what {
            What::File { file, first, pages } => {
                let range = *first..first.saturating_add(*pages);
                self.file(*file).1.writer().migrate(range, to, how)
            }
            What::View { view, first, pages } => {
                let range = *first..first.saturating_add(*pages);
                self.stage.views[view % self.stage.views.len()].view.migrate(range, to, how)
            }
            What::Node(from) => self.stage.cache.migrate(self.node(*from), to, how),
        }
    }

    /// Which file it is of, if it is of one.
    fn file_of(&self, page: &PageOutcome) -> Option<(usize, u64)> {
        let Owner::File { file: number, index } = page.owner else { return None };
        let files = &self.stage.files;
        Some((files.iter().position(|file| file.writer().number() == number)?, index.0))
    }

    fn check_outcome(&self, page: &PageOutcome) {
        let end = |index: u64| index + (1 << page.order);
        match &page.outcome {
            Outcome::Busy { holders } => {
                assert!(!holders.is_empty(), "busy, but nobody holds it: {page:?}");
                // The cache's own thread holds pages for a moment, too.
                if let Some((file, index)) = self.file_of(page).filter(|_| self.stage.quiet) {
                    assert!(self.may_be_pinned(file, index..end(index)), "not pinned: {page:?}");
                }
                if self.stage.name_holders && self.stage.quiet {
                    assert!(holders.iter().all(|h| h.kind == HolderKind::Pin), "{page:?}");
                }
            }
            Outcome::Poisoned => {
                let (file, index) = self.file_of(page).expect("anonymous memory was not poisoned");
                assert!(self.stage.files[file].poisoned.borrow().contains(&index));
            }
            Outcome::Again(why) => {
                assert!(!self.stage.quiet, "nobody is in the way, and yet: {why}, {page:?}");
            }
            Outcome::WouldMove => panic!("that was no dry run"),
            Outcome::Gone if self.stage.quiet => {
                assert_ne!(page.kind, Kind::Anonymous, "{page:?}");
                if let Some((file, index)) = self.file_of(page) {
                    let node = self.stage.files[file].writer().node_of(PageIndex(index));
                    assert_eq!(node, None, "not gone: {page:?}");
                }
            }
            _ => {}
        }
    }

    fn check_arrived(&self, report: &Report, to: NodeId) {
        for page in &report.outcomes {
            let there = matches!(page.outcome, Outcome::Moved { .. } | Outcome::Here);
            if let Some((file, index)) = self.file_of(page).filter(|_| there) {
                let node = self.stage.files[file].writer().node_of(PageIndex(index));
                assert_eq!(node, Some(to), "{page:?}");
            }
        }
    }

    /// The dry run said what then happened.
    fn check_asked(&self, asked: &Report, report: &Report) {
        for (asked, page) in asked.outcomes.iter().zip(&report.outcomes) {
            assert_eq!((asked.owner, asked.kind, asked.order), (page.owner, page.kind, page.order));
            let kept = match (&asked.outcome, &page.outcome) {
                (Outcome::WouldMove, Outcome::Moved { .. }) => true,
                // Room is made that the dry run did not make.
                (Outcome::NoMemory, _) | (_, Outcome::NoMemory) => true,
                // Several entries of one folio: the first has moved it.
                (Outcome::WouldMove, Outcome::Here) => {
                    matches!(page.owner, Owner::Anonymous { .. })
                }
                (Outcome::Busy { .. }, Outcome::Busy { .. }) => true,
                (said, done) => said == done,
            };
            assert!(kept, "asked, it said {asked:?}; done: {page:?}");
        }
    }

    pub fn drain(&mut self, node: usize, how: &How) {
        let node = self.node(node);
        let before = self.stage.cache.nodes();
        let others = before.iter().filter(|other| other.id != node && !other.drained).count();
        let report = match self.stage.cache.drain(node, &how.migrate()).map_err(|error| *error) {
            Err(Error::Node { .. }) => return assert_eq!(others, 0),
            result => result.unwrap(),
        };
        assert!(others > 0, "no node is left in use");
        let after = &self.stage.cache.nodes()[node.0 as usize];
        assert!(after.drained);
        report.outcomes.iter().for_each(|page| self.check_outcome(page));
        let left: u64 = report.left().map(|page| 1 << page.order).sum();
        if self.stage.quiet {
            assert_eq!(
                after.nr_free_pages + left,
                after.frames,
                "{:?}",
                report.left().collect::<Vec<_>>()
            );
            for page in report.left() {
                // Room is not made by who does not wait, nor in one piece for a large folio.
                let excused = (how.wait == Wait::Async || page.order > 0)
                    && page.outcome == Outcome::NoMemory;
                let held = matches!(page.outcome, Outcome::Busy { .. } | Outcome::Poisoned);
                assert!(held || excused, "{page:?}");
            }
        }
    }
}
