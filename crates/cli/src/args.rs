//! What the command line says, and its help text.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use refolio::{Form, MAX_ORDER, Mode};

use crate::cmd::bench::args::Bench;
use crate::cmd::check::args::Check;
use crate::cmd::lab::args::Lab;
use crate::{size, text};

const EXIT_CODES: &str = "\
Exit codes:
    0  all is well
    1  a byte differs, a page is lost, or the engine failed on the way
    2  wrong usage, or input that cannot be used
  130  stopped by Ctrl-C or SIGTERM, and all was well until then";

const MIGRATE_AFTER: &str = "\
Sizes: 64M and 64MiB are 64 x 2^20 bytes, 64MB is 64 x 10^6; K, G and T likewise; a bare number is
bytes.

Examples:
  refolio migrate                            a sample file and anonymous memory, about 10 s
  refolio migrate big.db /srv/models         these files; writers work on scratch copies
  refolio migrate --fast 64M --slow 64M big.db
                                             nodes smaller than the file: it streams through
  refolio migrate --order 9 --rounds 3       2 MiB folios, three times there and back
  refolio migrate --for 1h --fast 128M --slow 128M
                                             a soak, in which pages are evicted, too
  refolio migrate --json - | jq .stall_ns    figures for a program";

const CHECK_CODES: &str = "\
Exit codes:
    0  no rule is broken, or those that were to be
    1  the code that ships breaks a rule, or a protection was taken away and nothing missed it
    2  wrong usage
  130  stopped by Ctrl-C or SIGTERM";

const CHECK_AFTER: &str = "\
Examples:
  refolio check                              the four forms and their neighbours, in a minute
  refolio check --scene migrate_truncate --budget 0
                                             one meeting, all of it
  refolio check --break truncate-skips-lock --svg counterexample.svg
                                             a protection less, and the execution that misses it
  refolio check --break all                  all protections, one after the other
  refolio check --scene migrate_pin/2 --replay 0x12.1x3 --html page.html
                                             one execution again, as a picture";

const BENCH_CODES: &str = "\
Exit codes:
    0  measured
    1  a byte differs, the engine failed on the way, or --strict, and something that must be reached
       was not
    2  wrong usage, or a machine that does not do
  130  stopped by Ctrl-C or SIGTERM";

const BENCH_AFTER: &str = "\
Examples:
  refolio bench                              every suite, in short
  refolio bench hit --threads 8              reads and pins, on one thread and on 8
  refolio bench miss --dir /mnt/nvme --size 8G
                                             a file on that device
  refolio bench migrate --reps 15 --html migrate.html
                                             more repetitions, and a picture
  cargo run --release --features peers -- bench hit --only quick_cache
                                             beside one of the caches that one would use instead";

const LAB_AFTER: &str = "\
Examples:
  refolio lab                                Debian's kernel, two nodes, the quick profile
  refolio lab --kernel arch/x86/boot/bzImage your kernel, everything built in
  refolio lab --debian newest --nodes 3      the newest packaged; the third node has memory alone
  refolio lab --drill panic                  what a panic looks like, before there is one
  refolio lab build --source linux-source-6.1 --patch lab/forms/early-check.patch --out /var/tmp/k
  refolio lab --kernel /var/tmp/k/bzImage    a kernel with that patch";

const EXPLAIN_AFTER: &str = "\
Examples:
  refolio explain --page 3                   a page of a small sample, step by step
  refolio explain --page 3 --pin             somebody holds it: who, and how the undo runs
  refolio explain /etc/services --page 0     a page of a real file (opened read-only)";

const CONFORM_AFTER: &str = "\
Examples:
  refolio conform                            the claims, held against Refolio itself
  refolio conform --subject linux --dir /mnt/ext4 --dir /mnt/xfs
                                             against the running kernel; as root it sees more
  refolio conform --subject linux --case 'ext4-dirty/*' --seed 7 --repeat until-failure
  refolio conform --subject linux --list     every case, its claim and where that is known from";

