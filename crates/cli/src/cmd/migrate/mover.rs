//! Moves every page to the other node and back, round after round.

use std::ops::Range;
use std::time::{Duration, Instant};

use refolio::{Migrate, NodeId, PAGE_SIZE};

use super::numbers::{KINDS, Tally};
use super::prepare::CHUNK;
use super::progress::Progress;
use super::soak::Memory;
use super::subjects::Subject;
use super::watchdog::Beat;
use super::workers::Crew;
use crate::signal;
use crate::{size, text};

/// Without a number of rounds, a round is begun as long as this is not over.
const ENOUGH: Duration = Duration::from_secs(5);

/// Where pages go, and how.
pub struct Mover<'a> {
    /// How each migration is done.
    pub how: &'a Migrate<'a>,
    /// How many rounds; None: what fits into a few seconds, at least one.
    pub rounds: Option<u64>,
    /// Instead of a number of rounds: a round is begun as long as this is not over.
    pub lasts: Option<Duration>,
    /// The nodes hold less than all pages: what has been evicted is read in before it is moved.
    pub streams: bool,
    /// Shows that it is not stuck.
    pub beat: &'a Beat,
}

/// What was moved.
#[derive(Debug, Default)]
pub struct Moved {
    /// Outcomes by kind.
    pub tally: Tally,
    /// Rounds that were begun.
    pub rounds: u64,
    /// Pages that were not resident when their turn came.
    pub not_resident: u64,
    /// Wall time of all rounds.
    pub took: Duration,
    /// What the program took of memory meanwhile.
    pub memory: Memory,
}

/// The pages of one migration call.
const BATCH: u64 = (CHUNK / PAGE_SIZE) as u64;

impl Mover<'_> {
    /// Moves pages until the rounds are done, or a signal stops it.
    pub fn run(&self, crew: &Crew<'_>, progress: &mut Progress) -> Moved {
        let mut moved = Moved::default();
        let start = Instant::now();
        while !signal::stopped() && !self.done(moved.rounds, start.elapsed()) {
            moved.rounds += 1;
            for to in [NodeId(1), NodeId(0)] {
                self.sweep(to, crew, &mut moved, start, progress);
            }
            moved.memory.look(start.elapsed() >= self.lasts.unwrap_or_default() / 4);
        }
        moved.took = start.elapsed();
        moved
    }

    fn done(&self, rounds: u64, took: Duration) -> bool {
        let enough = self.lasts.unwrap_or(ENOUGH);
        self.rounds.map_or(rounds > 0 && took >= enough, |wanted| rounds >= wanted)
    }

    /// Moves some pages of one subject.
    fn batch(
        &self,
        subject: &Subject,
        pages: Range<u64>,
        to: NodeId,
        moved: &mut Moved,
    ) -> refolio::Result<()> {
        let _work = self.beat.start();
        let wanted = pages.end - pages.start;
        if self.streams {
            subject.load(pages.clone())?;
        }
        let found = moved.tally.add(&subject.migrate(pages, to, self.how)?);
        moved.not_resident += wanted.saturating_sub(found);
        Ok(())
    }

    /// Moves every page to one node.
    fn sweep(
        &self,
        to: NodeId,
        crew: &Crew<'_>,
        moved: &mut Moved,
        start: Instant,
        progress: &mut Progress,
    ) {
        for subject in crew.subjects {
            for first in (0..subject.pages()).step_by(BATCH as usize) {
                if signal::stopped() {
                    return;
                }
                let pages = first..(first + BATCH).min(subject.pages());
                if let Err(error) = self.batch(subject, pages, to, moved) {
                    crew.findings.failed(&format!("moving {}", subject.name), &error);
                }
                progress.now(|| live(crew, moved, start.elapsed()));
            }
        }
    }
}

/// One line of how it goes.
fn live(crew: &Crew<'_>, moved: &Moved, took: Duration) -> String {
    let pages = moved.tally.total().moved;
    let longest = crew.longest_stall();
    let per_second = pages as f64 * PAGE_SIZE as f64 / took.as_secs_f64().max(1e-9);
    let different: u64 = KINDS.into_iter().map(|kind| crew.findings.mismatches(kind)).sum();
    format!(
        "round {}: {} pages moved, {}/s, longest stall {}, {}",
        moved.rounds,
        size::count(pages),
        size::show(per_second as u64),
        text::time(longest),
        if different == 0 { "no byte wrong".into() } else { format!("{different} MISMATCHES") }
    )
}
