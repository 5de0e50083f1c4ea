//! When nobody acts any more: everything moves, every byte is where it belongs, in memory and
//! behind it, and the accounts add up. What still refuses to move is explained.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::ground::eventually;
use super::kind::{Kind, State};
use super::look::{len, whole};
use super::machine::{Stop, refused};
use super::movers::{all, moved_to};
use super::play::Play;
use super::proof::{Counts, Flag, count, node_vmstat, refresh, vmstat};
use super::sys::{self, Map, Where};
use crate::ledger::Ledger;
use crate::tally::Fact;
use crate::verdict::Wrong;

/// Looks at everything.
pub(crate) fn look(play: &Play, before: &Counts) -> Result<(), Stop> {
    let ground = &play.ground;
    if let Some(group) = &play.cpuset {
        group.give(&play.machine.nodes).map_err(refused("cpuset.mems"))?;
    }
    contents(play, "memory")?;
    if let Some(backing) = ground.file.as_ref().filter(|_| ground.kind.has_disk()) {
        backing.file.sync_all().map_err(refused("the last fsync"))?;
    }
    if ground.kind.is_mapped() && play.machine.nodes.len() >= 2 {
        everything_moves(play)?;
        contents(play, "memory that was moved once more")?;
    }
    if ground.kind == Kind::Mlocked {
        unevictable(play)?;
    }
    behind(play)?;
    accounts(play, before)
}

/// Every byte, by every way.
fn contents(play: &Play, what: &str) -> Result<(), Stop> {
    let (ground, mut image) = (&play.ground, vec![0; len(play)]);
    if let Some(map) = &ground.map {
        map.load(0, &mut image);
        whole(&ground.ledger, &image, what)?;
    }
    if let Some((twin, ledger)) = &ground.twin {
        twin.load(0, &mut image);
        whole(ledger, &image, "the twin, which nobody wrote")?;
    }
    if ground.kind.has_file() {
        read_file(play, &mut image)?;
        whole(&ground.ledger, &image, "the cached file")?;
    }
    Ok(())
}

fn read_file(play: &Play, image: &mut Vec<u8>) -> Result<(), Stop> {
    image.fill(0);
    let Some(backing) = &play.ground.file else { return Ok(()) };
    let mut read = 0;
    while read < image.len() {
        let got = backing.file.read_at(&mut image[read..], read as u64);
        match got.map_err(refused("reading at rest"))? {
            0 => break,
            got => read += got,
        }
    }
    image.truncate(read);
    Ok(())
}

/// What is behind the memory: on disk, or in the file under private copies.
fn behind(play: &Play) -> Result<(), Stop> {
    let (ground, mut image) = (&play.ground, vec![0; len(play)]);
    let Some(backing) = &ground.file else { return Ok(()) };
    if ground.kind.state() == Some(State::Cow) {
        read_file(play, &mut image)?;
        let untouched = Ledger::with_pages(0, play.seed, 1, ground.pages());
        return whole(&untouched, &image, "the file under the private copies");
    }
    if !ground.kind.has_disk() {
        return Ok(());
    }
    // Past the cache first: what the disk has, whatever the cache says.
    if let Some(direct) = backing.direct() {
        let bounce = Map::new(sys::Source::Private, len(play)).map_err(refused("mmap"))?;
        let read = sys::read_into((&direct, 0), &bounce, 0, len(play));
        let read = read.map_err(refused("reading past the cache"))?;
        bounce.load(0, &mut image);
        image.truncate(read);
        whole(&ground.ledger, &image, "the disk")?;
    }
    rustix::fs::fadvise(&backing.file, 0, None, rustix::fs::Advice::DontNeed)
        .map_err(refused("posix_fadvise"))?;
    let mut image = vec![0; len(play)];
    read_file(play, &mut image)?;
    whole(&ground.ledger, &image, "the file, read again")
}

/// How long pages may refuse to move that nobody uses.
const PATIENCE: Duration = Duration::from_secs(10);

