//! What is counted while it happens, kind by kind.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use refolio::{Holder, HolderKind, Kind, Outcome, PageOutcome, Report};

/// The kinds of page, in the order of the report.
pub const KINDS: [Kind; 3] = [Kind::FileClean, Kind::FileDirty, Kind::Anonymous];

/// The place of a kind in that order.
pub fn slot(kind: Kind) -> usize {
    match kind {
        Kind::FileClean => 0,
        Kind::FileDirty => 1,
        // Anonymous, and there are no others.
        _ => 2,
    }
}

/// What migrations have answered for the pages of one kind.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// Pages moved.
    pub moved: u64,
    /// Pages that were there already.
    pub here: u64,
    /// Pages that may move at the next try, by reason.
    pub again: BTreeMap<String, u64>,
    /// Pages that somebody holds, by holder.
    pub busy: BTreeMap<String, u64>,
    /// Pages for which the other node had no free frame.
    pub no_memory: u64,
    /// Pages that were freed meanwhile.
    pub gone: u64,
    /// Pages whose bytes are not to be trusted.
    pub poisoned: u64,
    /// Time spent on all of these.
    pub took: Duration,
}

/// Moves of every kind.
#[derive(Clone, Debug, Default)]
pub struct Tally([Moves; 3]);

impl Tally {
    /// Counts one report, and says of how many pages it speaks. Its time is shared out among the
    /// kinds by their pages.
    pub fn add(&mut self, report: &Report) -> u64 {
        let mut pages = [0u64; 3];
        for outcome in &report.outcomes {
            pages[slot(outcome.kind)] += 1 << outcome.order;
            self.0[slot(outcome.kind)].add(outcome);
        }
        let all: u64 = pages.iter().sum();
        for (moves, pages) in self.0.iter_mut().zip(pages) {
            moves.took += report.elapsed.mul_f64(pages as f64 / all.max(1) as f64);
        }
        all
    }

    /// What was counted for a kind.
    pub fn of(&self, kind: Kind) -> &Moves {
        &self.0[slot(kind)]
    }

    /// All kinds together.
    pub fn total(&self) -> Moves {
        let mut total = Moves::default();
        for moves in &self.0 {
            total.moved += moves.moved;
            total.here += moves.here;
            total.no_memory += moves.no_memory;
            total.gone += moves.gone;
            total.poisoned += moves.poisoned;
            total.took += moves.took;
            for (why, pages) in &moves.again {
                *total.again.entry(why.clone()).or_default() += pages;
            }
            for (who, pages) in &moves.busy {
                *total.busy.entry(who.clone()).or_default() += pages;
            }
        }
        total
    }
}

impl Moves {
    fn add(&mut self, page: &PageOutcome) {
        let pages = 1 << page.order;
        match &page.outcome {
            Outcome::Moved { .. } => self.moved += pages,
            Outcome::Here => self.here += pages,
            Outcome::Again(why) => *self.again.entry(why.to_string()).or_default() += pages,
            Outcome::Busy { holders } => {
                *self.busy.entry(reason(holders)).or_default() += pages;
            }
            Outcome::NoMemory => self.no_memory += pages,
            Outcome::Gone => self.gone += pages,
            // Poisoned; what only a dry run answers does not come here.
            _ => self.poisoned += pages,
        }
    }
}

/// The first holder by kind and place, without what differs from page to page.
fn reason(holders: &[Holder]) -> String {
    let Some(holder) = holders.first() else { return "holder gone meanwhile".into() };
    let kind = match holder.kind {
        HolderKind::Pin => "pin",
        HolderKind::WriteGuard => "write guard",
        _ => "references not on record",
    };
    match holder.location {
        Some(at) => format!("{kind} at {}:{}", at.file(), at.line()),
        None => kind.into(),
    }
}

/// What the readers did in one phase of the run, kind by kind.
#[derive(Clone, Debug)]
pub struct Reads {
    stall: [Histogram<u64>; 3],
}

/// The longest stall that is told apart: a minute, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

impl Default for Reads {
    fn default() -> Self {
        // Two digits: 1 % steps, and small enough to stay in a reader's cache.
        let empty = Histogram::new_with_bounds(1, LONGEST, 2).expect("bounds are constants");
        Self { stall: [empty.clone(), empty.clone(), empty] }
    }
}

impl Reads {
    /// Counts one operation that took `took`.
    pub fn add(&mut self, kind: Kind, took: Duration) {
        let ns = took.as_nanos().clamp(1, u128::from(LONGEST)) as u64;
        self.stall[slot(kind)].saturating_record(ns);
    }

    /// Adds what another reader did.
    pub fn merge(&mut self, other: &Self) {
        for (into, from) in self.stall.iter_mut().zip(&other.stall) {
            into.add(from).expect("all histograms have the same bounds");
        }
    }

    /// How long the operations on pages of a kind took, in nanoseconds.
    pub fn of(&self, kind: Kind) -> &Histogram<u64> {
        &self.stall[slot(kind)]
    }

    /// All kinds together.
    pub fn total(&self) -> Histogram<u64> {
        let mut total = self.stall[0].clone();
        for stall in &self.stall[1..] {
            total.add(stall).expect("all histograms have the same bounds");
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refolio::{FrameNo, Owner, Vpn, Why};

    #[test]
    fn a_report_is_counted_in_pages_by_kind() {
        let page = |kind, order, outcome| PageOutcome {
            owner: Owner::Anonymous { page: Vpn(0) },
            kind,
            order,
            outcome,
        };
        let moved = Outcome::Moved { from: FrameNo(0), to: FrameNo(1) };
        let holders = vec![];
        let outcomes = vec![
            page(Kind::FileClean, 2, moved),
            page(Kind::FileDirty, 0, Outcome::Again(Why::Locked)),
            page(Kind::Anonymous, 1, Outcome::Busy { holders }),
            page(Kind::Anonymous, 0, Outcome::Gone),
        ];
        let mut tally = Tally::default();
        tally.add(&Report { outcomes, elapsed: Duration::from_millis(80) });
        assert_eq!(tally.of(Kind::FileClean).moved, 4);
        assert_eq!(tally.of(Kind::FileClean).took, Duration::from_millis(40));
        assert_eq!(tally.of(Kind::FileDirty).again.values().sum::<u64>(), 1);
        assert_eq!(tally.of(Kind::Anonymous).busy["holder gone meanwhile"], 2);
        assert_eq!((tally.total().gone, tally.total().moved), (1, 4));
    }

    #[test]
    fn stalls_are_kept_within_a_percent() {
        let mut reads = Reads::default();
        reads.add(Kind::Anonymous, Duration::from_micros(100));
        reads.add(Kind::FileClean, Duration::from_secs(3600));
        let mut merged = Reads::default();
        merged.merge(&reads);
        let found = merged.of(Kind::Anonymous).max();
        assert!((99_000..=101_000).contains(&found), "{found}");
        assert_eq!(merged.total().len(), 2);
    }
}
