//! What actors do to the address space: the page tables that a migration must find its pages in.

use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;

use super::kind::{Kind, State};
use super::look::whole;
use super::machine::{Stop, refused};
use super::play::{Actor, Me, Play};
use super::sys::{self, Advice, Map};
use crate::content::{Content, Stamp};
use crate::tally::Fact;
use crate::verdict::{Failure, Wrong};

const fn actor(name: &'static str, act: fn(&Play, &mut Me) -> Result<(), Stop>) -> Actor {
    Actor { name, writes: false, act }
}

/// Moves the mapping to another address.
pub(crate) const SHIFTER: Actor = actor("mremap", |play, me| {
    map(play)?.shift().map_err(refused("mremap"))?;
    done(play, me, Fact::Remapped)
});
/// Unmaps everything and maps it again.
pub(crate) const REMAPPER: Actor = actor("munmap and mmap", remap);
/// Forbids stores for a while, and tries one.
pub(crate) const PROTECTOR: Actor = actor("mprotect", protect);
/// Makes children that look at their memory, and write to it.
pub(crate) const FORKER: Actor = actor("fork", fork);
/// Tells the kernel that pages are not needed, or to be written out, or to be huge.
pub(crate) const ADVISER: Actor = actor("madvise", advise);
/// Has pages written out, that they come back from the swap cache.
pub(crate) const SWAPPER: Actor = actor("swapper", |play, me| {
    let range = me.range(play);
    map(play)?.advise(range, Advice::PageOut).map_err(refused("MADV_PAGEOUT"))?;
    done(play, me, Fact::Advised)
});

fn map(play: &Play) -> Result<&Map, Stop> {
    play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))
}

fn done(play: &Play, me: &mut Me, fact: Fact) -> Result<(), Stop> {
    play.tally.add(fact, 1);
    std::thread::sleep(Duration::from_micros(me.rng.u64(50..2000)));
    Ok(())
}

fn remap(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (map, pages) = (map(play)?, play.ground.pages());
    let replace = || {
        map.replace(play.ground.source()).map_err(refused("mmap"))?;
        match play.ground.kind {
            Kind::Thp => map.advise(0..pages, Advice::Huge).map_err(refused("MADV_HUGEPAGE")),
            Kind::Mlocked => map.lock().map_err(refused("mlock")),
            _ => Ok(()),
        }
    };
    let gone = if play.ground.kind.goes_with_its_mapping() { 0..pages } else { pages..pages };
    play.ground.ledger.cut(gone, replace)?;
    done(play, me, Fact::Remapped)
}

fn protect(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (map, range) = (map(play)?, me.range(play));
    let zeros = OwnedFd::from(File::open("/dev/zero").map_err(refused("/dev/zero"))?);
    let (page, wait) = (me.rng.u64(range.clone()), Duration::from_micros(me.rng.u64(100..3000)));
    let tried = map.protected(range, || {
        std::thread::sleep(wait);
        // The kernel's store on our behalf, which answers where ours would end the process.
        sys::read_into((&zeros, 0), map, page as usize * PAGE_SIZE, 8)
    });
    match tried.map_err(refused("mprotect"))? {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => done(play, me, Fact::Protected),
        Err(error) => Err(refused("a forbidden store")(error)),
        Ok(_) => {
            let detail = format!("page {page} may only be read, and took a store");
            Err(Stop::fails(Wrong::Permission, detail))
        }
    }
}

fn advise(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (map, range, kind) = (map(play)?, me.range(play), play.ground.kind);
    let ledger = &play.ground.ledger;
    let told = match me.rng.u32(0..4) {
        // What is dropped from a private copy is the file's again.
        0 if kind.state() != Some(State::Cow) && kind != Kind::Mlocked => {
            let gone = if kind.is_private() { range.clone() } else { 0..0 };
            ledger.cut(gone, || map.advise(range, Advice::DontNeed))
        }
        1 => map.advise(range, Advice::WillNeed),
        2 if kind.is_huge() => map.advise(0..play.ground.pages(), Advice::Collapse),
        _ => map.advise(range, Advice::PageOut),
    };
    // A kernel may lack an advice, or refuse it just now (locked, no swap, too few pages).
    match told {
        Ok(()) => done(play, me, Fact::Advised),
        Err(_) => Ok(()),
    }
}

/// How long a child may live.
const CHILDHOOD: Duration = Duration::from_secs(10);

