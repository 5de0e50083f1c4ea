//! The figures of a run: gathered here once, told twice (see [`table`](super::table) for people;
//! for programs they serialize under these names, which do not change).

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use refolio::{Kind, PAGE_SIZE};
use serde::Serialize;

use super::findings::Mismatch;
use super::numbers::Moves;
use super::soak::Memory;
use crate::args::{FormName, ModeName};
use crate::exit::Exit;
use crate::{size, text};

/// Everything there is to say at the end. The figures of all kinds together stand at the top.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Of the program.
    pub version: &'static str,
    /// What makes the same choices again.
    pub seed: u64,
    /// What was asked for, with what was chosen where nothing was said.
    pub options: Options,
    /// What it ran on.
    pub machine: Machine,
    /// A signal stopped it.
    pub interrupted: bool,
    /// Files opened, scratch copies not counted.
    pub files: u64,
    /// Files without a byte.
    pub empty_files: u64,
    /// Rounds begun.
    pub rounds: u64,
    /// Wall time of the rounds.
    pub seconds_moving: f64,
    /// Pages that were not resident when their turn came.
    pub not_resident: u64,
    /// Pages written and acknowledged, with repetition.
    pub pages_written: u64,
    /// The longest stall while pages moved, without waits for a processor.
    pub longest_own_stall_ns: u64,
    /// What the program took of memory.
    pub memory: Memory,
    /// All kinds together.
    #[serde(flatten)]
    pub total: Figures,
    /// Kind by kind.
    pub kinds: Kinds,
    /// The first page that differed.
    pub first_mismatch: Option<Mismatch>,
    /// What failed in the engine.
    pub trouble: Vec<String>,
}

/// The figures of each kind.
#[derive(Debug, Serialize)]
pub struct Kinds {
    /// Pages nobody writes.
    pub file_clean: Figures,
    /// Pages that writers write.
    pub file_dirty: Figures,
    /// Pages without a file.
    pub anonymous: Figures,
}

/// What was measured for some pages.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Pages moved, with repetition.
    pub moved: u64,
    /// Pages that were there already.
    pub here: u64,
    /// Pages that may move at the next try.
    pub again: u64,
    /// The same, by reason.
    pub again_by: BTreeMap<String, u64>,
    /// Pages that somebody holds.
    pub busy: u64,
    /// The same, by holder.
    pub busy_by: BTreeMap<String, u64>,
    /// Pages for which there was no free frame.
    pub no_memory: u64,
    /// Pages freed meanwhile.
    pub gone: u64,
    /// Pages whose bytes are not to be trusted.
    pub poisoned: u64,
    /// Pages moved per second of migration.
    pub pages_per_second: f64,
    /// The same, in 2^30 bytes.
    pub gib_per_second: f64,
    /// What all readers together did.
    pub reader_ops_per_second: Ops,
    /// How long their operations took while pages moved.
    pub stall_ns: Stall,
    /// How long they took while no page moved.
    pub stall_idle_ns: Stall,
    /// Bytes compared at the end.
    pub verified_bytes: u64,
    /// Reads and pages that were not as they must be.
    pub mismatches: u64,
}

/// Operations per second.
#[derive(Debug, Serialize)]
pub struct Ops {
    /// While readers and writers ran and no page moved.
    pub idle: f64,
    /// While pages moved.
    pub moving: f64,
}

/// Times in nanoseconds, within 1 %.
#[derive(Debug, Serialize)]
pub struct Stall {
    /// Half of the operations took no longer.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// All of them.
    pub max: u64,
}

/// What was asked for, and chosen.
#[derive(Debug, Serialize)]
pub struct Options {
    /// The files named.
    pub paths: Vec<String>,
    /// Bytes of the fast node.
    pub fast: u64,
    /// Bytes of the slow node.
    pub slow: u64,
    /// Rounds; null: as many as fit.
    pub rounds: Option<u64>,
    /// Seconds of a soak; null: it is none.
    pub seconds: Option<u64>,
    /// Reading threads.
    pub readers: u64,
    /// Writing threads.
    pub writers: u64,
    /// Bytes of anonymous memory.
    pub anon: u64,
    /// Order of folios tried.
    pub order: u32,
    /// How much migrations waited.
    pub mode: ModeName,
    /// The check before the switch.
    pub form: FormName,
    /// Whether the files named were written.
    pub write: bool,
}

/// What it ran on.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Hardware threads this program may use.
    pub cores: u64,
    /// The cache's nodes.
    pub nodes: Vec<NodeFacts>,
}

