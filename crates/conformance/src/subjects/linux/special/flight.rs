//! What happens at the very moment that a page is on its way: somebody looks its slot up, or forks.
//! A mover that never rests makes such moments.

use std::io::{Read, Write, pipe};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;

use super::super::Settings;
use super::super::ground::eventually;
use super::super::machine::{Stop, refused};
use super::super::movers::round_trips;
use super::super::play::Play;
use super::super::sys::{self, Map};
use super::settle;
use crate::content::{Content, LINE, LINES, Stamp, mix};
use crate::tally::Fact;
use crate::verdict::Wrong;

/// Does `act` again and again in each of some threads, while all pages move from node to node,
/// until the time is over or something is wrong.
fn while_moving(
    play: &Play,
    settings: &Settings,
    threads: u64,
    act: impl Fn(u64) -> Result<(), Stop> + Sync,
) -> Result<(), Stop> {
    let (start, over) = (Instant::now(), AtomicBool::new(false));
    let again = |act: &(dyn Fn() -> Result<(), Stop> + Sync)| {
        let mut done = Ok(());
        while done.is_ok() && !over.load(SeqCst) && start.elapsed() < settings.length * 8 {
            done = act();
        }
        over.store(true, SeqCst);
        done
    };
    std::thread::scope(|scope| {
        let (again, act) = (&again, &act);
        let actors: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || again(&|| act(thread)))).collect();
        let moved = again(&|| round_trips(play));
        let joined = actors.into_iter().map(|actor| {
            actor.join().unwrap_or_else(|_| Err(Stop::fails(Wrong::Panicked, "a thread")))
        });
        // All are waited for, before the first failure is told.
        let joined: Vec<_> = joined.collect();
        joined.into_iter().collect::<Result<(), Stop>>().and(moved)
    })
}

/// Few readers: one that is put aside while it holds a page is in the mover's way.
const READERS: u64 = 2;

/// Lines that a reader reads in a turn.
const TURN: u64 = 256;

/// For so long sleeps, and then takes a processor, who puts readers aside in the middle of a look.
const ASIDE: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(1));

/// Reads pages that nobody writes, a line at a time, by calls. Readers give way to everybody: what a
/// slot held when they were put aside may be elsewhere when they go on, and its frame another's.
pub(super) fn read(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    let backing = play.ground.file.as_ref().ok_or(Stop::Lacks("a file"))?;
    let bytes = play.ground.ledger.first_bytes();
    let lines = (bytes.len() / LINE) as u64;
    while_moving(play, settings, READERS + 1, |reader| {
        if reader == READERS {
            put_aside();
            return Ok(());
        }
        // (Who cannot give way, reads nevertheless.)
        let _ = rustix::process::setpriority_process(None, 19);
        let turn = play.tally.so_far(Fact::Read) + reader;
        let mut rng = fastrand::Rng::with_seed(mix(play.seed ^ turn));
        for _ in 0..TURN {
            let (at, mut found) = (rng.u64(0..lines) as usize * LINE, [0; LINE]);
            let read = backing.file.read_exact_at(&mut found, at as u64);
            read.map_err(refused("reading"))?;
            if found != bytes[at..at + LINE] {
                return Err(foreign(play, at, &found));
            }
        }
        play.tally.add(Fact::Read, TURN);
        Ok(())
    })
}

fn put_aside() {
    std::thread::sleep(ASIDE.0);
    let awake = Instant::now();
    while awake.elapsed() < ASIDE.1 {
        std::hint::spin_loop();
    }
}

/// What was read in the place of a line that nobody has written.
fn foreign(play: &Play, at: usize, found: &[u8]) -> Stop {
    let (page, line) = (at / PAGE_SIZE, at / LINE % LINES);
    let (wrong, what) = match Content::of(play.seed, line, found) {
        Content::Zeros => (Wrong::ZeroedPage, "zeros".into()),
        Content::Garbled { .. } => (Wrong::GarbledPage, "bytes that nobody wrote".into()),
        other => (Wrong::ForeignPage, format!("{other:?}")),
    };
    Stop::fails(wrong, format!("a read of page {page}, which nobody writes, has {what}"))
}

fn map(play: &Play) -> Result<&Map, Stop> {
    play.ground.map.as_ref().ok_or(Stop::Lacks("a mapping"))
}

/// The first line of a page, as `writer` writes it in a round.
fn line(play: &Play, page: u64, round: u64, writer: u32) -> [u8; LINE] {
    let mut line = [0; LINE];
    let stamp = Stamp { file: u32::MAX, index: page, generation: round, writer };
    stamp.fill(play.seed, 0, &mut line);
    line
}

const PARENT: u32 = 1;
const CHILD: u32 = 2;

/// Whether the first line of every page is the one that `writer` wrote in a round.
fn has(play: &Play, map: &Map, round: u64, writer: u32) -> Result<(), u64> {
    let mut found = [0; LINE];
    (0..map.pages()).try_for_each(|page| {
        map.load(page as usize * PAGE_SIZE, &mut found);
        if found == line(play, page, round, writer) { Ok(()) } else { Err(page) }
    })
}

fn write(play: &Play, map: &Map, round: u64, writer: u32) {
    (0..map.pages()).for_each(|page| {
        map.store(page as usize * PAGE_SIZE, &line(play, page, round, writer));
    });
}

/// Forks while pages are on their way: parent and child each have their own afterwards.
pub(super) fn forked(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    let map = map(play)?;
    write(play, map, 0, PARENT);
    while_moving(play, settings, 1, |_| {
        let round = play.tally.so_far(Fact::Forked);
        part(play, map, round)?;
        play.tally.add(Fact::Forked, 1);
        Ok(())
    })
}

/// One fork. The parent writes first, then the child looks and writes, then the parent looks.
fn part(play: &Play, map: &Map, round: u64) -> Result<(), Stop> {
    let (mut go_on, mut may_go_on) = pipe().map_err(refused("a pipe"))?;
    let child = sys::fork(|| {
        let written = go_on.read_exact(&mut [0; 1]).is_ok();
        if !written || has(play, map, round, PARENT).is_err() {
            return 1;
        }
        write(play, map, round, CHILD);
        u8::from(has(play, map, round, CHILD).is_err()) * 2
    });
    let child = child.map_err(refused("fork"))?;
    write(play, map, round + 1, PARENT);
    may_go_on.write_all(&[1]).map_err(refused("a pipe"))?;
    let mut ended = Ok(None);
    let in_time = eventually(settle(), || {
        ended = child.ended();
        !matches!(ended, Ok(None))
    });
    if !in_time {
        child.kill();
        return Err(Stop::fails(Wrong::Hung, "the child does not end"));
    }
    match ended.map_err(refused("waitpid"))?.and_then(|status| status.exit_status()) {
        Some(0) => {}
        Some(1) => {
            let detail = "a child that was forked while pages moved has not what was there then";
            return Err(Stop::fails(Wrong::ForeignPage, detail));
        }
        Some(2) => return Err(Stop::fails(Wrong::LostWrite, "a child has not what it wrote")),
        _ => return Err(Stop::fails(Wrong::Died, "a child that was forked while pages moved")),
    }
    has(play, map, round + 1, PARENT).map_err(|page| {
        let detail =
            format!("page {page} of the parent has not what it wrote, after its child wrote");
        Stop::fails(Wrong::ForeignPage, detail)
    })
}
