//! How fast the kernel of this machine moves pages: between two nodes with `move_pages` where there
//! are two, and by compaction otherwise.
#![allow(unsafe_code)] // A system call that is given addresses.

use std::fs;

use refolio::PAGE_SIZE;

use super::arena::Arena;
use crate::cpus;
use crate::error::{Error, Result};
use crate::noise::{Lap, Timing};

/// A way to have the kernel move pages.
#[derive(Clone, Copy, Debug)]
pub enum Kernel {
    /// Anonymous pages to another node and back.
    MovePages([i32; 2]),
    /// Anonymous memory of which every other page or so was given back.
    Compaction,
}

const COMPACT: &str = "/proc/sys/vm/compact_memory";

/// Fewer pages say nothing about the speed.
const FEWEST: u64 = 10_000;

impl Kernel {
    /// The way that this machine has, tried once with so many bytes; or why it has none.
    pub fn find(bytes: usize, disruptive: bool) -> std::result::Result<Self, String> {
        let nodes = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
        let way = match numbers(&nodes)[..] {
            [first, .., last] => Self::MovePages([first, last]),
            _ => Self::Compaction,
        };
        if matches!(way, Self::Compaction) && !disruptive {
            return Err(format!(
                "{} is left out: with one memory node there is nothing else, and it touches the \
                 whole machine; allow it with --disruptive",
                way.name()
            ));
        }
        match way.measure(bytes) {
            Ok(_) => Ok(way),
            Err(error) => Err(format!("{} is left out: {error}", way.name())),
        }
    }

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::MovePages(_) => "the kernel, move_pages, anonymous pages",
            Self::Compaction => "the kernel, compaction, anonymous pages",
        }
    }

    /// The time for a page.
    pub fn measure(self, bytes: usize) -> Result<Timing> {
        let mut arena = Arena::small(bytes)?;
        match self {
            Self::MovePages(nodes) => cpus::on(0, || move_pages(&arena, nodes)),
            Self::Compaction => {
                for page in (0..bytes / PAGE_SIZE).filter(|_| fastrand::bool()) {
                    arena.forget(page)?;
                }
                cpus::on(0, compact)
            }
        }
    }
}

/// The numbers of a list such as `0-1,4`.
fn numbers(list: &str) -> Vec<i32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse().ok().zip(last.parse().ok()).map(|(first, last): (i32, i32)| first..=last)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

fn compact() -> Result<Timing> {
    let before = migrated()?;
    let lap = Lap::start();
    fs::write(COMPACT, "1").map_err(|error| {
        let why = "with one memory node there is only compaction, which takes root";
        Error::Unusable(format!("{why} ({COMPACT}: {error})"))
    })?;
    let timing = lap.stop(1);
    match migrated()?.saturating_sub(before) {
        pages if pages >= FEWEST => Ok(timing.times(1.0 / pages as f64)),
        pages => Err(Error::Unusable(format!(
            "the kernel found only {pages} pages to move: the memory it gave us lies above its \
             free memory already"
        ))),
    }
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
    let doing = "move_pages";
    let pages: Vec<*mut u8> =
        (0..arena.len()).step_by(PAGE_SIZE).map(|at| arena.base().wrapping_add(at)).collect();
    let mut status = vec![0i32; pages.len()];
    call(&pages, None, &mut status).map_err(Error::while_(doing))?;
    let to = if status[0] == nodes[0] { nodes[1] } else { nodes[0] };
    let there = status.iter().filter(|node| **node != to).count() as u64;
    let lap = Lap::start();
    call(&pages, Some(&vec![to; pages.len()]), &mut status).map_err(Error::while_(doing))?;
    let timing = lap.stop(there);
    match status.iter().filter(|node| **node != to).count() {
        0 => Ok(timing),
        left => Err(Error::failed(doing, format!("{left} pages did not move"))),
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
