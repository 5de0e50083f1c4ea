//! What is measured.

mod beside;
mod device;
mod forms;
mod hit;
pub mod memory;
mod migrate;
mod miss;
mod scale;
mod write;

use std::time::Duration;

use crate::contest::Contest;
use crate::cpus;
use crate::error::{Error, Result};
use crate::picks::Picks;
use crate::plan::{Host, Plan};
use crate::reach::{self, Reach, Shape};
use crate::results::{Group, Results, Role};

/// A set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// What a cached page takes.
    Memory,
    /// Reads and pins of pages that are cached.
    Hit,
    /// Pages move from node to node.
    Migrate,
    /// The four forms of the check.
    Forms,
    /// Reads of a file that does not fit.
    Miss,
    /// Overwrites that become durable.
    Write,
    /// From one thread to all CPUs.
    Scale,
}

impl Suite {
    /// All of them, in the order in which they are run. (The first one looks at how the process
    /// grows, and must find it small.)
    pub const ALL: [Self; 7] =
        [Self::Memory, Self::Hit, Self::Migrate, Self::Forms, Self::Miss, Self::Write, Self::Scale];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Hit => "hit",
            Self::Migrate => "migrate",
            Self::Forms => "forms",
            Self::Miss => "miss",
            Self::Write => "write",
            Self::Scale => "scale",
        }
    }

    /// What it is about, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Memory => "What a cached page takes besides its bytes",
            Self::Hit => "Reads and pins of pages that are cached",
            Self::Migrate => "Pages move from node to node, alone and while they are used",
            Self::Forms => "The four forms of the check, while pages are pinned for moments",
            Self::Miss => "Reads of a file on a device that is larger than the cache",
            Self::Write => "A file is overwritten and made durable",
            Self::Scale => "Reads, pins and moves from one thread to one for each CPU",
        }
    }

    /// Whether it is about a device, so that [`Plan::file_bytes`] matters.
    pub fn has_device(self) -> bool {
        matches!(self, Self::Miss | Self::Write)
    }

    /// How many times the plan's bytes of memory it takes, page cache included.
    pub fn copies(self) -> u64 {
        match self {
            Self::Memory => 2,
            Self::Hit => 4 + crate::PEERS,
            Self::Migrate => 10,
            Self::Scale => 6,
            Self::Forms | Self::Miss | Self::Write => 1,
        }
    }

    /// How long it takes, more or less, on a machine that is quiet.
    pub fn estimate(self, plan: &Plan) -> Duration {
        let turns = |things: f64| plan.span.as_secs_f64() * things * plan.reps as f64;
        let gib = plan.bytes as f64 / f64::from(1 << 30);
        let file = plan.file_bytes as f64 / f64::from(1 << 30);
        let (reps, peers) = (plan.reps as f64, crate::PEERS as f64);
        let counts = (plan.threads.max(1) as f64).log2() + 1.0;
        Duration::from_secs_f64(match self {
            Self::Memory => gib * (3.0 + peers) * reps.min(3.0),
            Self::Hit => turns(66.0 + 7.0 * peers) + gib * (12.0 + 3.0 * peers),
            Self::Migrate => turns(15.0) + gib * (20.0 + 12.0 * reps),
            Self::Forms => gib * (2.0 + 14.0 * reps),
            Self::Miss => turns(24.0) + 0.5 * reps + file * (3.0 + 2.0 * peers),
            Self::Write => turns(1.0) + file * (4.0 + 5.0 * reps),
            Self::Scale => turns(6.0 * counts) + gib * (6.0 + counts * reps),
        })
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

    /// Where the scratch folder is, for titles.
    pub fn place(&self) -> std::path::Display<'_> {
        self.plan.dir.parent().unwrap_or(&self.plan.dir).display()
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
    let ended = match suite {
        Suite::Memory => memory::run(&mut run),
        Suite::Hit => hit::run(&mut run),
        Suite::Migrate => migrate::run(&mut run),
        Suite::Forms => forms::run(&mut run),
        Suite::Miss => miss::run(&mut run),
        Suite::Write => write::run(&mut run),
        Suite::Scale => scale::run(&mut run),
    };
    let (about, complete) = match ended {
        Ok(about) => (about, true),
        // What took turns to its end is worth as much as ever.
        Err(Error::Stopped) if !run.groups.is_empty() => ("stopped before its end".into(), false),
        Err(error) => return Err(error),
    };
    let (groups, notes) = (run.groups, run.notes);
    Ok(Results { suite: suite.name(), about, complete, groups, notes })
}
