//! What cannot be used is refused before anything is fetched, made or booted: one line each, with
//! the remedy.

use super::args::Lab;
use super::{disks, qemu};
use crate::args::SubjectName;
use crate::cmd::conform;
use crate::exit::Failure;
use crate::size;

/// Room for the initramfs: this program, and a kernel's modules.
const INITRAMFS: u64 = 256 << 20;

/// A node with less has no room for a kernel and the pages in play.
const LEAST_NODE: u64 = 256 << 20;

/// Refuses names that nothing has, and what the host cannot give.
pub fn check(args: &Lab) -> Result<(), Failure> {
    if let Some(name) = &args.case {
        conform::named(SubjectName::Linux, name)?;
    }
    qemu::check()?;
    disks::check(&args.fs)?;
    memory(args)?;
    space(args)
}

fn memory(args: &Lab) -> Result<(), Failure> {
    let least = LEAST_NODE * args.nodes;
    if args.mem < least {
        let (nodes, least) = (args.nodes, size::show(least));
        return Err(Failure::unusable(format!("--mem: {nodes} nodes need {least}")));
    }
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    match kib {
        Some(kib) if kib << 10 < args.mem => Err(Failure::unusable(format!(
            "the machine needs {}, and {} are available: see --mem",
            size::show(args.mem),
            size::show(kib << 10)
        ))),
        _ => Ok(()),
    }
}

fn space(args: &Lab) -> Result<(), Failure> {
    let place = std::env::temp_dir();
    let needed = args.disk * args.fs.len() as u64 + INITRAMFS;
    let shown = place.display();
    let found = rustix::fs::statvfs(&place).map_err(|error| {
        Failure::unusable(format!("{shown}: {error}: set TMPDIR to a writable folder"))
    })?;
    let free = found.f_bavail * found.f_frsize;
    if free < needed {
        return Err(Failure::unusable(format!(
            "{shown}: {} are free, {} are needed: set TMPDIR to a folder with space, or see --disk",
            size::show(free),
            size::show(needed)
        )));
    }
    Ok(())
}
