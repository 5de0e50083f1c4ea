//! What is measured.

mod beside;
mod hit;
mod migrate;

use std::time::Duration;

use crate::contest::Contest;
use crate::cpus;
use crate::error::Result;
use crate::picks::Picks;
use crate::plan::{Host, Plan};
use crate::reach::{self, Reach, Shape};
use crate::results::{Group, Results, Role};

/// A set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Reads and pins of pages that are cached.
    Hit,
    /// Pages move from node to node.
    Migrate,
}

impl Suite {
    /// All of them, in the order in which they are run.
    pub const ALL: [Self; 2] = [Self::Hit, Self::Migrate];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Migrate => "migrate",
        }
    }

    /// What it is about, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Hit => "Reads and pins of pages that are cached",
            Self::Migrate => "Pages move from node to node, alone and while they are used",
        }
    }

    /// How many times the plan's bytes of memory it takes, page cache included.
    pub fn copies(self) -> u64 {
        match self {
            Self::Hit => 4 + crate::PEERS,
            Self::Migrate => 6,
        }
    }

    /// How long it takes, more or less, on a machine that is quiet.
    pub fn estimate(self, plan: &Plan) -> Duration {
        let turns = |things: u32| plan.span * things * plan.reps as u32;
        let gib = plan.bytes as f64 / f64::from(1 << 30);
        let prepare = |seconds: f64| Duration::from_secs_f64(seconds * gib);
        match self {
            Self::Hit => turns(70) + prepare(15.0),
            Self::Migrate => turns(8) + prepare(10.0 + 12.0 * plan.reps as f64),
        }
    }
}

/// A run of a suite.
pub struct Run<'r> {
    /// How much is measured.
    pub plan: &'r Plan,
    /// Who watches.
    pub host: &'r dyn Host,
    groups: Vec<Group>,
    notes: Vec<String>,
}

impl Run<'_> {
    /// Lets them take turns.
    pub fn contest(&mut self, contest: Contest<'_>) -> Result<()> {
        self.groups.push(contest.run(self.plan, self.host)?);
        Ok(())
    }

    /// Something that was left out, or that one has to know.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// What all ways of a contest have in common.
pub struct Adds<'a, 'c> {
    /// Those who take turns.
    pub contest: &'a mut Contest<'c>,
    /// How much.
    pub plan: &'c Plan,
    /// Which pages.
    pub picks: &'c Picks,
    /// What of them.
    pub shape: Shape,
    /// How many at a time.
    pub threads: usize,
}

impl<'c> Adds<'_, 'c> {
    /// Lets a way take part.
    pub fn way(&mut self, role: Role, name: &str, way: impl Reach + 'c) {
        let Self { plan, picks, shape, threads, .. } = *self;
        let measure = move || reach::measure(&way, picks, shape, threads, plan.span);
        self.contest.add(role, name, measure);
    }
}

/// Measures a suite.
pub fn run(suite: Suite, plan: &Plan, host: &dyn Host) -> Result<Results> {
    let mut run = Run { plan, host, groups: Vec::new(), notes: Vec::new() };
    if !cpus::prepare() {
        run.note("the priority could not be raised (that takes root): more is disturbed");
    }
    let about = match suite {
        Suite::Hit => hit::run(&mut run)?,
        Suite::Migrate => migrate::run(&mut run)?,
    };
    Ok(Results { suite: suite.name(), about, groups: run.groups, notes: run.notes })
}
