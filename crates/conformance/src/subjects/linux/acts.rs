//! What actors do to the bytes of pages, and to the files behind them.

use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::ground;
use super::kind::Kind;
use super::look::{Way, judged};
use super::machine::{Stop, refused};
use super::play::{Actor, Me, Play};
use super::sys::{self, Registered, Where};
use crate::tally::Fact;
use crate::verdict::Wrong;

const fn actor(name: &'static str, act: fn(&Play, &mut Me) -> Result<(), Stop>) -> Actor {
    Actor { name, writes: false, act }
}

const fn writer(name: &'static str, act: fn(&Play, &mut Me) -> Result<(), Stop>) -> Actor {
    Actor { name, writes: true, act }
}

/// Loads from the mapping.
pub(crate) const LOADER: Actor = actor("loader", |play, me| look(play, me, play.mapped()));
/// Reads by calls.
pub(crate) const READER: Actor = actor("reader", |play, me| look(play, me, Way::Call));
/// Stores to the mapping.
pub(crate) const STORER: Actor = writer("storer", |play, me| {
    // What a store has written, the next look of its writer may see by another way.
    let by_call = play.ground.kind.has_file() && me.rng.u32(0..4) == 0;
    let seen = if by_call { Way::Call } else { play.mapped() };
    play.put(me, seen, play.mapped())?;
    me.pause();
    Ok(())
});
/// Writes by calls.
pub(crate) const CALLER: Actor = writer("caller", |play, me| {
    let by_map = play.ground.kind.is_mapped() && me.rng.u32(0..2) == 0;
    let seen = if by_map { play.mapped() } else { Way::Call };
    play.put(me, seen, Way::Call)?;
    me.pause();
    Ok(())
});
/// Has the disk read into the pages, and write from them.
pub(crate) const DIRECT: Actor = writer("direct I/O", direct);
/// Has the disk write from the pages.
pub(crate) const DIRECT_OUT: Actor = actor("direct I/O", direct_out);
/// Holds pages: as buffers of an io_uring, where the kernel takes them, or in a pipe.
pub(crate) const PINNER: Actor = actor("pinner", |play, me| {
    if me.rng.bool() && registered(play, me)? { Ok(()) } else { piped(play, me, true) }
});
/// Holds pages for a moment.
pub(crate) const GRABBER: Actor = actor("grabber", |play, me| {
    if me.rng.bool() { look(play, me, Way::Reference) } else { piped(play, me, false) }
});
/// Writes files back, by each of three calls.
pub(crate) const SYNCER: Actor = actor("syncer", sync);
/// Begins writeback, and does not wait for it.
pub(crate) const FLUSHER: Actor = actor("flusher", flush);
/// Makes the file shorter, and longer again.
pub(crate) const TRUNCATOR: Actor = actor("truncator", truncate);
/// Punches holes.
pub(crate) const PUNCHER: Actor = actor("puncher", punch);
/// Drops pages from the cache, and reads ahead.
pub(crate) const AHEAD: Actor = actor("reader ahead", ahead);
/// Drops everybody's clean pages.
pub(crate) const DROPPER: Actor = actor("dropper of caches", drop_caches);

fn look(play: &Play, me: &mut Me, way: Way) -> Result<(), Stop> {
    let part = me.rng.usize(0..play.ground.ledger.parts());
    play.look(me, part, way)?;
    me.pause();
    Ok(())
}

fn file(play: &Play) -> Result<&std::fs::File, Stop> {
    let backing = play.ground.file.as_ref();
    backing.map(|backing| &backing.file).ok_or(Stop::Lacks("a file"))
}

