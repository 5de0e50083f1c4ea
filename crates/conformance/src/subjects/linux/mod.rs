//! The subject `linux`: the running kernel, and what it does to pages that it moves.
//!
//! A case is a *kind* of memory, a *trigger* that moves its pages, and an *adversary* that gets in
//! the way; beside these, some special ones that the historical bugs teach. Every case is played in
//! three acts:
//!
//! ```text
//! ground   make the memory as its kind says, every page of which says whose it is
//! play     storers, loaders, the adversary and the trigger, each on a thread of its own, until the
//!          time is over and pages have moved (by node, or by frame) under all of them
//! rest     nobody acts: everything moves once more; every byte is looked at, in memory, in the
//!          cache, on the disk past the cache, and read again; the kernel's counters add up
//! ```
//!
//! A case changes the process it runs in (limits, cpusets, maps, a thread that hangs): it is meant
//! to be the only one in its process. It makes files in the folders that it is given, and nowhere
//! else; what it changes of the machine it may change only when told that it may disturb others,
//! and puts back.

mod acts;
mod column;
mod frames;
mod ground;
mod kind;
mod look;
mod machine;
mod movers;
mod needs;
mod play;
mod proof;
mod rest;
mod space;
mod special;
mod sys;
#[cfg(test)]
mod tests;
mod turn;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use column::Column;
use ground::{Backing, Ground};
use kind::{Kind, State};
use machine::{Machine, Stop};
use movers::Trigger;
use play::{Direct, Play};
use special::Special;
use sys::Map;

pub use machine::{Fs, undo};
pub use needs::Need;
pub use turn::Turn;

use crate::expected::Gaps;
use crate::subject::{self, Counters};
use crate::verdict::{Failure, Outcome, Verdict, Wrong};

/// A claim about the running kernel, and how it is tried.
#[derive(Clone, Debug)]
pub struct LinuxCase {
    /// What it is called: `KIND/TRIGGER/ADVERSARY`, or `special/NAME`.
    pub name: String,
    /// The row of the matrix.
    pub row: String,
    /// Its column.
    pub column: &'static str,
    /// What moves the pages.
    pub trigger: &'static str,
    /// What must be so.
    pub claim: String,
    /// Where that is known from: a kernel document, a commit, a bug.
    pub source: String,
    /// What it cannot be played without.
    pub needs: Vec<Need>,
    what: What,
}

impl LinuxCase {
    fn lacking(&self, machine: &Machine) -> Option<Need> {
        self.needs.iter().copied().find(|need| !need.is_met(machine))
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Cell(Kind, Trigger, Column),
    Special(&'static Special),
}

/// So many times the hope of a case it may hope where a turn of those who move pages takes long.
pub const MOST_HOPE: u32 = 4;

/// How a case is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides whatever user space can decide.
    pub seed: u64,
    /// How long it is played, at least.
    pub length: Duration,
    /// How much longer, until everything has happened that it is about; [`MOST_HOPE`] times that
    /// where pages are seldom asked to move.
    pub hope: Duration,
    /// How long a thread may take to come back.
    pub patience: Duration,
    /// Folders that it may make files in: one for each file system.
    pub dirs: Vec<PathBuf>,
    /// Whether it may do what can disturb other programs.
    pub disruptive: bool,
    /// Whether it has been asked to come to its end.
    pub stopped: fn() -> bool,
}

impl Settings {
    fn is_stopped(&self) -> bool {
        (self.stopped)()
    }
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Every kind, every adversary, every trigger at least once: two minutes.
    Quick,
    /// Every kind with every adversary: half an hour.
    Full,
    /// The same, again and again.
    Soak,
}

impl Profile {
    /// How long a case is played.
    pub fn length(self) -> Duration {
        Duration::from_millis(match self {
            Self::Quick => 250,
            Self::Full => 1200,
            Self::Soak => 5000,
        })
    }

    /// How much longer a case may take until everything has happened that it is about.
    pub fn hope(self) -> Duration {
        Duration::from_secs(if self == Self::Quick { 8 } else { 20 })
    }