/// One node of the cache.
#[derive(Debug, Serialize)]
pub struct NodeFacts {
    /// "fast" or "slow".
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it is bound to a NUMA node; if not, why.
    pub numa: String,
    /// Whether it is made of huge pages; if not, why.
    pub huge_pages: String,
}

/// How long operations took in one phase, and how long the phase was.
#[derive(Debug)]
pub struct Phase {
    /// Times of the operations.
    pub stall: Histogram<u64>,
    /// The phase's wall time.
    pub lasted: Duration,
}

impl Phase {
    fn per_second(&self) -> f64 {
        rate(self.stall.len() as f64, self.lasted)
    }

    fn stall(&self) -> Stall {
        let at = |quantile| self.stall.value_at_quantile(quantile);
        Stall { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.stall.max() }
    }
}

impl Figures {
    /// Puts together what was counted in different places.
    pub fn new(
        moves: &Moves,
        idle: &Phase,
        moving: &Phase,
        verified: u64,
        mismatches: u64,
    ) -> Self {
        let pages_per_second = rate(moves.moved as f64, moves.took);
        Self {
            moved: moves.moved,
            here: moves.here,
            again: moves.again.values().sum(),
            again_by: moves.again.clone(),
            busy: moves.busy.values().sum(),
            busy_by: moves.busy.clone(),
            no_memory: moves.no_memory,
            gone: moves.gone,
            poisoned: moves.poisoned,
            pages_per_second,
            gib_per_second: pages_per_second * PAGE_SIZE as f64 / (1u64 << 30) as f64,
            reader_ops_per_second: Ops { idle: idle.per_second(), moving: moving.per_second() },
            stall_ns: moving.stall(),
            stall_idle_ns: idle.stall(),
            verified_bytes: verified,
            mismatches,
        }
    }
}

fn rate(count: f64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count / took.as_secs_f64() }
}

impl Kinds {
    /// From the figures of [`KINDS`](super::numbers::KINDS), in that order.
    pub fn new(figures: impl Fn(Kind) -> Figures) -> Self {
        Self {
            file_clean: figures(Kind::FileClean),
            file_dirty: figures(Kind::FileDirty),
            anonymous: figures(Kind::Anonymous),
        }
    }
}

impl Report {
    /// How the program must end.
    pub fn exit(&self) -> Exit {
        if self.total.mismatches > 0 || !self.trouble.is_empty() || self.stood_still() {
            Exit::Differs
        } else if self.interrupted {
            Exit::Interrupted
        } else {
            Exit::Well
        }
    }

    /// There were pages, there was time, and none has moved.
    fn stood_still(&self) -> bool {
        self.total.verified_bytes > 0 && self.total.moved == 0 && !self.interrupted
    }

    /// One plain sentence, or two.
    pub fn verdict(&self) -> String {
        let verified = size::show(self.total.verified_bytes);
        let moved = format!(
            "{} pages moved while they were in use ({} in {:.1} s)",
            size::count(self.total.moved),
            many(self.rounds, "round"),
            self.seconds_moving
        );
        if let Some(first) = &self.first_mismatch {
            return format!(
                "NOT WELL: {}. The first: {}, page {}, byte {}: expected {}, found {} (seen {}).",
                match self.total.mismatches {
                    1 => "1 mismatch".into(),
                    more => format!("{} mismatches", size::count(more)),
                },
                first.file,
                first.page,
                first.offset,
                first.expected,
                first.found,
                first.seen
            );
        }
        if let Some(first) = self.trouble.first() {
            return format!("NOT WELL: {first}. ({moved}; {verified} checked.)");
        }
        if self.stood_still() {
            return format!("NOT WELL: no page has moved; all {verified} are as they must be.");
        }
        if self.total.verified_bytes == 0 {
            return format!(
                "All is well: {} passed, nothing to move.",
                many(self.empty_files, "empty file")
            );
        }
        let opening =
            if self.interrupted { "Interrupted, and well until then" } else { "All is well" };
        let soaked =
            self.options.seconds.and(self.memory.growth()).map_or(String::new(), |growth| {
                format!(
                    " Memory grew by {}, and no read stalled for more than {} but for a processor.",
                    size::show(growth),
                    text::time(self.longest_own_stall_ns)
                )
            });
        format!("{opening}: {moved}, and all {verified} are as they must be.{soaked}")
    }
}

/// `1 round`, `2 rounds`.
pub fn many(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", size::count(number), if number == 1 { "" } else { "s" })
}
