//! What `refolio bench` is asked.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use refolio_bench::Suite;

use crate::size;

/// Options of `refolio bench`.
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// What is measured [default: all of it, in short]
    #[arg(value_enum)]
    pub suite: Option<SuiteName>,

    /// Memory that is read and moved, or (suites miss and write) the file on the device
    /// [default: 1G; in short 256M; never more than the machine has room for]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_some)]
    pub size: Option<u64>,

    /// Measurements of each thing [default: 9; in short 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub reps: Option<u64>,

    /// How long one measurement takes, where that can be chosen [default: 0.25; in short 0.1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<Duration>,

    /// The most threads at a time [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: Option<u64>,

    /// Measure only what has this in its name, beside the limits and Refolio
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,

    /// Where scratch files are made and removed: a folder on the device that is measured
    /// [default: TMPDIR, or /var/tmp where that is in memory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Allow what touches the whole machine: a block of its memory goes offline for a moment, again and
    /// again, to see how fast the kernel moves pages out of it
    #[arg(long)]
    pub disruptive: bool,

    /// Exit with 1 when something that must be reached was not
    #[arg(long)]
    pub strict: bool,

    /// Write the figures to this file, as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write a picture of the suite to this file, as SVG
    #[arg(long, value_name = "FILE", requires = "suite")]
    pub svg: Option<PathBuf>,

    /// Write one page to this file: a picture of each suite
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// A suite, as it is written on the command line.
#[derive(Clone, Copy, Debug)]
pub struct SuiteName(pub Suite);

impl ValueEnum for SuiteName {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [SuiteName; Suite::ALL.len()] = {
            let mut all = [SuiteName(Suite::ALL[0]); Suite::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = SuiteName(Suite::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.about()))
    }
}

/// A number of seconds, not of hours.
fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected seconds, from 0.01 to 60, not '{text}'");
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    if (0.01..=60.0).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(expected())
}