    /// Whether it has this case, on a machine with that many memory nodes.
    pub fn has(self, case: &LinuxCase, nodes: usize) -> bool {
        let What::Cell(kind, trigger, column) = case.what else { return true };
        if column == Column::Writers && trigger != main_trigger(kind, nodes) {
            // Compaction may see no reason to move pages that nobody maps; these must be met, too.
            let second = !kind.is_mapped() && trigger == Trigger::Offline;
            return self != Self::Quick || PROBES.contains(&kind) || second;
        }
        if trigger != main_trigger(kind, nodes) {
            return false;
        }
        self != Self::Quick || column == Column::Writers || PROBES.contains(&kind)
    }
}

/// The kinds that every adversary and every trigger meets in the quick profile.
const PROBES: [Kind; 2] = [Kind::Anon, Kind::File(Fs::Ext4, State::Dirty)];

/// What moves the pages when it is not the trigger that the case is about.
fn main_trigger(kind: Kind, nodes: usize) -> Trigger {
    if nodes >= 2 && kind.is_mapped() { Trigger::MovePages } else { Trigger::Compaction }
}

/// Every case, row by row.
pub fn cases() -> &'static [LinuxCase] {
    static CASES: LazyLock<Vec<LinuxCase>> = LazyLock::new(|| {
        let cells = Kind::all().into_iter().flat_map(|kind| {
            Trigger::ALL.into_iter().flat_map(move |trigger| {
                let columns = Column::ALL.into_iter();
                let has = move |column: &Column| exists(kind, trigger, *column);
                columns.filter(has).map(move |column| cell(kind, trigger, column))
            })
        });
        cells.chain(special::ALL.iter().map(special_case)).collect()
    });
    &CASES
}

/// Whether there is such a case: the triggers that are main ones meet every adversary, and the
/// others meet writers.
fn exists(kind: Kind, trigger: Trigger, column: Column) -> bool {
    let reaches = kind.is_mapped() || matches!(trigger, Trigger::Compaction | Trigger::Offline);
    let meets = match trigger {
        Trigger::MovePages => column.applies(kind),
        // (No kernel compacts huge pages of the pool: one case is enough to say so.)
        Trigger::Compaction if kind == Kind::Hugetlb => column == Column::Writers,
        Trigger::Compaction => {
            column.applies(kind) && column != Column::SecondMover && column != Column::All
        }
        _ => column == Column::Writers,
    };
    // A pin of a private mapping makes a copy of the page, which is the file's no longer.
    let copies = trigger == Trigger::LongtermPin && kind.state() == Some(State::Private);
    reaches && meets && !copies
}

fn cell(kind: Kind, trigger: Trigger, column: Column) -> LinuxCase {
    let (row, noun) = (kind.name(), kind.noun());
    let name = format!("{row}/{}/{}", trigger.name(), column.name());
    let noun = noun[..1].to_uppercase() + &noun[1..];
    let claim = format!("{noun} {}, and meanwhile {}.", trigger.verb(), column.claim());
    let source = kind.source().to_owned();
    let needs = needs::together(&[&kind.needs(), trigger.needs(), column.needs()]);
    let (column, trigger, what) =
        (column.name(), trigger.name(), What::Cell(kind, trigger, column));
    LinuxCase { name, row, column, trigger, claim, source, needs, what }
}

fn special_case(special: &'static Special) -> LinuxCase {
    LinuxCase {
        name: format!("special/{}", special.name),
        row: special.kind.name(),
        column: "special",
        trigger: "move-pages",
        claim: special.claim.into(),
        source: special.source.into(),
        needs: needs::together(&[&special.kind.needs(), Trigger::MovePages.needs(), special.needs]),
        what: What::Special(special),
    }
}

/// Runs a case, and judges it in the light of the known gaps. It should be the only one in its
/// process; after a case that hung, the process must end.
pub fn run(case: &'static LinuxCase, settings: &Settings) -> Outcome {
    let start = Instant::now();
    let mut facts = Vec::new();
    let done = Machine::new(&settings.dirs, settings.disruptive)
        .map_err(machine::refused("looking at the folders"))
        .map_err(|stop| vec![stop])
        .and_then(|machine| match case.lacking(&machine) {
            Some(need) => Err(vec![Stop::Lacks(need.text())]),
            None => Ok(machine),
        })
        .and_then(|machine| match case.what {
            What::Cell(kind, trigger, column) => {
                cell_run(machine, (kind, trigger, column), settings, &mut facts)
            }
            What::Special(special) => special::run(special, machine, settings, &mut facts),
        });
    let verdict = match done {
        Ok(()) => Verdict::Pass,
        Err(stops) => verdict(stops),
    };
    let verdict = match Gaps::of("linux", Some(&release())) {
        Ok(gaps) => gaps.judge(&case.name, verdict),
        Err(bad) => unreachable!("a list that ships is understood, but {bad}"),
    };
    let (subject, seed, elapsed) = ("linux", settings.seed, start.elapsed());
    Outcome { case: &case.name, subject, seed, verdict, facts, elapsed }
}