fn direct(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (Some(direct), Some(map)) = (&play.direct, &play.ground.map) else {
        return Err(Stop::Lacks("direct I/O"));
    };
    let part = play.own(me);
    play.look(me, part, Way::Map)?;
    let (offset, slot) = (play.ground.ledger.offset(part) as usize, part as u64 * 4096);
    play.put_by(me, part, |bytes| {
        direct.bounce.store(0, bytes);
        let put = sys::write_from((&direct.fd, slot), &direct.bounce, 0, bytes.len());
        put.map_err(refused("direct I/O to a scratch file"))?;
        let read = sys::read_into((&direct.fd, slot), map, offset, bytes.len());
        Ok(read.map_err(refused("direct I/O into a page"))? == bytes.len())
    })?;
    play.tally.add(Fact::Transferred, 1);
    direct_out(play, me)
}

fn direct_out(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (Some(direct), Some(map)) = (&play.direct, &play.ground.map) else {
        return Err(Stop::Lacks("direct I/O"));
    };
    let part = me.rng.usize(0..play.ground.ledger.parts());
    let ledger = &play.ground.ledger;
    let (offset, len) = (ledger.offset(part) as usize, ledger.part_len());
    judged(ledger, part, || {
        let put = sys::write_from((&direct.fd, 0), map, offset, len);
        put.map_err(refused("direct I/O from a page"))?;
        let got = sys::read_into((&direct.fd, 0), &direct.bounce, 0, len);
        got.map_err(refused("direct I/O from a scratch file"))?;
        let mut bytes = vec![0; len];
        direct.bounce.load(0, &mut bytes);
        Ok(Some(bytes))
    })?;
    play.tally.add(Fact::Transferred, 1);
    Ok(())
}

/// The node that a page is on, and its frame.
type Place = (Where, Option<u64>);

/// Whether the kernel takes such pages as buffers. While they are held they stay where they are.
fn registered(play: &Play, me: &mut Me) -> Result<bool, Stop> {
    let Some(map) = &play.ground.map else { return Ok(false) };
    let start = me.rng.u64(0..play.ground.pages());
    let pages = start..(start + me.rng.u64(1..4)).min(play.ground.pages());
    let addresses: Vec<_> = pages.clone().map(|page| map.address(page)).collect();
    let places = || -> Result<Vec<_>, Stop> {
        let nodes = sys::where_are(&addresses).map_err(refused("move_pages"))?;
        let frame = |address: &usize| play.frames.as_ref()?.frame(*address);
        Ok(nodes.into_iter().zip(addresses.iter().map(frame)).collect())
    };
    let cuts = play.ground.ledger.cuts();
    let Ok(held) = Registered::new(map, pages.clone()) else { return Ok(false) };
    let before = places()?;
    std::thread::sleep(Duration::from_micros(me.rng.u64(200..5000)));
    let after = places()?;
    drop(held);
    let moved = |((node, frame), (now, frame_now)): (&Place, &Place)| {
        // While somebody tries to move it, a page that stays is nowhere for a moment.
        let other = matches!((node, now), (Where::Node(then), Where::Node(now)) if then != now);
        other || frame.is_some() && frame_now.is_some() && frame != frame_now
    };
    // A hole gives the place of a page to another one, whoever holds it.
    let whole = cuts.is_some() && cuts == play.ground.ledger.cuts();
    if whole && before.iter().zip(&after).any(moved) {
        let detail = format!("pages {pages:?}, held by an io_uring: {before:?}, then {after:?}");
        return Err(Stop::fails(Wrong::PinMoved, detail));
    }
    play.tally.add(Fact::Pinned, 1);
    Ok(true)
}

