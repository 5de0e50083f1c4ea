//! How fast the kernel of this machine moves pages: between two nodes with `move_pages` where there
//! are two; and otherwise out of a block of memory that is taken offline for a moment.
//!
//! (Compaction moves pages on a machine with one node, too, but as few as it likes: on our machines up
//! to 6,500 at a time, and often none. Out of a block that goes offline it must move all, in batches, as
//! `move_pages` does.)
#![allow(unsafe_code)] // A system call that is given addresses.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;

use refolio::PAGE_SIZE;

use super::arena::Arena;
use crate::cpus;
use crate::error::{Error, Result};
use crate::noise::{Lap, Timing};

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// One process maps it.
    Anonymous,
    /// In the page cache; mapped by nobody while a block goes offline, by one process otherwise.
    Shared,
}

/// A way to have the kernel move pages.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// To another node and back.
    MovePages([i32; 2]),
    /// Out of a block of memory.
    Offline,
}

/// The way that this machine has, for pages of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    way: Way,
    memory: Memory,
}

/// Fewer pages say nothing about the speed.
const FEWEST: u64 = 10_000;

/// Pieces of memory that are taken at most, to find such a block.
const MOST: usize = 4;

/// Blocks of memory that can be taken offline.
const BLOCKS: &str = "/sys/devices/system/memory";

impl Kernel {
    /// The way that this machine has; or why it is not to be tried.
    pub fn find(memory: Memory, disruptive: bool) -> std::result::Result<Self, String> {
        let nodes = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
        let way = match numbers(&nodes)[..] {
            [first, .., last] => Way::MovePages([first, last]),
            _ => Way::Offline,
        };
        let kernel = Self { way, memory };
        match way {
            Way::Offline if !disruptive => Err(format!(
                "{} is left out: with one memory node there is nothing else, and it takes a block of \
                 the machine's memory offline for a moment; allow it with --disruptive",
                kernel.name()
            )),
            _ => Ok(kernel),
        }
    }

    /// For tables.
    pub fn name(self) -> &'static str {
        match (self.way, self.memory) {
            (Way::MovePages(_), Memory::Anonymous) => "the kernel, move_pages, anonymous pages",
            (Way::MovePages(_), Memory::Shared) => "the kernel, move_pages, page cache (tmpfs)",
            (Way::Offline, Memory::Anonymous) => "the kernel, memory offline, anonymous pages",
            (Way::Offline, Memory::Shared) => "the kernel, memory offline, page cache (tmpfs)",
        }
    }

    /// The kernel's processor time for a page: while it waits until all processors have seen something,
    /// it moves none.
    pub fn measure(self, bytes: usize) -> Result<Timing> {
        let arena = self.arena(bytes)?;
        let timing = match self.way {
            Way::MovePages(nodes) => {
                warm(bytes)?;
                cpus::on(0, || move_pages(&arena, nodes))
            }
            Way::Offline => self.offline(arena),
        };
        timing.map(Timing::of_processor)
    }

    /// Takes a block offline that has pages of the arena. They lie here and there, and most blocks have
    /// something of the kernel's own, too: of more pages, some block has enough, and nothing else.
    fn offline(self, first: Arena) -> Result<Timing> {
        let bytes = first.len();
        let (mut arenas, mut frames) = (vec![first], Vec::new());
        while let Some(arena) = arenas.last_mut() {
            frames.extend(frames_of(arena)?);
            if self.memory == Memory::Shared {
                arena.unmap()?;
            }
            let blocks = blocks_of(&frames)?;
            warm(bytes)?;
            if let Some(timing) = cpus::on(0, || offline_one(&blocks))? {
                return Ok(timing);
            }
            if arenas.len() == MOST {
                break;
            }
            arenas.push(self.arena(bytes)?);
        }
        let what = "no block of memory that has many of its pages goes offline";
        Err(Error::Unusable(format!("{what}; try again, or with a larger --size")))
    }

    fn arena(self, bytes: usize) -> Result<Arena> {
        match self.memory {
            Memory::Anonymous => Arena::small(bytes),
            Memory::Shared => Arena::shared(bytes),
        }
    }
}

/// What the pages go to shall be memory that somebody had a moment ago: elsewhere the host of a virtual
/// machine may have to find it first, which takes several times as long as to move a page.
fn warm(bytes: usize) -> Result<()> {
    Arena::small(bytes).map(drop)
}

