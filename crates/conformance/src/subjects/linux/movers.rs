//! Triggers: who moves pages. Each turn looks where pages are before and after, by node or frame.

use std::io;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::frames;
use super::kind::Kind;
use super::machine::{Stop, refused};
use super::play::{Actor, Me, Play};
use super::sys::{self, Mover, Where};
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

    /// Whether it is told which pages to move, and where to; else the kernel decides.
    pub fn is_told(self) -> bool {
        matches!(self, Self::MovePages | Self::MigratePages | Self::Mbind | Self::Cpuset)
    }

    /// Whether it moves all memory of the process, text and libraries, too: a turn takes seconds.
    pub fn takes_all(self) -> bool {
        matches!(self, Self::MigratePages | Self::Cpuset)
    }

    /// What it means that no page has moved: who was told to has failed to; who decides for itself
    /// had no reason, or could not.
    pub fn unmoved(self, mut stops: Vec<Stop>) -> Vec<Stop> {
        if !self.is_told() {
            stops.push(Stop::Lacks(match self {
                Self::Offline => "memory that can go offline: with no page in it that cannot move",
                Self::LongtermPin => "movable memory that these pages are in",
                Self::SoftOffline => {
                    "frames that are free to go: each was in use when it was asked"
                }
                _ => "memory so full that the kernel has a reason to move these pages",
            }));
        }
        stops
    }

    /// Who does it.
    pub fn actors(self) -> &'static [Actor] {
        match self {
            Self::MovePages => &[MOVER],
            Self::MigratePages => &[Actor { name: "migrate_pages", writes: false, act: migrate }],
            Self::Mbind => &[Actor { name: "mbind", writes: false, act: bind }],
            Self::Cpuset => &[Actor { name: "cpuset", writes: false, act: cpuset }],
            Self::Compaction => &[frames::COMPACTION],
            Self::Offline => &[frames::OFFLINE],
            Self::SoftOffline => &[frames::SOFT_OFFLINE],
            Self::LongtermPin => &[frames::LONGTERM_PIN],
        }
    }
}

/// Moves ranges of pages from node to node.
pub(crate) const MOVER: Actor = Actor { name: "mover", writes: false, act: move_pages };

/// The addresses of pages, and those of their twins.
fn addresses(play: &Play, pages: std::ops::Range<u64>) -> Vec<usize> {
    let maps = play.ground.map.iter().chain(play.ground.twin.iter().map(|(twin, _)| twin));
    maps.flat_map(|map| pages.clone().map(|page| map.address(page))).collect()
}

/// What to name so that all pages move.
pub(crate) fn all(play: &Play) -> Vec<usize> {
    addresses(play, named(play, 0..play.ground.pages()))
}

/// What to name so that these pages move. A huge page of the pool moves when its first address is
/// named; at its others the kernel refuses.
fn named(play: &Play, pages: std::ops::Range<u64>) -> std::ops::Range<u64> {
    if play.ground.kind == Kind::Hugetlb { 0..1 } else { pages }
}

/// Whose pages may be moved.
fn mover(play: &Play) -> Mover {
    if play.machine.root { Mover::All } else { Mover::Own }
}

fn move_pages(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let addresses = addresses(play, named(play, me.range(play)));
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
    play.tally.add(Fact::Asked, 1);
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

/// Pages that one call moves: a kernel may wait for everybody between two calls, but not between two
/// pages of one.
const IN_ONE_CALL: usize = 1024;

/// Moves pages to every node in turn, several times, in one call.
pub(crate) fn round_trips(play: &Play, pages: std::ops::Range<u64>) -> Result<(), Stop> {
    let (pages, nodes) = (addresses(play, pages), &play.machine.nodes);
    let trips = (IN_ONE_CALL / (pages.len() * nodes.len())).max(1);
    let mut last = sys::where_are(&pages).map_err(refused("move_pages"))?;
    let to: Vec<i32> = (0..trips)
        .flat_map(|_| nodes.iter().flat_map(|node| pages.iter().map(|_| *node as i32)))
        .collect();
    let addresses = pages.repeat(trips * nodes.len());
    let status = sys::move_each(&addresses, &to, mover(play)).map_err(refused("move_pages"))?;
    for (number, (now, to)) in status.into_iter().zip(to).enumerate() {
        let last = &mut last[number % pages.len()];
        let fact = match now {
            Where::Node(node) if node != to as usize => Fact::Again,
            Where::Node(_) if *last == now => Fact::Here,
            Where::Node(_) => Fact::Moved,
            Where::Not(libc::EBUSY | libc::EAGAIN) => Fact::Busy,
            Where::Not(_) => Fact::Gone,
        };
        if fact == Fact::Moved {
            *last = now;
        }
        play.tally.add(fact, 1);
    }
    Ok(())
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
    play.tally.add(Fact::Asked, 1);
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

/// The node that the pages are on, as the first of them shows it, and another one.
fn two(play: &Play, me: &mut Me) -> (usize, usize) {
    let nodes = &play.machine.nodes;
    let first = all(play).first().and_then(|address| sys::where_are(&[*address]).ok()?.pop());
    let there = |node: &usize| first == Some(Where::Node(*node));
    let from = nodes.iter().position(there).unwrap_or_else(|| me.rng.usize(0..nodes.len()));
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
    counted(play, to, || group.send(&play.machine.nodes, to), "cpuset.mems")?;
    std::thread::sleep(Duration::from_millis(1));
    Ok(())
}
