//! Triggers: who moves pages. Each turn looks where pages are before and after, by node or frame.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::machine::{Machine, NEEDS_ROOT, Stop, refused};
use super::play::{Actor, Me, Play};
use super::sys::{self, Advice, Map, Mover, Registered, Source, Where};
use crate::tally::Fact;

/// What makes pages move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    MovePages,
    MigratePages,
    Mbind,
    Cpuset,
    Compaction,
    Offline,
    SoftOffline,
    LongtermPin,
}

impl Trigger {
    pub const ALL: [Self; 8] = [
        Self::MovePages,
        Self::MigratePages,
        Self::Mbind,
        Self::Cpuset,
        Self::Compaction,
        Self::Offline,
        Self::SoftOffline,
        Self::LongtermPin,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MovePages => "move-pages",
            Self::MigratePages => "migrate-pages",
            Self::Mbind => "mbind",
            Self::Cpuset => "cpuset",
            Self::Compaction => "compaction",
            Self::Offline => "offline",
            Self::SoftOffline => "soft-offline",
            Self::LongtermPin => "longterm-pin",
        }
    }

    /// What it does, in a claim.
    pub fn verb(self) -> &'static str {
        match self {
            Self::MovePages => "is moved from node to node by move_pages",
            Self::MigratePages => "is moved with its process by migrate_pages",
            Self::Mbind => "is moved by mbind",
            Self::Cpuset => "is moved when its cpuset gets other memory",
            Self::Compaction => "is moved by compaction",
            Self::Offline => "is moved because its memory goes offline",
            Self::SoftOffline => "is moved because its frame is taken offline",
            Self::LongtermPin => "is moved out of movable memory before it is pinned for long",
        }
    }

    /// Who it needs, and whether the machine has that.
    pub fn actors(self, machine: &Machine) -> Result<&'static [Actor], Stop> {
        match self {
            Self::MovePages | Self::MigratePages | Self::Mbind => machine.two_nodes()?,
            Self::Cpuset => {
                machine.two_nodes()?;
                machine.may_disrupt()?;
            }
            Self::Compaction | Self::Offline | Self::SoftOffline => machine.may_disrupt()?,
            Self::LongtermPin => {
                if !machine.root {
                    return Err(Stop::Lacks(NEEDS_ROOT));
                }
            }
        }
        Ok(match self {
            Self::MovePages => &[MOVER],
            Self::MigratePages => &[Actor { name: "migrate_pages", writes: false, act: migrate }],
            Self::Mbind => &[Actor { name: "mbind", writes: false, act: bind }],
            Self::Cpuset => &[Actor { name: "cpuset", writes: false, act: cpuset }],
            Self::Compaction => &[Actor { name: "compaction", writes: false, act: compact }],
            Self::Offline => &[Actor { name: "memory offline", writes: false, act: offline }],
            Self::SoftOffline => {
                &[Actor { name: "soft offline", writes: false, act: soft_offline }]
            }
            Self::LongtermPin => &[Actor { name: "longterm pin", writes: false, act: longterm }],
        })
    }
}

/// Moves ranges of pages from node to node.
pub(crate) const MOVER: Actor = Actor { name: "mover", writes: false, act: move_pages };

/// The addresses of pages, and those of their twins.
fn addresses(play: &Play, pages: std::ops::Range<u64>) -> Vec<usize> {
    let maps = play.ground.map.iter().chain(play.ground.twin.iter().map(|(twin, _)| twin));
    maps.flat_map(|map| pages.clone().map(|page| map.address(page))).collect()
}

fn all(play: &Play) -> Vec<usize> {
    addresses(play, 0..play.ground.pages())
}

/// Whose pages may be moved.
fn mover(play: &Play) -> Mover {
    if play.machine.root { Mover::All } else { Mover::Own }
}

fn move_pages(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let addresses = {
        let range = me.range(play);
        addresses(play, range)
    };
    let node = play.machine.nodes[me.rng.usize(0..play.machine.nodes.len())];
    moved_to(play, &addresses, node)?;
    me.pause();
    Ok(())
}

/// Moves pages, and counts what came of each; which ones did not go.
pub(crate) fn moved_to(
    play: &Play,
    addresses: &[usize],
    node: usize,
) -> Result<Vec<(usize, i32)>, Stop> {
    let before = sys::where_are(addresses).map_err(refused("move_pages"))?;
    let status = sys::move_to(addresses, node, mover(play)).map_err(refused("move_pages"))?;
    let mut stayed = Vec::new();
    for ((address, before), now) in addresses.iter().zip(before).zip(status) {
        let fact = match now {
            Where::Node(now) if now != node => Fact::Again,
            Where::Node(_) if before == now => Fact::Here,
            Where::Node(_) => Fact::Moved,
            Where::Not(libc::EBUSY | libc::EAGAIN) => Fact::Busy,
            Where::Not(libc::EACCES) => Fact::Shared,
            Where::Not(libc::ENOMEM) => Fact::NoRoom,
            Where::Not(_) => Fact::Gone,
        };
        play.tally.add(fact, 1);
        if let (Where::Not(error), Fact::Busy | Fact::Shared | Fact::NoRoom) = (now, fact) {
            stayed.push((*address, error));
        }
    }
    Ok(stayed)
}

