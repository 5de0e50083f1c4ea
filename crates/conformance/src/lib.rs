//! What a page cache that moves its pages must do, as claims that run.
//!
//! One explicit list of [`CASES`], one for each cell of the matrix in [`refolio::protocol`] (and
//! named after it): two things that can happen to a page meet, on real threads, again and again.
//! Every page says whose it is and which write made it, so that what goes wrong has a name: a lost
//! write, a stale, foreign, torn, resurrected or zeroed page. A case passes only when what it is
//! about has really happened (pages moved, some were busy, faults met migration entries), and when
//! afterwards, at rest, everything moves, every byte is in place, in the cache and behind it, and
//! the accounts add up.
//!
//! The claims are held against a [`Subject`]: [`subjects::Refolio`], and [`subjects::Oracle`], a
//! trivial model that keeps the cases honest: what it fails is wrong in the case.
//!
//! ```
//! use refolio_conformance::{CASES, Limit, Settings, Verdict, run, subjects};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! let subject = Arc::new(subjects::Refolio::new()?);
//! let case = CASES.iter().find(|case| case.name == "migrate_write").unwrap();
//! let limit = Limit::Time(Duration::from_millis(100));
//! let outcome = run(case, subject, Settings { limit, ..Settings::with_seed(1) });
//! assert_eq!(outcome.verdict, Verdict::Pass, "{outcome}");
//! # Ok::<(), Box<refolio::Error>>(())
//! ```
//!
//! The suite speaks to its subjects from outside, so its threads and atomics are the standard
//! library's.

mod actors;
mod cases;
mod content;
pub mod event;
mod expected;
mod holding;
mod ledger;
mod rest;
mod stage;
mod subject;
pub mod subjects;
mod tally;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cases::{evict, migrate, truncate, write};

pub use content::{Content, LINE, LINES, Stamp};
pub use expected::{BadLine, Gaps, matches};
pub use ledger::PAGES;
pub use stage::Stage;
pub use subject::{
    About, At, Counters, Cut, How, Kind, Look, Moves, Need, NodeCounters, Refusal, Subject, VIEWS,
    Via,
};
pub use verdict::{Failure, Outcome, Verdict, Wrong};

/// A claim, and how it is tried.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it is called: row and column of the matrix.
    pub name: &'static str,
    /// What must be so.
    pub claim: &'static str,
    /// Where that is known from: a document, a commit or a bug of the kernel's, or a place in its
    /// source (lines as of 7.3.4).
    pub source: &'static str,
    /// What the subject must have.
    pub needs: &'static [Need],
    /// Plays it.
    pub run: fn(&mut Stage),
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("claim", &self.claim).finish()
    }
}

/// Every case, in the order of the matrix: row by row.
pub const CASES: &[Case] = &[
    migrate::LOOKUP,
    migrate::READ,
    migrate::WRITE,
    migrate::FILL,
    migrate::FAULT,
    migrate::PIN,
    migrate::MIGRATE,
    migrate::WRITEBACK,
    migrate::TRUNCATE,
    migrate::EVICT,
    write::LOOKUP,
    write::READ,
    write::WRITE,
    write::FILL,
    write::FAULT,
    write::PIN,
    write::WRITEBACK,
    write::TRUNCATE,
    write::EVICT,
    truncate::LOOKUP,
    truncate::READ,
    truncate::FILL,
    truncate::FAULT,
    truncate::PIN,
    truncate::WRITEBACK,
    truncate::TRUNCATE,
    truncate::EVICT,
    evict::LOOKUP,
    evict::READ,
    evict::FILL,
    evict::FAULT,
    evict::PIN,
    evict::WRITEBACK,
    evict::EVICT,
];

/// How long a case is played, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many turns of each actor.
    Turns(u64),
    /// So long.
    Time(Duration),
}

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Decides whatever the suite can decide: the actors' choices, turn by turn, and the pages'
    /// bytes. How their threads meet, it cannot.
    pub seed: u64,
    /// How long, at least. A case goes on until what it is about has happened.
    pub limit: Limit,
    /// How much longer, at most; and how long a thread may take to come back.
    pub patience: Duration,
}

impl Settings {
    /// 100 ms, and 20 s of patience.
    pub const fn with_seed(seed: u64) -> Self {
        let limit = Limit::Time(Duration::from_millis(100));
        Self { seed, limit, patience: Duration::from_secs(20) }
    }
}

/// Runs a case, and judges it in the light of the subject's known gaps.
///
/// A subject can be used for one case after the other. After a case that [hung](Wrong::Hung) it
/// must be left alone: threads are still in it.
pub fn run(case: &Case, subject: Arc<dyn Subject>, settings: Settings) -> Outcome {
    let start = Instant::now();
    let About { name, has } = subject.about();
    let lacking = case.needs.iter().copied().find(|need| !has.contains(need));
    let (verdict, facts) = match lacking {
        Some(need) => (Verdict::Skip(need), Vec::new()),
        None => {
            let mut stage = Stage::new(subject, settings);
            (case.run)(&mut stage);
            stage.end()
        }
    };
    let verdict = match Gaps::of(name, None) {
        Ok(gaps) => gaps.judge(case.name, verdict),
        Err(bad) => unreachable!("a list that ships is understood, but {bad}"),
    };
    let (case, seed, elapsed) = (case.name, settings.seed, start.elapsed());
    Outcome { case, subject: name, seed, verdict, facts, elapsed }
}