/// A page cache whose pages can be moved while they are in use: its main job, on real files.
#[derive(Debug, Parser)]
#[command(name = "refolio", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Move every page to the other node and back while readers and writers run; check every byte.
    ///
    /// Opens the files, or makes a sample file in a temporary folder when none is named, and some
    /// anonymous memory beside them. While readers and writers run, every page is moved from the
    /// fast node to the slow one and back, round after round. At the end everything is synced,
    /// read again through the ordinary file system, and compared, byte by byte, with what was
    /// there before or what the writers journalled.
    ///
    /// In the closing table, moves are counted by what a page was when it moved (a page that has
    /// been written back is clean), reads and bytes by whether the page has a writer.
    ///
    /// With --for it is also an error when memory has grown by more than 16 MiB since a quarter of
    /// the time was over, or when a read or a pin took more than a second, waits for a processor
    /// not counted (but those of a thread that another one waits for are).
    ///
    /// A folder stands for the regular files below it; symbolic links in it are not followed.
    /// Your files are opened read-only; what is written are scratch copies of them.
    #[command(after_help = EXIT_CODES, after_long_help = format!("{MIGRATE_AFTER}\n\n{EXIT_CODES}"))]
    Migrate(Migrate),

    /// Move one page with tracing on, and print each step of the protocol.
    ///
    /// Each step is shown with the function that did it, the folio's state word and references,
    /// and the table entry of a view of the page, before and after.
    #[command(after_help = EXIT_CODES, after_long_help = format!("{EXPLAIN_AFTER}\n\n{EXIT_CODES}"))]
    Explain(Explain),

    /// Search the interleavings of the protocol: the four forms, and what breaks them.
    ///
    /// The code that ships runs under a model checker: two to four threads at a time meet in a tiny
    /// cache, in every order that makes a difference, in each of the four forms of the check before
    /// the freeze. Then each form runs without one of the things it relies on.
    ///
    /// With --break a protection is taken away, and the execution that misses it is shown, with the
    /// fewest preemptions that it takes.
    #[command(after_help = CHECK_CODES, after_long_help = format!("{CHECK_AFTER}\n\n{CHECK_CODES}"))]
    Check(Check),

    /// Hold the claims of the suite against Refolio, a trivial model, or the running kernel.
    ///
    /// Each case makes memory of one kind, every page of which says whose it is; moves its pages
    /// while others read, write, hold, cut, map and fork them; and then looks at every byte, in
    /// memory and behind it, at where the pages are, and at the counters.
    ///
    /// On the kernel, files are made in folders below each --dir only (one on each file system
    /// that is to be tried), and nothing is done that disturbs other programs unless --disruptive
    /// allows it. What a machine lacks, its cases name and skip.
    #[command(after_help = EXIT_CODES, after_long_help = format!("{CONFORM_AFTER}\n\n{EXIT_CODES}"))]
    Conform(Conform),

    /// How near the limits of this machine, and how far ahead of what one would use instead.
    ///
    /// What is compared takes turns: Refolio, what the machine can do at best, and other ways to do
    /// the same. Disturbed measurements are made again. A figure is the median of several, beside
    /// the least and the greatest; a ratio is the median of the ratios of what was measured in turn.
    ///
    /// Without a suite, all of them are run in a short form, which is said to be shorter.
    #[command(after_help = BENCH_CODES, after_long_help = format!("{BENCH_AFTER}\n\n{BENCH_CODES}"))]
    Bench(Bench),

    /// Boot a kernel with several memory nodes in QEMU, and run the suite on it.
    ///
    /// Fetches Debian's kernel (or takes yours), makes a disk for each file system and an initramfs
    /// with this program in it, boots all that in QEMU, shows the verdicts as they come, and switches
    /// off. A panic, a BUG, a warning, a hung task, a report of a sanitizer, a damaged file system
    /// and a guest that falls silent are failures, too, of the case that ran. Nothing is installed,
    /// and no privilege is needed.
    #[command(args_conflicts_with_subcommands = true)]
    #[command(after_help = EXIT_CODES, after_long_help = format!("{LAB_AFTER}\n\n{EXIT_CODES}"))]
    Lab(Box<Lab>),
}

/// Options of `refolio migrate`.
#[derive(Args, Clone, Debug)]
pub struct Migrate {
    /// Files, or folders of files; none: a sample is made
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Size of the sample file made when no PATH is named
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some, default_value = "256M")]
    pub sample: u64,

    /// Anonymous memory beside the files; 0 for none [default: 64M, less beside small nodes]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub anon: Option<u64>,

    /// Size of the fast node [default: what the pages in play need]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some)]
    pub fast: Option<u64>,

    /// Size of the slow node [default: as the fast one]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some)]
    pub slow: Option<u64>,

    /// Rounds, in each of which every page moves there and back [default: what fits into 5 s]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rounds: Option<u64>,

    /// A soak: rounds for so long (90s, 10m, 1h), at the end of which memory and stalls are judged, too
    #[arg(long = "for", value_name = "TIME", value_parser = text::parse_time,
          conflicts_with = "rounds")]
    pub lasts: Option<Duration>,

    /// Reading threads; 0 for none [default: one less than there are cores, at least 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=256))]
    pub readers: Option<u64>,

    /// Writing threads; 0 for none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=256),
          default_value_t = 1)]
    pub writers: u64,

    /// Folios of 2^N pages are tried for files, and made for anonymous memory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MAX_ORDER as i64),
          default_value_t = 0)]
    pub order: u32,

    /// How much a migration may wait
    #[arg(long, value_enum, default_value_t = ModeName::Sync)]
    pub mode: ModeName,

    /// What is checked before a page is switched
    #[arg(long, value_enum, value_name = "NAME", default_value_t = FormName::FreezeOnly)]
    pub form: FormName,

    /// Seed of all choices and patterns [default: a random one, which the report names]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,

    /// Write the figures to this file, as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Let the writers write into the PATHs themselves: one block of 64 KiB in four IS OVERWRITTEN
    #[arg(long, requires = "paths")]
    pub write: bool,
}

