//! What happens at the very moment that a page is on its way: somebody looks its slot up, or forks.
//! A mover that never rests makes such moments.

use std::io::{PipeWriter, Read, Write, pipe};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::super::Settings;
use super::super::ground::eventually;
use super::super::machine::{Stop, refused};
use super::super::movers::round_trips;
use super::super::play::Play;
use super::super::sys::{self, Child, Map, Source};
use super::settle;
use crate::content::{Content, LINE, LINES, Stamp, mix};
use crate::tally::Fact;
use crate::verdict::Wrong;

/// How long pages keep moving.
fn length(settings: &Settings) -> Duration {
    settings.length * 12
}

/// Few pages, that each is moved often, and soon in a frame that was another one's.
const FEW: u64 = 2;

/// Lines that are read before the reader looks whether it is over.
const TURN: u64 = 256;

/// How often the reader is put aside, at least: what is found goes by that, and not by time.
const TIMES: u64 = 3000;

/// How often there is a fork, at least, for the same reason: 17 of 129 have met a page on its way, on
/// a machine that was far too busy.
const FORKS: u64 = 50;

/// On a busy machine that takes longer; at most so many times as long.
const LONGER: u32 = 4;

/// For so long sleeps, and then takes the processor, who puts the reader aside.
const ASIDE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_micros(400));

/// Reads pages that nobody writes, a line at a time, by calls. The reader is put aside again and
/// again, in the middle of a look: what a slot held then may be elsewhere when it goes on, and the
/// frame another page's.
///
/// Both are processes of their own, which have not mapped the pages: no processor has to be told
/// when one is unmapped, and they move as fast as can be.
pub(super) fn read(play: &Arc<Play>, settings: &Settings) -> Result<(), Stop> {
    let (mut found, to) = pipe().map_err(refused("a pipe"))?;
    let board = Board(Map::new(Source::Shared, PAGE_SIZE).map_err(refused("mmap"))?);
    let reader = sys::fork(|| read_on(play, &board, &to)).map_err(refused("fork"))?;
    drop(to);
    let putter_aside = sys::fork(|| put_aside(&board)).map_err(refused("fork"))?;
    // (Who was waited for has ended, says an error.)
    let has_ended = |child: &Child| !matches!(child.ended(), Ok(None));
    let (start, mut moved) = (Instant::now(), Ok(()));
    let (least, most) = (length(settings), length(settings) * LONGER);
    while moved.is_ok() && !has_ended(&reader) && start.elapsed() < most {
        if start.elapsed() > least && board.times() >= TIMES {
            break;
        }
        moved = round_trips(play, 0..FEW);
    }
    board.end();
    for child in [reader, putter_aside] {
        if !eventually(settle(), || has_ended(&child)) {
            child.kill();
            return Err(Stop::fails(Wrong::Hung, "a reader does not end"));
        }
    }
    let mut said = Vec::new();
    found.read_to_end(&mut said).map_err(refused("reading a pipe"))?;
    moved?;
    match said.split_first_chunk() {
        Some((count, [])) => {
            play.tally.add(Fact::Read, u64::from_le_bytes(*count));
            Ok(())
        }
        Some((at, line)) => Err(foreign(play, u64::from_le_bytes(*at) as usize, line)),
        None => Err(Stop::fails(Wrong::Refused, "a read failed")),
    }
}

/// What a process and its children tell each other: in memory that they share.
struct Board(Map);

impl Board {
    const OVER: usize = 0;
    const TIMES: usize = 64;

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        self.0.load(at, &mut word);
        u64::from_ne_bytes(word)
    }

    /// All are to come to their end.
    fn end(&self) {
        self.0.store(Self::OVER, &1u64.to_ne_bytes());
    }

    fn is_over(&self) -> bool {
        self.word(Self::OVER) != 0
    }

    /// How often the reader was put aside.
    fn times(&self) -> u64 {
        self.word(Self::TIMES)
    }

    fn count(&self) {
        self.0.store(Self::TIMES, &(self.times() + 1).to_ne_bytes());
    }
}

/// In a child: reads until it is over, and says how many lines; or the first one that was wrong, and
/// where it is.
fn read_on(play: &Play, board: &Board, mut to: &PipeWriter) -> u8 {
    on_one_processor();
    // (Who cannot give way, reads nevertheless.)
    let _ = rustix::process::setpriority_process(None, 19);
    let Some(backing) = &play.ground.file else { return 1 };
    let bytes = play.ground.ledger.first_bytes();
    let mut rng = fastrand::Rng::with_seed(mix(play.seed));
    let (mut count, mut line) = (0u64, [0; LINE]);
    while count % TURN != 0 || !board.is_over() {
        let at = rng.usize(0..FEW as usize * LINES) * LINE;
        if backing.file.read_exact_at(&mut line, at as u64).is_err() {
            return 1;
        }
        if line != bytes[at..at + LINE] {
            let told = to.write_all(&(at as u64).to_le_bytes()).and_then(|()| to.write_all(&line));
            return u8::from(told.is_err());
        }
        count += 1;
    }
    u8::from(to.write_all(&count.to_le_bytes()).is_err())
}

/// In a child: takes the reader's processor for a moment, again and again.
fn put_aside(board: &Board) -> u8 {
    on_one_processor();
    while !board.is_over() {
        std::thread::sleep(ASIDE.0);
        let awake = Instant::now();
        while awake.elapsed() < ASIDE.1 {
            std::hint::spin_loop();
        }
        board.count();
    }
    0
}

/// Has this process run on the last processor that it may run on, and nowhere else: it is in the way
/// of the other one there, and of nobody elsewhere.
fn on_one_processor() {
    let Ok(may) = sched_getaffinity(None) else { return };
    if let Some(last) = (0..CpuSet::MAX_CPU).rev().find(|cpu| may.is_set(*cpu)) {
        let mut one = CpuSet::new();
        one.set(last);
        // (Whoever may not choose stays where the kernel puts it.)
        let _ = sched_setaffinity(None, &one);
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
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let mut moved = Ok(());
            while moved.is_ok() && !over.load(SeqCst) {
                moved = round_trips(play, 0..map.pages());
            }
            moved
        });
        let (start, mut parted) = (Instant::now(), Ok(()));
        let (least, most) = (length(settings), length(settings) * LONGER);
        for round in 0.. {
            let enough = start.elapsed() > least && round >= FORKS || start.elapsed() > most;
            if parted.is_err() || mover.is_finished() || enough {
                break;
            }
            parted = part(play, map, round);
            play.tally.add(Fact::Forked, 1);
        }
        over.store(true, SeqCst);
        let moved = mover.join().map_err(|_| Stop::fails(Wrong::Panicked, "the mover"))?;
        parted.and(moved)
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