fn everything_moves(play: &Play) -> Result<(), Stop> {
    let addresses = all(play);
    for node in &play.machine.nodes {
        let mut stayed = Vec::new();
        let mut failed = None;
        let went = eventually(PATIENCE, || match moved_to(play, &addresses, *node) {
            Ok(left) => {
                stayed = left;
                stayed.is_empty() && is_there(&addresses, *node)
            }
            Err(stop) => {
                failed = Some(stop);
                true
            }
        });
        if let Some(stop) = failed {
            return Err(stop);
        }
        if !went {
            return Err(Stop::fails(Wrong::Stuck, explained(play, &stayed, *node)));
        }
    }
    Ok(())
}

/// The kernel's other word: each page that is present is on the node.
fn is_there(addresses: &[usize], node: usize) -> bool {
    let places = sys::where_are(addresses).unwrap_or_default();
    places.into_iter().all(|place| matches!(place, Where::Not(_)) || place == Where::Node(node))
}

/// Which pages refuse, and who may have a reference too many.
fn explained(play: &Play, stayed: &[(usize, i32)], node: usize) -> String {
    let Some((address, error)) = stayed.first() else {
        return format!("pages are said to be on node {node}, and are not");
    };
    let name = std::io::Error::from_raw_os_error(*error);
    let mut told = format!("{} pages refuse node {node}: {name}; nobody uses them", stayed.len());
    if let Some(frames) = &play.frames {
        let flags = [
            (Flag::SwapCache, "in the swap cache"),
            (Flag::Ksm, "merged"),
            (Flag::Compound, "part of a large folio"),
            (Flag::Unevictable, "unevictable"),
        ];
        let has = |flag| frames.has(*address, flag) == Some(true);
        let words: Vec<_> =
            flags.into_iter().filter(|(flag, _)| has(*flag)).map(|(_, word)| word).collect();
        if !words.is_empty() {
            told += &format!("; the first one is {}", words.join(", "));
        }
    }
    let facts = [Fact::Pinned, Fact::Transferred, Fact::Forked, Fact::Synced, Fact::Cut];
    let done = facts.into_iter().filter(|fact| play.tally.so_far(*fact) > 0);
    let done: Vec<_> = done.map(Fact::name).collect();
    if !done.is_empty() {
        told += &format!("; a reference may be left from what the case did: {}", done.join(", "));
    }
    told
}

/// Locked pages are still on no list of those that may go.
fn unevictable(play: &Play) -> Result<(), Stop> {
    let (Some(frames), Some(map)) = (&play.frames, &play.ground.map) else { return Ok(()) };
    let lost = |page: &u64| frames.has(map.address(*page), Flag::Unevictable) == Some(false);
    let mut left = 0;
    let kept = eventually(Duration::from_secs(1), || {
        left = (0..map.pages()).filter(lost).count();
        left == 0
    });
    if kept {
        return Ok(());
    }
    let detail = format!("{left} pages locked in memory are no longer unevictable");
    Err(Stop::fails(Wrong::Miscounted, detail))
}

/// Pages of the kernel's own business that may be isolated at any moment.
const ISOLATED: i64 = 64;

/// The kernel's counters: nothing is left isolated, and what moved was counted.
fn accounts(play: &Play, before: &Counts) -> Result<(), Stop> {
    let isolated = || -> Vec<(usize, i64)> {
        refresh();
        let of = |node: &usize| {
            let counts = node_vmstat(*node);
            let left =
                count(&counts, "nr_isolated_anon").abs() + count(&counts, "nr_isolated_file").abs();
            (*node, left)
        };
        play.machine.nodes.iter().map(of).filter(|(_, left)| *left > ISOLATED).collect()
    };
    if !eventually(Duration::from_secs(2), || isolated().is_empty()) {
        let detail = format!("pages isolated at rest, by node: {:?}", isolated());
        return Err(Stop::fails(Wrong::Miscounted, detail));
    }
    let after = vmstat();
    let grown = count(&after, "pgmigrate_success") - count(before, "pgmigrate_success");
    let moved = play.tally.so_far(Fact::Moved) as i64;
    // What moved by chance (a fault after a drop) is not the kernel's to count: a page in two.
    let drops = play.tally.so_far(Fact::Advised) + play.tally.so_far(Fact::Remapped) > 0;
    if !drops && grown * 2 < moved {
        let detail = format!("{moved} pages moved, and pgmigrate_success grew by {grown}");
        return Err(Stop::fails(Wrong::Miscounted, detail));
    }
    Ok(())
}
