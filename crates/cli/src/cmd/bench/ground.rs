//! Where it is measured, and how much.

use std::path::{Path, PathBuf};
use std::time::Duration;

use refolio_bench::{Plan, Suite};
use rustix::fs::statfs;

use super::args::Bench;
use crate::exit::Failure;
use crate::signal::Scratch;
use crate::size;

/// Where it is measured, and how much.
pub struct Ground {
    scratch: Scratch,
    args: Bench,
    memory: u64,
    remarks: String,
}

/// Fewer pages say nothing.
const SMALLEST: u64 = 16 << 20;

impl Ground {
    /// Looks at the machine, and makes the folder.
    pub fn new(args: &Bench) -> Result<Self, Failure> {
        let memory = available().unwrap_or(4 << 30);
        let suites = args.suite.map_or(Suite::ALL.to_vec(), |suite| vec![suite.0]);
        check_size(args, &suites, memory)?;
        let place = place(args.dir.as_deref());
        if !place.is_dir() {
            let place = place.display();
            return Err(Failure::unusable(format!(
                "{place}: there is no such folder; make it, or name one with --dir"
            )));
        }
        if suites.iter().any(|suite| suite.has_device()) && is_in_memory(&place) {
            return Err(Failure::unusable(format!(
                "{}: it is in memory, and suites miss and write are about a device; name a folder \
                 on a disk with --dir",
                place.display()
            )));
        }
        let scratch = Scratch::below(&place)?;
        let mut remarks = String::new();
        if !refolio_bench::HAS_PEERS {
            remarks += "\nother caches are left out: build with `--features peers` to have them";
        }
        Ok(Self { scratch, args: args.clone(), memory, remarks })
    }

    /// Where scratch files go.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Lines for the beginning.
    pub fn remarks(&self) -> &str {
        &self.remarks
    }

    /// How much of this suite.
    pub fn plan(&self, suite: Suite) -> Plan {
        let args = &self.args;
        let short = args.suite.is_none();
        let wanted = args.size.unwrap_or(if short { 256 << 20 } else { 1 << 30 });
        // What there is room for, in whole large pages.
        let room = self.memory / 10 * 9 / suite.copies().max(1);
        let bytes = wanted.min(room).max(SMALLEST) / SMALLEST * SMALLEST;
        let span = Duration::from_millis(if short { 100 } else { 250 });
        Plan {
            bytes: bytes as usize,
            file_bytes: wanted.max(SMALLEST) / SMALLEST * SMALLEST,
            reps: args.reps.unwrap_or(if short { 3 } else { 9 }) as usize,
            span: args.seconds.unwrap_or(span),
            threads: args.threads.unwrap_or(refolio_bench::cpus() as u64) as usize,
            dir: self.dir().to_owned(),
            only: args.only.clone(),
            disruptive: args.disruptive,
        }
    }
}

/// Sizes that this machine does not do for.
fn check_size(args: &Bench, suites: &[Suite], memory: u64) -> Result<(), Failure> {
    let Some(given) = args.size else { return Ok(()) };
    if given < SMALLEST {
        let given = size::show(given);
        return Err(Failure::unusable(format!("--size {given}: at least 16 MiB say anything")));
    }
    for suite in suites {
        let needed = given.saturating_mul(suite.copies());
        if !suite.has_device() && needed > memory {
            return Err(Failure::unusable(format!(
                "--size {}: suite {} takes {} of memory with that, and {} is available; give a \
                 smaller one",
                size::show(given),
                suite.name(),
                size::show(needed),
                size::show(memory)
            )));
        }
    }
    Ok(())
}

/// The folder for the folder: on a disk, where nobody says which.
fn place(given: Option<&Path>) -> PathBuf {
    let tmp = std::env::temp_dir();
    match given {
        Some(given) => given.to_owned(),
        None if is_in_memory(&tmp) => "/var/tmp".into(),
        None => tmp,
    }
}

/// Whether files in this folder are in memory only.
fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    statfs(folder).is_ok_and(|fs| [TMPFS, RAMFS].contains(&(fs.f_type as u64)))
}

/// Bytes of memory that can be had without anybody having to give any up.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}