fn verdict(stops: Vec<Stop>) -> Verdict {
    let mut failures: Vec<Failure> = Vec::new();
    let mut lacks = None;
    for stop in stops {
        match stop {
            Stop::Fails(failure) => failures.push(failure),
            // The first one is the reason of the others.
            Stop::Lacks(what) => {
                lacks.get_or_insert(what);
            }
        }
    }
    match lacks {
        // What a case lacks explains that nothing happened; whatever else went wrong did.
        Some(what) if failures.iter().all(|failure| failure.wrong == Wrong::Unreached) => {
            Verdict::Skip(subject::Need::Machine(what))
        }
        _ => Verdict::Fail(failures),
    }
}

fn cell_run(
    machine: Machine,
    (kind, trigger, column): (Kind, Trigger, Column),
    settings: &Settings,
    facts: &mut Vec<(&'static str, u64)>,
) -> Result<(), Vec<Stop>> {
    if (kind, trigger) == (Kind::Hugetlb, Trigger::Compaction) {
        return Err(vec![Stop::Lacks("a kernel that compacts huge pages of the pool")]);
    }
    let mut cast = column.cast(kind);
    cast.extend(trigger.actors());
    let play = set(machine, (kind, trigger, column), settings).map_err(|stop| vec![stop])?;
    let play = Arc::new(play);
    let before = proof::vmstat();
    let hope = match trigger {
        // Where the kernel has seen no reason to move these pages for so long, it sees none.
        other if !other.is_told() => settings.hope.min(Duration::from_secs(4)),
        _ => settings.hope,
    };
    // One turn of these can take as long as another case may wait, on a machine that is busy.
    let is_slow = trigger.takes_all() || trigger == Trigger::Compaction;
    let patience = settings.patience * if is_slow { 2 } else { 1 };
    let limits = Settings { hope, patience, ..settings.clone() };
    let stops = play.play(&cast, &column.reach(kind), &limits);
    let none = Counters::default();
    let count = |play: &Play| play.tally.counts(&none, &none);
    *facts = count(&play);
    if !stops.is_empty() {
        return Err(trigger.unmoved(stops));
    }
    let rested = rest::look(&play, &before);
    *facts = count(&play);
    rested.map_err(|stop| vec![stop])
}

/// Everything but the actors.
fn set(
    machine: Machine,
    (kind, trigger, column): (Kind, Trigger, Column),
    settings: &Settings,
) -> Result<Play, Stop> {
    let ground = Ground::new(&machine, kind, settings.seed)?;
    let direct = if column == Column::Direct { Some(direct(&machine, &ground)?) } else { None };
    let cpuset = (trigger == Trigger::Cpuset).then(|| machine.cpuset()).transpose()?;
    let mut play = Play::new(machine, ground, settings.seed);
    (play.direct, play.cpuset, play.cuts) = (direct, cpuset, column.cuts());
    Ok(play)
}

/// A scratch file for direct I/O, with room for every part.
fn direct(machine: &Machine, ground: &Ground) -> Result<Direct, Stop> {
    let backing = Backing::create(machine.disk_dir()?, "direct")?;
    let len = ground.ledger.parts() as u64 * 4096;
    let zeros = vec![0; len as usize];
    std::io::Write::write_all(&mut &backing.file, &zeros)
        .map_err(machine::refused("a scratch file"))?;
    backing.file.sync_all().map_err(machine::refused("fsync"))?;
    let fd = backing.direct().ok_or(Stop::Lacks("a file system with direct I/O"))?;
    let bounce = Map::new(sys::Source::Private, 4096).map_err(machine::refused("mmap"))?;
    bounce.store(0, &[0; 4096]);
    Ok(Direct { fd, bounce, _backing: backing })
}

/// What a case lacks, as far as that can be said without a process for it.
pub fn lacks(case: &LinuxCase, dirs: &[PathBuf], disruptive: bool) -> Option<Need> {
    case.lacking(&Machine::new(dirs, disruptive).ok()?)
}

/// The release of the running kernel, as `uname -r` tells it.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// How many memory nodes the machine has.
pub fn nodes() -> usize {
    Machine::new(&[], false).map_or(1, |machine| machine.nodes.len())
}
