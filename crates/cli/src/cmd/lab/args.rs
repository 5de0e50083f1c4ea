//! What the command line of `refolio lab` says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::kernel;
use super::plan::Drill;
use super::qemu::Accel;
use crate::args::{self, ProfileName, Repeat, Reports};
use crate::cmd::conform;
use crate::size;

/// How large a disk is that nobody has asked for.
const DISK: u64 = 512 << 20;
const DISK_TOLD: &str = "512M";

/// Options of `refolio lab`.
#[derive(Args, Clone, Debug)]
pub struct Lab {
    /// Something else than a run.
    #[command(subcommand)]
    pub verb: Option<LabVerb>,

    /// How much is tried
    #[arg(long, value_enum, default_value_t = ProfileName::Quick)]
    pub profile: ProfileName,

    /// Only the case of this name; `*` stands for any text
    #[arg(long, value_name = "NAME")]
    pub case: Option<String>,

    /// Seed of whatever the suite can decide [default: a random one, which the report names]
    #[arg(long, value_name = "N", value_parser = args::seed)]
    pub seed: Option<u64>,

    /// How often, each time with the next seed: a number, or until-failure [soak: for ever]
    #[arg(long, value_name = "N", value_parser = Repeat::parse)]
    pub repeat: Option<Repeat>,

    /// Where reports go.
    #[command(flatten)]
    pub reports: Reports,

    /// Boot this kernel [default: Debian's, fetched with apt]
    #[arg(long, value_name = "BZIMAGE", help_heading = "The kernel")]
    pub kernel: Option<PathBuf>,

    /// Where the modules of --kernel are, such as /lib/modules/RELEASE
    #[arg(long, value_name = "DIR", requires = "kernel", help_heading = "The kernel")]
    pub modules: Option<PathBuf>,

    /// Which of Debian's kernels: a series such as 6.12, or newest [default: the release's]
    #[arg(long, value_name = "SERIES", value_parser = kernel::series, conflicts_with = "kernel",
          help_heading = "The kernel")]
    pub debian: Option<String>,

    /// More words for the kernel's command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        allow_hyphen_values = true,
        hide_default_value = true,
        help_heading = "The kernel"
    )]
    pub append: String,

    /// Memory nodes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=16),
          default_value_t = 2, help_heading = "The machine")]
    pub nodes: u64,

    /// Processors; nodes beyond their number have memory alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64),
          default_value_t = 2, help_heading = "The machine")]
    pub cpus: u64,

    /// Memory of all nodes together
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some, default_value = "2G",
          help_heading = "The machine")]
    pub mem: u64,

    /// File systems, each on a disk of its own; tmpfs is always there
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "ext4,xfs,btrfs",
        help_heading = "The machine"
    )]
    pub fs: Vec<String>,

    /// Size of each disk; it takes space as it is written to
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some, default_value = DISK_TOLD,
          help_heading = "The machine")]
    pub disk: u64,

    /// How instructions are run [default: kvm where it proves to work, else tcg]
    #[arg(long, value_enum, help_heading = "The machine")]
    pub accel: Option<Accel>,

    /// A guest that says nothing for so many seconds has failed, and so has one that is not off so long
    /// after the suite [default: as long as a case may take; 120]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..),
          help_heading = "The machine")]
    pub silence: Option<u64>,

    /// Write the kernel's whole log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Rehearse a failure instead of running the suite
    #[arg(long, value_enum)]
    pub drill: Option<Drill>,
}

impl Lab {
    /// How long a guest may say nothing. Whatever hangs in a case is told by the suite, with where it
    /// hangs; so that comes first.
    pub fn silence(&self) -> Duration {
        const LONGER: Duration = Duration::from_secs(30);
        self.silence.map_or(conform::limit(self.profile.profile()) + LONGER, Duration::from_secs)
    }

    /// The command that makes the same machine again, up to the case.
    pub fn command(&self) -> String {
        let mut words = vec!["refolio lab".to_owned()];
        let path = |path: &PathBuf| path.display().to_string();
        let disk = Some(self.disk).filter(|size| *size != DISK);
        let texts = [
            ("--kernel", self.kernel.as_ref().map(path)),
            ("--modules", self.modules.as_ref().map(path)),
            ("--debian", self.debian.clone()),
            ("--append", Some(self.append.clone()).filter(|text| !text.is_empty())),
            ("--fs", Some(self.fs.join(","))),
            ("--disk", disk.map(exact)),
            ("--accel", self.accel.map(|accel| accel.name().to_owned())),
            // It decides how long a case is played.
            ("--profile", Some(self.profile.name().to_owned()).filter(|name| name != "quick")),
        ];
        for (name, text) in texts {
            words.extend(text.map(|text| format!("{name} {}", quoted(&text))));
        }
        let Self { nodes, cpus, .. } = self;
        words.push(format!("--nodes {nodes} --cpus {cpus} --mem {}", exact(self.mem)));
        words.join(" ")
    }
}

/// A size as it is read again, to the byte.
fn exact(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}M", bytes >> 20) } else { bytes.to_string() }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,+:=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What else the laboratory can do.
#[derive(Clone, Debug, Subcommand)]
pub enum LabVerb {
    /// Build a small kernel from a source tree, with patches, for `refolio lab --kernel`.
    ///
    /// The tree is not modified. The first build takes long; a second one into the same --out, with
    /// another patch, compiles only what that changes. `lab/build-kernel.sh` does the work.
    Build(Build),
}

/// Options of `refolio lab build`.
#[derive(Args, Clone, Debug)]
pub struct Build {
    /// A kernel's source tree, such as Debian's linux-source-6.1, unpacked
    #[arg(long, value_name = "DIR")]
    pub source: PathBuf,

    /// Where to build; the kernel will be bzImage there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// A patch to apply before (with -p1); may be given several times
    #[arg(long, value_name = "FILE")]
    pub patch: Vec<PathBuf>,

    /// More options for the kernel's configuration; may be given several times
    #[arg(long, value_name = "FRAGMENT")]
    pub config: Vec<PathBuf>,

    /// How many compilers run side by side [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,

    /// The script that does the work [default: lab/build-kernel.sh of the checkout]
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        lab: Lab,
    }

    fn again(words: &[&str]) -> String {
        Line::parse_from(["lab"].iter().chain(words)).lab.command()
    }

    #[test]
    fn a_failure_is_repeated_on_the_same_machine_for_as_long_as_it_was_played() {
        let machine = "--nodes 3 --cpus 2 --mem 2048M";
        let told = again(&["--nodes=3", "--fs=ext4", "--seed=7"]);
        assert_eq!(told, format!("refolio lab --fs ext4 {machine}"));
        let told =
            again(&["--nodes=3", "--fs=ext4", "--profile=full", "--append=a b", "--disk=1G"]);
        let before = "refolio lab --append 'a b' --fs ext4 --disk 1024M --profile full";
        assert_eq!(told, format!("{before} {machine}"));
        let told = again(&["--nodes=3", "--fs=ext4", "--disk=300000K"]);
        assert_eq!(told, format!("refolio lab --fs ext4 --disk 307200000 {machine}"));
    }
}
