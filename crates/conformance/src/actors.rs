//! Who acts in a case. Each actor does one thing, again and again, wherever its dice send it, and
//! looks at the pages that it gets to see.

use std::time::Duration;

use fastrand::Rng;
use refolio::PAGE_SIZE;

use crate::holding::{Hold, pin};
use crate::ledger::{Before, Damage, PAGES};
use crate::stage::{Play, refused};
use crate::subject::{At, Cut, How, Kind, Refusal, VIEWS, Via};
use crate::tally::Fact;
use crate::verdict::{Failure, Wrong};

/// A part to be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    pub name: &'static str,
    /// Whether it writes pages: then it gets some for itself.
    pub writes: bool,
    /// One turn.
    pub act: fn(&Play, &mut Me) -> Result<(), Failure>,
}

const fn actor(name: &'static str, act: fn(&Play, &mut Me) -> Result<(), Failure>) -> Actor {
    Actor { name, writes: false, act }
}

/// Reads by calls, a few pages at a time.
pub(crate) const READER: Actor = actor("reader", |play, me| read(play, me, false));
/// Reads through views.
pub(crate) const LOADER: Actor = actor("loader", |play, me| read(play, me, true));
/// Writes by calls.
pub(crate) const WRITER: Actor =
    Actor { name: "writer", writes: true, act: |play, me| write(play, me, false) };
/// Writes through views.
pub(crate) const STORER: Actor =
    Actor { name: "storer", writes: true, act: |play, me| write(play, me, true) };
/// Takes a reference for a moment.
pub(crate) const GRABBER: Actor = actor("grabber", |play, me| pin(play, me, Hold::Moment));
/// Pins pages and keeps them for a while.
pub(crate) const PINNER: Actor = actor("pinner", |play, me| pin(play, me, Hold::While));
/// Pins pages, and asks for their eviction meanwhile.
pub(crate) const HOLDING_EVICTOR: Actor =
    actor("holding evictor", |play, me| pin(play, me, Hold::Evicting));
/// Moves ranges of pages from node to node.
pub(crate) const MOVER: Actor = actor("mover", migrate);
/// Has files written back.
pub(crate) const SYNCER: Actor = actor("syncer", sync);
/// Evicts ranges of pages.
pub(crate) const EVICTOR: Actor = actor("evictor", evict);
/// Makes files shorter, and then longer again.
pub(crate) const TRUNCATOR: Actor = actor("truncator", truncate);
/// Punches holes.
pub(crate) const PUNCHER: Actor = actor("puncher", punch);

/// What an actor knows of itself.
pub(crate) struct Me {
    number: u32,
    pub rng: Rng,
    /// Which of the writers it is, if it is one.
    rank: usize,
    writers: usize,
    /// Room for a few pages.
    pub page: Box<[u8]>,
    /// The newest generation seen in each page of each file.
    seen: Vec<[u64; PAGES as usize]>,
}

impl Me {
    pub fn new(number: u32, rng: Rng, rank: usize, writers: usize) -> Self {
        let page = vec![0; READ_PAGES as usize * PAGE_SIZE].into();
        Self { number, rng, rank, writers, page, seen: Vec::new() }
    }

    /// One of the files.
    pub fn file(&mut self, play: &Play) -> u32 {
        self.rng.u32(0..play.kinds.len() as u32)
    }

    fn range(&mut self) -> std::ops::Range<u64> {
        let start = self.rng.u64(0..PAGES);
        start..start + self.rng.u64(1..=PAGES - start)
    }

    /// Lets others go first, now and then: threads that never pause meet at few places only.
    pub fn pause(&mut self) {
        match self.rng.u32(0..8) {
            0 => std::thread::sleep(Duration::from_micros(self.rng.u64(1..300))),
            1 | 2 => std::thread::yield_now(),
            _ => {}
        }
    }

    /// Takes note of what was read.
    pub fn saw(&mut self, play: &Play, file: u32, page: u64, generation: Option<u64>) {
        let Some(generation) = generation else { return play.tally.add(Fact::Emptied, 1) };
        self.seen.resize(play.kinds.len(), [1; PAGES as usize]);
        let last = &mut self.seen[file as usize][page as usize];
        play.tally.add(Fact::Changed, u64::from(*last < generation));
        *last = (*last).max(generation);
    }
}

/// Pages that are read at a time, at most.
const READ_PAGES: u64 = 3;

fn read(play: &Play, me: &mut Me, by_view: bool) -> Result<(), Failure> {
    let file = me.file(play);
    let first = me.rng.u64(0..PAGES);
    let (via, pages) = if by_view {
        (Via::View(me.rng.usize(0..VIEWS)), 1)
    } else {
        (Via::Call, me.rng.u64(1..=READ_PAGES.min(PAGES - first)))
    };
    look(play, me, At { file, via, offset: first * PAGE_SIZE as u64 }, pages)
}