/// The numbers of a list such as `0-1,4`.
fn numbers(list: &str) -> Vec<i32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse().ok().zip(last.parse().ok()).map(|(first, last): (i32, i32)| first..=last)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// The blocks of memory that have many of these frames, those with most of them first.
fn blocks_of(frames: &[u64]) -> Result<Vec<u64>> {
    let path = format!("{BLOCKS}/block_size_bytes");
    let size = fs::read_to_string(&path).map_err(|error| {
        let why = "this kernel takes no memory offline (CONFIG_MEMORY_HOTREMOVE), or not in here";
        Error::Unusable(format!("{why}: {path}: {error}"))
    })?;
    let pages = u64::from_str_radix(size.trim(), 16).map_or(0, |bytes| bytes / PAGE_SIZE as u64);
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for frame in frames {
        *counts.entry(frame.checked_div(pages).unwrap_or_default()).or_default() += 1;
    }
    let mut ours: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= FEWEST).collect();
    ours.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(ours.into_iter().map(|(block, _)| block).collect())
}

/// The frames of all pages.
fn frames_of(arena: &Arena) -> Result<Vec<u64>> {
    const PRESENT: u64 = 1 << 63;
    const FRAME: u64 = (1 << 55) - 1;
    let path = "/proc/self/pagemap";
    let mut words = vec![0; arena.len() / PAGE_SIZE * 8];
    let at = arena.base().addr() as u64 / PAGE_SIZE as u64 * 8;
    let read = File::open(path).and_then(|map| map.read_exact_at(&mut words, at));
    read.map_err(|error| Error::Unusable(format!("{path}: {error}")))?;
    let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
    let frames: Vec<u64> = words.filter(|w| w & PRESENT != 0).map(|w| w & FRAME).collect();
    match frames.iter().any(|frame| *frame != 0) {
        true => Ok(frames),
        false => Err(Error::Unusable(format!("{path} says where pages are to root only"))),
    }
}

/// Takes the first of these blocks offline that goes, and back; the time for a page.
fn offline_one(blocks: &[u64]) -> Result<Option<Timing>> {
    for block in blocks {
        let state = format!("{BLOCKS}/memory{block}/state");
        let tell = |word: &str| {
            fs::OpenOptions::new().write(true).open(&state)?.write_all(word.as_bytes())
        };
        let before = migrated()?;
        let lap = Lap::start();
        let gone = tell("offline");
        let timing = lap.stop(1);
        match gone {
            Ok(()) => {}
            // Something of the kernel's own is in there.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => continue,
            Err(error) => return Err(Error::Unusable(format!("{state}: {error}; it takes root"))),
        }
        tell("online").map_err(|error| {
            let what = "a block of memory stays offline; write `online` to";
            Error::failed(what, format_args!("{state}: {error}"))
        })?;
        let pages = migrated()?.saturating_sub(before);
        if pages >= FEWEST {
            return Ok(Some(timing.times(1.0 / pages as f64)));
        }
    }
    Ok(None)
}

/// Pages that the kernel has moved since it was started.
fn migrated() -> Result<u64> {
    let path = "/proc/vmstat";
    let text = fs::read_to_string(path).map_err(Error::while_(path))?;
    let value = text.lines().find_map(|line| line.strip_prefix("pgmigrate_success "));
    value
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| Error::Unusable(format!("{path} has no pgmigrate_success")))
}

/// Moves all pages to the node that has not got the first one.
fn move_pages(arena: &Arena, nodes: [i32; 2]) -> Result<Timing> {
    let failed = |why: String| Error::Unusable(format!("move_pages: {why}"));
    let pages: Vec<*mut u8> =
        (0..arena.len()).step_by(PAGE_SIZE).map(|at| arena.base().wrapping_add(at)).collect();
    let mut status = vec![0i32; pages.len()];
    call(&pages, None, &mut status).map_err(|error| failed(error.to_string()))?;
    let to = if status[0] == nodes[0] { nodes[1] } else { nodes[0] };
    let there = status.iter().filter(|node| **node != to).count() as u64;
    let lap = Lap::start();
    let moved = call(&pages, Some(&vec![to; pages.len()]), &mut status);
    let timing = lap.stop(there);
    moved.map_err(|error| failed(error.to_string()))?;
    match status.iter().filter(|node| **node != to).count() {
        0 => Ok(timing),
        left => Err(failed(format!("{left} pages did not move"))),
    }
}

/// Where the pages are, or to which nodes they go.
fn call(pages: &[*mut u8], nodes: Option<&[i32]>, status: &mut [i32]) -> std::io::Result<()> {
    assert!(nodes.is_none_or(|nodes| nodes.len() == pages.len()) && status.len() == pages.len());
    let nodes = nodes.map_or(std::ptr::null(), |nodes| nodes.as_ptr());
    // SAFETY: three arrays of as many elements (or none, which is allowed for the nodes); where
    // pages are does not change what they hold. MPOL_MF_MOVE is 2.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            pages.len(),
            pages.as_ptr(),
            nodes,
            status.as_mut_ptr(),
            2,
        )
    };
    if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_of_nodes_as_the_kernel_writes_them() {
        for (list, nodes) in [("0\n", vec![0]), ("0-2,5", vec![0, 1, 2, 5]), ("", vec![])] {
            assert_eq!(super::numbers(list), nodes, "{list}");
        }
    }
}