/// What another way of moving has done to the pages' nodes: those that were elsewhere.
fn counted(
    play: &Play,
    to: usize,
    act: impl FnOnce() -> io::Result<()>,
    doing: &'static str,
) -> Result<(), Stop> {
    let addresses = all(play);
    let before = sys::where_are(&addresses).map_err(refused("move_pages"))?;
    act().map_err(refused(doing))?;
    let after = sys::where_are(&addresses).map_err(refused("move_pages"))?;
    for (before, after) in before.into_iter().zip(after) {
        play.tally.add(
            match (before, after) {
                (Where::Node(before), _) if before == to => Fact::Here,
                (Where::Node(_), Where::Node(after)) if after == to => Fact::Moved,
                (Where::Node(_), Where::Node(_)) => Fact::Busy,
                _ => Fact::Gone,
            },
            1,
        );
    }
    Ok(())
}

fn two(play: &Play, me: &mut Me) -> (usize, usize) {
    let nodes = &play.machine.nodes;
    let from = me.rng.usize(0..nodes.len());
    (nodes[from], nodes[(from + 1) % nodes.len()])
}

fn migrate(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (from, to) = two(play, me);
    counted(play, to, || sys::migrate_all(0, from, to).map(drop), "migrate_pages")?;
    me.pause();
    Ok(())
}

fn bind(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (_, to) = two(play, me);
    let maps = || play.ground.map.iter().chain(play.ground.twin.iter().map(|(twin, _)| twin));
    let bind = || {
        maps().try_for_each(|map| {
            let len = map.pages() as usize * PAGE_SIZE;
            sys::bind(map.address(0), len, to, mover(play)).map(drop)
        })
    };
    counted(play, to, bind, "mbind")?;
    me.pause();
    Ok(())
}

fn cpuset(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (_, to) = two(play, me);
    let group = play.cpuset.as_ref().ok_or(Stop::Lacks("a cpuset"))?;
    counted(play, to, || group.give(to), "cpuset.mems")?;
    std::thread::sleep(Duration::from_millis(1));
    Ok(())
}

/// How many frames have changed, where frames are shown.
fn frames(play: &Play, act: impl FnOnce() -> io::Result<()>) -> Result<io::Result<()>, Stop> {
    let before = frames_now(play)?;
    let acted = act();
    for (before, after) in before.into_iter().zip(frames_now(play)?) {
        let fact = match (before, after) {
            (Some(before), Some(after)) if before != after => Fact::Moved,
            (Some(_), Some(_)) => Fact::Busy,
            _ => Fact::Gone,
        };
        play.tally.add(fact, 1);
    }
    Ok(acted)
}

/// The frames of all pages. Pages that nobody maps are mapped for this moment only.
fn frames_now(play: &Play) -> Result<Vec<Option<u64>>, Stop> {
    let shown = play.frames.as_ref().ok_or(Stop::Lacks(NEEDS_ROOT))?;
    let look = |addresses: Vec<usize>| addresses.into_iter().map(|at| shown.frame(at)).collect();
    let (None, Some(backing)) = (&play.ground.map, &play.ground.file) else {
        return Ok(look(all(play)));
    };
    let len = play.ground.pages() as usize * PAGE_SIZE;
    let map = Map::new(Source::ReadOnly(backing.file.as_fd()), len).map_err(refused("mmap"))?;
    let mut word = [0; 8];
    (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut word));
    Ok(look((0..map.pages()).map(|page| map.address(page)).collect()))
}

fn compact(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let compacted = frames(play, || fs::write("/proc/sys/vm/compact_memory", "1"))?;
    compacted.map_err(refused("compact_memory"))?;
    std::thread::sleep(Duration::from_micros(me.rng.u64(100..3000)));
    Ok(())
}

fn offline(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let shown: Vec<_> = frames_now(play)?.into_iter().flatten().collect();
    if shown.is_empty() {
        return Ok(());
    }
    let frame = shown[me.rng.usize(0..shown.len())];
    let size = fs::read_to_string("/sys/devices/system/memory/block_size_bytes");
    let size = size.ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let size = size.ok_or(Stop::Lacks("memory that can go offline"))?;
    let block = frame * PAGE_SIZE as u64 / size;
    let state = format!("/sys/devices/system/memory/memory{block}/state");
    let went = frames(play, || fs::write(&state, "offline"))?;
    if went.is_ok() {
        play.tally.add(Fact::Offlined, 1);
        fs::write(&state, "online").map_err(refused("memory that goes online again"))?;
    }
    std::thread::sleep(Duration::from_micros(me.rng.u64(1000..20_000)));
    Ok(())
}

/// Frames that a case may take for good.
const FRAMES_LOST: u64 = 16;

fn soft_offline(play: &Play, me: &mut Me) -> Result<(), Stop> {
    std::thread::sleep(Duration::from_micros(me.rng.u64(1000..20_000)));
    if play.tally.so_far(Fact::Offlined) >= FRAMES_LOST {
        return Ok(());
    }
    let map = play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))?;
    let page = me.rng.u64(0..play.ground.pages());
    let told = frames(play, || map.advise(page..page + 1, Advice::SoftOffline))?;
    match told {
        Ok(()) => play.tally.add(Fact::Offlined, 1),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(Stop::Lacks("a kernel that can take frames offline (MEMORY_FAILURE)"));
        }
        // Busy: the next one, perhaps.
        Err(_) => {}
    }
    Ok(())
}

fn longterm(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let map = play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))?;
    let range = me.range(play);
    let held = frames(play, || Registered::new(map, range).map(drop))?;
    held.map_err(|_| Stop::Lacks("a kernel that takes such pages as buffers"))?;
    me.pause();
    Ok(())
}