/// Reads whole pages, and judges them.
fn look(play: &Play, me: &mut Me, at: At, pages: u64) -> Result<(), Failure> {
    let ledger = &play.ledgers[at.file as usize];
    let first = at.offset / PAGE_SIZE as u64;
    let range = ledger.parts_of(first).start..ledger.parts_of(first + pages).start;
    let before: Vec<_> = range.clone().map(|part| ledger.before(part)).collect();
    let mut bytes = std::mem::take(&mut me.page);
    let read = read_at(play, at, &mut bytes[..pages as usize * PAGE_SIZE])?;
    for (part, before) in range.zip(before) {
        let start = (ledger.offset(part) - at.offset) as usize;
        let end = start + ledger.part_len();
        let found = (end <= read).then(|| &bytes[start..end]);
        let generation = match ledger.judge(before, found) {
            Ok(generation) => generation,
            Err(damage) => {
                return Err(again(play, At { offset: ledger.offset(part), ..at }, before, damage));
            }
        };
        me.saw(play, at.file, ledger.offset(part) / PAGE_SIZE as u64, generation);
    }
    me.page = bytes;
    play.tally.add(if at.via == Via::Call { Fact::Read } else { Fact::Viewed }, pages);
    Ok(())
}

/// Reads what there is.
fn read_at(play: &Play, at: At, into: &mut [u8]) -> Result<usize, Failure> {
    match play.subject.read(at, into) {
        Ok(read) => Ok(read),
        Err(Refusal::Beyond) => {
            play.tally.add(Fact::Beyond, 1);
            Ok(0)
        }
        Err(refusal) => Err(refused("reading", &refusal)),
    }
}

/// Looks a second time at what was stale: if it still is, a write is lost.
fn again(play: &Play, at: At, before: Before, damage: Damage) -> Failure {
    let (mut wrong, detail) = damage;
    if wrong == Wrong::StalePage {
        let ledger = &play.ledgers[at.file as usize];
        let mut bytes = vec![0; ledger.part_len()];
        let read = play.subject.read(at, &mut bytes);
        let found = read.is_ok_and(|read| read == bytes.len()).then_some(&bytes[..]);
        if matches!(ledger.judge(before, found), Err((Wrong::StalePage, _))) {
            wrong = Wrong::LostWrite;
        }
    }
    Failure { wrong, detail }
}

fn write(play: &Play, me: &mut Me, by_view: bool) -> Result<(), Failure> {
    let file = me.file(play);
    let ledger = &play.ledgers[file as usize];
    // A part of one's own: its rank is that of its writer.
    let part = me.rng.usize(0..ledger.parts() / me.writers) * me.writers + me.rank;
    let via = if by_view { Via::View(me.rng.usize(0..VIEWS)) } else { Via::Call };
    let at = At { file, via, offset: ledger.offset(part) };
    let into = &mut me.page[..ledger.part_len()];
    match ledger.write(part, me.number, into, |bytes| play.subject.write(at, bytes)) {
        Ok(()) => {
            play.tally.add(Fact::Written, 1);
            play.tally.add(Fact::Viewed, u64::from(by_view));
        }
        Err(Refusal::Beyond) => play.tally.add(Fact::Beyond, 1),
        Err(refusal) => return Err(refused("writing", &refusal)),
    }
    // A writer that reads its own writes at once sees a loss before the next write hides it.
    if me.rng.u32(0..4) == 0 {
        let page = at.offset / PAGE_SIZE as u64 * PAGE_SIZE as u64;
        look(play, me, At { offset: page, ..at }, 1)?;
    }
    me.pause();
    Ok(())
}

fn migrate(play: &Play, me: &mut Me) -> Result<(), Failure> {
    let (file, pages, to) = (me.file(play), me.range(), me.rng.usize(0..2));
    let moves = play.subject.migrate(file, pages, to, How::Chosen(me.rng.u64(..)));
    play.tally.add_moves(&moves.map_err(|refusal| refused("migrating", &refusal))?);
    me.pause();
    Ok(())
}

fn sync(play: &Play, me: &mut Me) -> Result<(), Failure> {
    let synced = play.subject.sync(me.file(play));
    synced.map_err(|refusal| refused("syncing", &refusal))?;
    play.tally.add(Fact::Synced, 1);
    me.pause();
    Ok(())
}

fn evict(play: &Play, me: &mut Me) -> Result<(), Failure> {
    let (file, pages) = (me.file(play), me.range());
    let evicted = play.subject.evict(file, pages);
    play.tally.add(Fact::Evicted, evicted.map_err(|refusal| refused("evicting", &refusal))?);
    me.pause();
    Ok(())
}

fn truncate(play: &Play, me: &mut Me) -> Result<(), Failure> {
    let (file, len) = (me.file(play), me.rng.u64(PAGES / 2..PAGES));
    cut(play, file, len..PAGES, Cut::Len(len))?;
    me.pause();
    if me.rng.u32(0..4) > 0 {
        cut(play, file, PAGES..PAGES, Cut::Len(PAGES))?;
    }
    me.pause();
    Ok(())
}

fn punch(play: &Play, me: &mut Me) -> Result<(), Failure> {
    let (file, start) = (me.file(play), me.rng.u64(0..PAGES));
    let hole = start..(start + me.rng.u64(1..8)).min(PAGES);
    cut(play, file, hole.clone(), Cut::Hole(hole))?;
    me.pause();
    Ok(())
}

fn cut(play: &Play, file: u32, pages: std::ops::Range<u64>, cut: Cut) -> Result<(), Failure> {
    debug_assert_ne!(play.kinds[file as usize], Kind::Anonymous, "the case's files can be cut");
    let done = play.ledgers[file as usize].cut(pages, || play.subject.truncate(file, cut));
    done.map_err(|refusal| refused("truncating", &refusal))?;
    play.tally.add(Fact::Cut, 1);
    Ok(())
}
