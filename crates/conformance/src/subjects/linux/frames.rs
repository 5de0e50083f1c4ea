//! Triggers that move pages from frame to frame: only root is shown which frames those are.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::ground::{eventually, punch};
use super::machine::{Stop, refused};
use super::movers::all;
use super::needs::Need;
use super::play::{Actor, Me, Play};
use super::sys::{self, Advice, Map, Mover, Registered, Source, Where};
use crate::tally::Fact;

const fn actor(name: &'static str, act: fn(&Play, &mut Me) -> Result<(), Stop>) -> Actor {
    Actor { name, writes: false, act }
}

/// Compacts all memory.
pub(crate) const COMPACTION: Actor = actor("compaction", compact);
/// Takes the memory that pages are in offline, and online again.
pub(crate) const OFFLINE: Actor = actor("memory offline", offline);
/// Takes frames out of use, a few, for good.
pub(crate) const SOFT_OFFLINE: Actor = actor("soft offline", soft_offline);
/// Pins pages for long: those in movable memory go elsewhere first.
pub(crate) const LONGTERM_PIN: Actor = actor("longterm pin", longterm);

/// How many frames have changed, where frames are shown.
fn frames(play: &Play, act: impl FnOnce() -> io::Result<()>) -> Result<io::Result<()>, Stop> {
    let before = frames_now(play)?;
    let acted = act();
    play.tally.add(Fact::Asked, 1);
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

/// The frames of all pages.
fn frames_now(play: &Play) -> Result<Vec<Option<u64>>, Stop> {
    let shown = play.frames.as_ref().ok_or(Stop::Lacks(Need::Root.text()))?;
    with_addresses(play, |addresses| addresses.iter().map(|at| shown.frame(*at)).collect())
}

/// Looks at the addresses of all pages. Those that nobody maps are mapped for this moment only.
fn with_addresses<T>(play: &Play, look: impl FnOnce(&[usize]) -> T) -> Result<T, Stop> {
    let (None, Some(backing)) = (&play.ground.map, &play.ground.file) else {
        return Ok(look(&all(play)));
    };
    let len = play.ground.pages() as usize * PAGE_SIZE;
    let map = Map::new(Source::ReadOnly(backing.file.as_fd()), len).map_err(refused("mmap"))?;
    let mut word = [0; 8];
    (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut word));
    let addresses: Vec<_> = (0..map.pages()).map(|page| map.address(page)).collect();
    Ok(look(&addresses))
}

/// Pages of a ballast: enough for a few blocks of frames that are neither free nor full.
const BALLAST: u64 = 3072;

/// Compaction moves pages from low frames to high ones, into blocks that are partly free. A machine
/// may have none: so a file in memory is made, which gets ascending frames where much is free. Every
/// second page of it is dropped, and at last its lower third: what is allocated next gets frames
/// from there. (Nobody maps it: that would cost more than all the rest.)
fn ballast(me: &mut Me, node: Option<usize>) -> Result<File, Stop> {
    if let Some(node) = node {
        sys::prefer(node).map_err(refused("set_mempolicy"))?;
    }
    let fd = rustix::fs::memfd_create("ballast", rustix::fs::MemfdFlags::CLOEXEC);
    let ballast = File::from(fd.map_err(refused("memfd_create"))?);
    let bytes = [1; 16 * PAGE_SIZE];
    for at in (0..BALLAST * PAGE_SIZE as u64).step_by(bytes.len()) {
        ballast.write_all_at(&bytes, at).map_err(refused("filling memory"))?;
    }
    let start = BALLAST / 3 + u64::from(me.rng.bool());
    (start..BALLAST).step_by(2).try_for_each(|page| punch(&ballast, page..page + 1))?;
    punch(&ballast, 0..BALLAST / 3)?;
    Ok(ballast)
}

/// The node whose memory is to be compacted: one that the pages can be moved to first, if there is.
fn compacted(play: &Play) -> Result<Option<usize>, Stop> {
    let first = with_addresses(play, |at| sys::where_are(&at[..1]).ok()?.pop())?;
    let Some(Where::Node(here)) = first else { return Ok(None) };
    Ok(play.machine.nodes.iter().copied().find(|node| *node != here).or(Some(here)))
}

fn compact(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let node = compacted(play)?;
    let ballast = ballast(me, node)?;
    if let Some(node) = node.filter(|_| play.machine.nodes.len() > 1) {
        // Into the low frames that were just dropped. Who does not go is not compacted.
        let went = with_addresses(play, |at| sys::move_to(at, node, Mover::All))?;
        went.map_err(refused("move_pages"))?;
    }
    let switch = match node {
        Some(node) => format!("/sys/devices/system/node/node{node}/compact"),
        None => "/proc/sys/vm/compact_memory".into(),
    };
    frames(play, || fs::write(&switch, "1"))?.map_err(refused(&switch))?;
    drop(ballast);
    me.pause();
    Ok(())
}

/// How long memory may take to go offline; the kernel itself would try for ever.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(2);

/// Has a child write it: only a signal ends what does not succeed.
fn take_offline(state: &str) -> io::Result<()> {
    let child = sys::fork(|| u8::from(fs::write(state, "offline").is_err()))?;
    let mut ended = Ok(None);
    let _ = eventually(OFFLINE_PATIENCE, || {
        ended = child.ended();
        !matches!(ended, Ok(None))
    });
    match ended? {
        Some(status) if status.exit_status() == Some(0) => Ok(()),
        Some(_) => Err(io::Error::from(io::ErrorKind::ResourceBusy)),
        None => {
            child.kill();
            Err(io::Error::from(io::ErrorKind::TimedOut))
        }
    }
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
    // Else the next store copies a page that the child shares, and its frame changes by that.
    for map in play.ground.map.iter().chain(play.ground.twin.iter().map(|(twin, _)| twin)) {
        map.advise(0..map.pages(), Advice::DontFork).map_err(refused("MADV_DONTFORK"))?;
    }
    let went = frames(play, || take_offline(&state))?;
    if went.is_ok() {
        play.tally.add(Fact::Offlined, 1);
        match fs::write(&state, "online_movable") {
            // A frame in it was taken for good, by a case before this one: so it stays offline.
            Err(error) if error.raw_os_error() == Some(libc::EHWPOISON) => {}
            put => put.map_err(refused("memory that goes online again"))?,
        }
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
