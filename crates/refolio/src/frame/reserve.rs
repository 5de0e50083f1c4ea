//! What is asked of a reservation, how it is laid out, and what came of it.

use crate::units::{FrameNo, MAX_ORDER, PAGE_SIZE, pages};
use std::fmt;
use std::io;

/// Whether a node's memory is asked for in huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Base pages only, even where the system hands out huge pages unasked.
    Off,
    /// Transparent huge pages, where the kernel finds some: fewer misses of the TLB, at the price
    /// of memory that comes and goes by 2 MiB.
    #[default]
    #[doc(alias = "MADV_HUGEPAGE")]
    Transparent,
}

/// The frames of one node, as asked for.
pub(crate) struct Run {
    /// How many; at least one.
    pub frames: u32,
    pub huge: HugePages,
    /// The machine's NUMA node they shall come from; `None` leaves it to the kernel.
    pub numa: Option<u32>,
}

/// How a node's frames came to be backed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// By huge pages?
    pub huge: HugeBacking,
    /// By memory of the NUMA node that was asked for?
    pub numa: NumaBacking,
}

/// What came of the wish for huge pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HugeBacking {
    /// Not asked for: base pages.
    NotAsked,
    /// The kernel uses huge pages where it finds them free.
    Advised,
    /// Base pages, and why.
    Refused(String),
}

/// What came of the wish for a NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumaBacking {
    /// Not asked for: wherever the kernel finds memory.
    NotAsked,
    /// The machine has one node only, so there was nothing to choose.
    SingleNode,
    /// All frames come from this node.
    Bound(u32),
    /// Wherever the kernel finds memory, and why.
    Refused(String),
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.huge, self.numa)
    }
}

impl fmt::Display for HugeBacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("base pages"),
            Self::Advised => f.write_str("transparent huge pages"),
            Self::Refused(why) => write!(f, "base pages (no huge pages: {why})"),
        }
    }
}

impl fmt::Display for NumaBacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("on no NUMA node in particular"),
            Self::SingleNode => f.write_str("on the machine's only NUMA node"),
            Self::Bound(node) => write!(f, "bound to NUMA node {node}"),
            Self::Refused(why) => write!(f, "not bound to a NUMA node ({why})"),
        }
    }
}

/// Why a cache's frames could not be reserved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// A node without frames.
    #[error("node {node} has no frames; give it at least one page")]
    NoFrames {
        /// Its number.
        node: usize,
    },
    /// More frames than there are frame numbers.
    #[error("{frames} frames were asked for; a cache numbers at most {max}", max = u32::MAX)]
    TooManyFrames {
        /// In all nodes together.
        frames: u64,
    },
    /// More memory than the machine has, swap included.
    #[error("{bytes} bytes were asked for; this machine has {machine} bytes of memory and swap")]
    BeyondMachine {
        /// In all nodes together.
        bytes: u64,
        /// Memory and swap.
        machine: u64,
    },
    /// The kernel refused.
    #[error("the kernel refused to reserve {bytes} bytes of address space: {source}")]
    Refused {
        /// In all nodes together.
        bytes: usize,
        /// Its answer.
        source: io::Error,
    },
}

/// The first frame of each run, and how many frames all take. Each run starts at a multiple of
/// the largest folio, so that a folio's alignment within its node is one in memory, too.
pub(super) fn lay_out(runs: &[Run]) -> Result<(Vec<FrameNo>, u32), ReserveError> {
    if let Some(node) = runs.iter().position(|run| run.frames == 0) {
        return Err(ReserveError::NoFrames { node });
    }
    let align = u64::from(pages(MAX_ORDER));
    let ends = runs.iter().scan(0_u64, |end, run| {
        let start = end.next_multiple_of(align);
        *end = start + u64::from(run.frames);
        Some((start, *end))
    });
    let ends: Vec<_> = ends.collect();
    let frames = ends.last().map_or(0, |(_, end)| *end);
    let count = u32::try_from(frames).map_err(|_| ReserveError::TooManyFrames { frames })?;
    let (bytes, machine) = (frames * PAGE_SIZE as u64, machine_bytes());
    if bytes > machine {
        return Err(ReserveError::BeyondMachine { bytes, machine });
    }
    // No start is above the last end, which fits.
    Ok((ends.into_iter().map(|(start, _)| FrameNo(start as u32)).collect(), count))
}

/// Memory and swap of the machine.
fn machine_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram.saturating_add(info.totalswap) as u64).saturating_mul(info.mem_unit.into())
}