/// Options of `refolio explain`.
#[derive(Args, Clone, Debug)]
pub struct Explain {
    /// A regular file (opened read-only); none: a small sample is made
    pub path: Option<PathBuf>,

    /// The page, counted from 0
    #[arg(long, value_name = "N")]
    pub page: u64,

    /// Hold the page while it is to be moved
    #[arg(long)]
    pub pin: bool,

    /// How much a migration may wait
    #[arg(long, value_enum, default_value_t = ModeName::Sync)]
    pub mode: ModeName,

    /// What is checked before a page is switched
    #[arg(long, value_enum, value_name = "NAME", default_value_t = FormName::FreezeOnly)]
    pub form: FormName,
}

/// Options of `refolio conform`.
#[derive(Args, Clone, Debug)]
pub struct Conform {
    /// What the claims are held against
    #[arg(long, value_enum, default_value_t = SubjectName::Refolio)]
    pub subject: SubjectName,

    /// Only the case of this name; `*` stands for any text
    #[arg(long, value_name = "NAME")]
    pub case: Option<String>,

    /// Seed of whatever the suite can decide [default: a random one, which the report names]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,

    /// How often, each time with the next seed: a number, or until-failure [default: 1; soak: for ever]
    #[arg(long, value_name = "N", value_parser = Repeat::parse)]
    pub repeat: Option<Repeat>,

    /// How much is tried
    #[arg(long, value_enum, default_value_t = ProfileName::Quick)]
    pub profile: ProfileName,

    /// A folder below which files may be made, one for each file system [default: TMPDIR]
    #[arg(long, value_name = "DIR")]
    pub dir: Vec<PathBuf>,

    /// Allow what touches the whole machine: dropping caches, compaction, memory offline, swap, KSM
    #[arg(long)]
    pub disruptive: bool,

    /// Name the cases, their claims and sources, and run none
    #[arg(long)]
    pub list: bool,

    /// Where reports go.
    #[command(flatten)]
    pub reports: Reports,

    /// Print one line of JSON for each thing that happens, as it happens
    #[arg(long, conflicts_with = "ktap")]
    pub stream: bool,

    /// Play one case in this process, and print its verdict alone
    #[arg(long, hide = true, requires = "case")]
    pub one: bool,
}

impl Conform {
    /// How often.
    pub fn repeat(&self) -> Repeat {
        let once = Repeat::Times(if self.profile == ProfileName::Soak { u64::MAX } else { 1 });
        self.repeat.unwrap_or(once)
    }
}

/// Where reports go.
#[derive(Args, Clone, Debug)]
pub struct Reports {
    /// Write all that was said and found to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write a JUnit report to this file, for build servers
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Write one page to this file: the matrix, each cell of which opens
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Print KTAP instead of the matrix, for kernel CI
    #[arg(long)]
    pub ktap: bool,
}

/// A seed on the command line.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "a seed is a whole number from 0 to 2^64 - 1, as reports name it".into())
}

/// How often a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So often.
    Times(u64),
    /// Until something fails.
    UntilFailure,
}

impl Repeat {
    /// From the command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("until-failure", _) => Ok(Self::UntilFailure),
            (_, Ok(times)) if times > 0 => Ok(Self::Times(times)),
            _ => Err("neither a number from 1 on nor `until-failure`".into()),
        }
    }
}

impl std::fmt::Display for Repeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::UntilFailure => f.write_str("until-failure"),
        }
    }
}

/// What the claims can be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SubjectName {
    /// Refolio, in this process
    Refolio,
    /// A trivial model, which keeps the cases honest
    Oracle,
    /// The running kernel
    Linux,
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// Every kind, adversary and trigger at least once: two minutes
    Quick,
    /// Every kind with every adversary: half an hour
    Full,
    /// The same, until stopped
    Soak,
}

/// The modes of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeName {
    /// Never waits
    Async,
    /// Waits for locks
    Light,
    /// Waits for writeback too
    Sync,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Async => Self::Async,
            ModeName::Light => Self::Light,
            ModeName::Sync => Self::Sync,
        }
    }
}

/// The forms of the check before the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormName {
    /// Count and slot under the lock, then the freeze (Linux until 5.15)
    CheckThenFreeze,
    /// The count before the lock (the patch under review in August 2021)
    EarlyCheck,
    /// The slot under the lock, then the freeze (the first counter-proposal)
    LoadThenFreeze,
    /// The freeze alone (the second; Linux since 5.16)
    FreezeOnly,
}

impl From<FormName> for Form {
    fn from(name: FormName) -> Self {
        match name {
            FormName::CheckThenFreeze => Self::CheckThenFreeze,
            FormName::EarlyCheck => Self::EarlyCheck,
            FormName::LoadThenFreeze => Self::LoadThenFreeze,
            FormName::FreezeOnly => Self::FreezeOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Command::command().debug_assert();
    }
}