fn fork(play: &Play, me: &mut Me) -> Result<(), Stop> {
    let (map, private) = (map(play)?, play.ground.kind.is_private());
    let (from, mut to) = pipe().map_err(refused("a pipe"))?;
    let (wait, number) = (Duration::from_micros(me.rng.u64(100..4000)), me.rng.u32(..));
    // No store is half done in what the child gets.
    let still = map.still();
    let child = sys::fork(|| {
        drop(still);
        let seen =
            if private { own_memory(play, map, wait, number) } else { shared(play, map, wait) };
        let Err(stop) = seen else { return 0 };
        let told = match stop {
            Stop::Fails(Failure { wrong, detail }) => format!("{wrong}|{detail}"),
            Stop::Lacks(what) => format!("refused|it lacks {what}"),
        };
        u8::from(to.write_all(told.as_bytes()).is_err()) + 1
    });
    let child = child.map_err(refused("fork"))?;
    drop(to);
    let start = Instant::now();
    while start.elapsed() < CHILDHOOD {
        if let Some(status) = child.ended().map_err(refused("waitpid"))? {
            return match (status.exit_status(), status.terminating_signal()) {
                (Some(0), _) => done(play, me, Fact::Forked),
                (Some(_), _) => Err(told(from)),
                (_, signal) => {
                    let detail = format!("a child died of signal {}", signal.unwrap_or(0));
                    Err(Stop::fails(Wrong::Died, detail))
                }
            };
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill();
    Err(Stop::fails(Wrong::Hung, format!("a child is not done after {CHILDHOOD:?}")))
}

/// What the child said went wrong.
fn told(mut from: PipeReader) -> Stop {
    let mut text = String::new();
    let _ = from.read_to_string(&mut text);
    let (name, detail) = text.split_once('|').unwrap_or(("died", "without a word"));
    let wrong = [
        Wrong::LostWrite,
        Wrong::ForeignPage,
        Wrong::TornPage,
        Wrong::ZeroedPage,
        Wrong::GarbledPage,
        Wrong::ResurrectedPage,
        Wrong::Refused,
    ];
    let wrong = wrong.into_iter().find(|wrong| wrong.to_string() == name);
    Stop::fails(wrong.unwrap_or(Wrong::Died), format!("in a child: {detail}"))
}

/// In a child with memory of its own: it has what was there at the fork, and what it writes.
fn own_memory(play: &Play, map: &Map, wait: Duration, number: u32) -> Result<(), Stop> {
    let mut image = vec![0; play.ground.pages() as usize * PAGE_SIZE];
    for _ in 0..2 {
        map.load(0, &mut image);
        whole(&play.ground.ledger, &image, "memory as it was at the fork")?;
        std::thread::sleep(wait);
    }
    // The parent must not see this: it is of a file that it does not have.
    let page = u64::from(number) % play.ground.pages();
    let stamp = Stamp { file: u32::MAX, index: page, generation: 1, writer: number };
    let (mut written, mut found) = ([0; PAGE_SIZE], [0; PAGE_SIZE]);
    stamp.fill(play.seed, 0, &mut written);
    map.store(page as usize * PAGE_SIZE, &written);
    std::thread::sleep(wait);
    map.load(page as usize * PAGE_SIZE, &mut found);
    if written == found {
        return Ok(());
    }
    Err(Stop::fails(Wrong::LostWrite, format!("page {page}, which it wrote, changed")))
}

/// In a child with memory that others go on writing: every page is one of the file's.
fn shared(play: &Play, map: &Map, wait: Duration) -> Result<(), Stop> {
    let ledger = &play.ground.ledger;
    let mut bytes = vec![0; ledger.part_len()];
    for part in (0..ledger.parts()).chain(0..ledger.parts()) {
        let (page, first) = ledger.place(part);
        map.load(ledger.offset(part) as usize, &mut bytes);
        let stamps = match Content::of(play.seed, first, &bytes) {
            Content::Whole(stamp) | Content::Misplaced(stamp) => [Some(stamp), None],
            Content::Torn { first, then, .. } => [first, then],
            // A line that is being written.
            Content::Garbled { .. } | Content::Zeros => continue,
        };
        if let Some(stamp) = stamps.into_iter().flatten().find(|s| s.file != 0 || s.index != page) {
            return Err(Stop::fails(Wrong::ForeignPage, format!("page {page} has {stamp:?}")));
        }
        if part == 0 {
            std::thread::sleep(wait);
        }
    }
    Ok(())
}