/// Puts a page into a pipe; what is read from there is what the page has by then. A page that KSM
/// has merged is copied by the store that parts it from its twin, and the pipe keeps what it held:
/// then nothing older than what had been written when it was put there.
fn piped(play: &Play, me: &mut Me, for_long: bool) -> Result<(), Stop> {
    let Some(map) = &play.ground.map else { return Ok(()) };
    let (mut from, to) = pipe().map_err(refused("a pipe"))?;
    let to = OwnedFd::from(to);
    let page = me.rng.u64(0..play.ground.pages());
    let ledger = &play.ground.ledger;
    let written = || ledger.parts_of(page).map(|part| ledger.before(part)).collect::<Vec<_>>();
    let (cuts, then) = (ledger.cuts(), written());
    let put = sys::splice_out(&to, map, page);
    if put.map_err(refused("vmsplice"))? != PAGE_SIZE {
        return Ok(());
    }
    if for_long {
        std::thread::sleep(Duration::from_micros(me.rng.u64(200..5000)));
    }
    let (now, mut bytes) = (written(), vec![0; PAGE_SIZE]);
    from.read_exact(&mut bytes).map_err(refused("reading a pipe"))?;
    let parts = then.into_iter().zip(now).zip(bytes.chunks_exact(ledger.part_len()));
    for ((then, now), bytes) in parts {
        let due = if play.ground.kind == Kind::Ksm { then } else { now };
        // A page that was cut off its file stays in the pipe as it was.
        if ledger.is_quiet(now) && cuts.is_some() && cuts == ledger.cuts() {
            ledger.judge(due, Some(bytes)).map_err(|(wrong, detail)| {
                Stop::fails(wrong, format!("in a pipe that held it, {detail}"))
            })?;
        }
    }
    play.tally.add(Fact::Pinned, 1);
    Ok(())
}

fn sync(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let file = file(play)?;
    match (me.rng.u32(0..3), &play.ground.map) {
        (0, Some(map)) if play.ground.kind.takes_stores() => {
            map.sync().map_err(refused("msync"))?;
        }
        (1, _) => {
            let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
                | libc::SYNC_FILE_RANGE_WRITE
                | libc::SYNC_FILE_RANGE_WAIT_AFTER;
            sys::sync_range(file, flags).map_err(refused("sync_file_range"))?;
        }
        _ => file.sync_data().map_err(refused("fdatasync"))?,
    }
    play.tally.add(Fact::Synced, 1);
    me.pause();
    Ok(())
}

fn flush(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let flushed = sys::sync_range(file(play)?, libc::SYNC_FILE_RANGE_WRITE);
    flushed.map_err(refused("sync_file_range"))?;
    play.tally.add(Fact::Synced, 1);
    me.pause();
    Ok(())
}

fn truncate(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (file, pages) = (file(play)?, play.ground.pages());
    let len = me.rng.u64(pages / 2..pages);
    let set = |pages: u64| file.set_len(pages * PAGE_SIZE as u64);
    play.ground.ledger.cut(len..pages, || set(len)).map_err(refused("truncating"))?;
    me.pause();
    play.ground.ledger.cut(pages..pages, || set(pages)).map_err(refused("extending"))?;
    play.tally.add(Fact::Cut, 1);
    std::thread::sleep(Duration::from_micros(me.rng.u64(100..3000)));
    Ok(())
}

fn punch(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (file, page) = (file(play)?, me.rng.u64(0..play.ground.pages()));
    play.ground.ledger.cut(page..page + 1, || ground::punch(file, page..page + 1))?;
    play.tally.add(Fact::Cut, 1);
    std::thread::sleep(Duration::from_micros(me.rng.u64(100..3000)));
    Ok(())
}

fn ahead(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (file, range) = (file(play)?, me.range(play));
    let (at, len) = (range.start * PAGE_SIZE as u64, (range.end - range.start) * PAGE_SIZE as u64);
    let (at, len) = (at, std::num::NonZeroU64::new(len));
    for advice in [rustix::fs::Advice::DontNeed, rustix::fs::Advice::WillNeed] {
        rustix::fs::fadvise(file, at, len, advice).map_err(refused("posix_fadvise"))?;
    }
    play.tally.add(Fact::Advised, 1);
    me.pause();
    Ok(())
}

fn drop_caches(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let mut file = std::fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches");
    let file = file.as_mut().map_err(|error| refused("drop_caches")(error))?;
    file.write_all(b"1").map_err(refused("drop_caches"))?;
    play.tally.add(Fact::Advised, 1);
    std::thread::sleep(Duration::from_micros(me.rng.u64(500..5000)));
    Ok(())
}
