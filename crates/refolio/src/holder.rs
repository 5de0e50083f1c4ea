//! Who holds a page: every pin and write guard of every thread, with the place in the source that
//! took it and since when.
//!
//! Each thread has a table of records that only it writes (pins and guards do not leave their
//! thread), so recording costs a few stores to memory nobody else touches; whoever was told `Busy`
//! reads the tables of all threads. The records are for people and reports. What decides is the
//! count beside them, which only its own thread reads: *a thread that holds a page never waits for
//! another one*, which is what keeps two threads from waiting for each other's pages for ever.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use crate::sync::unwatched::{AtomicU32, AtomicU64, Mutex, MutexGuard, lock};
use crate::sync::{Acquire, Relaxed, Release, thread_local};
use crate::units::FrameNo;

/// Holds of one thread that are recorded by place; more are only counted.
const RECORDS: usize = 16;

/// How somebody holds a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderKind {
    /// A [`Page`](crate::Page): its bytes stand still while it lives.
    Pin,
    /// A [`PageMut`](crate::PageMut): the one writer.
    WriteGuard,
    /// References that are not on record: of a read, a write or a move that runs right now, or of
    /// pins taken while recording is off ([`CacheBuilder::name_holders`](crate::CacheBuilder)).
    Unnamed,
}

/// One holder of a page, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// How it holds the page.
    pub kind: HolderKind,
    /// The call that took the hold.
    pub location: Option<&'static Location<'static>>,
    /// For how long, to within a few milliseconds.
    pub held_for: Option<Duration>,
    /// The thread, by name or number.
    pub thread: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            HolderKind::Pin => f.write_str("a pin")?,
            HolderKind::WriteGuard => f.write_str("a write guard")?,
            HolderKind::Unnamed => return f.write_str("references that are not on record"),
        }
        if let Some(location) = self.location {
            write!(f, " taken at {location}")?;
        }
        if let Some(thread) = &self.thread {
            write!(f, " by thread {thread}")?;
        }
        if let Some(held) = self.held_for {
            write!(f, ", held for {} ms", held.as_millis())?;
        }
        Ok(())
    }
}

/// Lists holders as part of a sentence.
pub(crate) struct List<'a>(pub &'a [Holder]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, holder) in self.0.iter().enumerate() {
            write!(f, "{}{holder}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Which page of which cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub cache: u32,
    pub frame: FrameNo,
}

impl Held {
    fn key(self) -> u64 {
        u64::from(self.cache) << 32 | u64::from(self.frame.0)
    }
}

/// Key of an unused record: no cache has number 0.
const UNUSED: u64 = 0;

#[derive(Debug, Default)]
struct Record {
    key: AtomicU64,
    /// Nanoseconds of the coarse clock.
    since: AtomicU64,
    /// Index in `LOCATIONS`, times two; plus one for a write guard.
    how: AtomicU32,
}

/// The records of one thread; leaked, and handed on when the thread ends.
#[derive(Debug, Default)]
struct Table {
    records: [Record; RECORDS],
    thread: Mutex<String>,
}

static TABLES: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());
static SPARE: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());
static LOCATIONS: Mutex<Vec<&'static Location<'static>>> = Mutex::new(Vec::new());

/// How many pages a thread holds.
struct Counts {
    pins: Cell<u32>,
    guards: Cell<u32>,
}

impl Counts {
    #[inline]
    fn of(&self, guard: bool) -> &Cell<u32> {
        if guard { &self.guards } else { &self.pins }
    }
}

/// What a thread writes down of itself.
struct Mine {
    table: &'static Table,
    /// The place recorded last, and its number: most threads pin at one place again and again.
    place: Cell<Option<(&'static Location<'static>, u32)>>,
}

impl Mine {
    fn new() -> Self {
        let table = lock(&SPARE).pop().unwrap_or_else(|| {
            let table: &'static Table = Box::leak(Box::default());
            lock(&TABLES).push(table);
            table
        });
        let thread = std::thread::current();
        *lock(&table.thread) = match thread.name() {
            Some(name) => format!("'{name}'"),
            None => format!("{:?}", thread.id()),
        };
        Self { table, place: Cell::new(None) }
    }

    /// Writes a hold down, if there is room.
    #[inline(never)]
    fn record(
        &self,
        guard: bool,
        held: Held,
        location: &'static Location<'static>,
    ) -> Option<&'static Record> {
        // Relaxed: nobody but this thread takes or frees a record of its table.
        let free = self.table.records.iter().find(|r| r.key.load(Relaxed) == UNUSED)?;
        free.how.store(self.number(location) * 2 + u32::from(guard), Relaxed);
        free.since.store(now().as_nanos() as u64, Relaxed);
        // Release: whoever sees the key sees place and time.
        free.key.store(held.key(), Release);
        Some(free)
    }

    #[inline]
    fn number(&self, location: &'static Location<'static>) -> u32 {
        if let Some((known, number)) = self.place.get()
            && std::ptr::eq(known, location)
        {
            return number;
        }
        let mut all = lock(&LOCATIONS);
        let number = all.iter().position(|known| *known == location).unwrap_or_else(|| {
            all.push(location);
            all.len() - 1
        }) as u32;
        self.place.set(Some((location, number)));
        number
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        lock(&SPARE).push(self.table);
    }
}

thread_local!(static MINE: Mine = Mine::new());

// Apart, and without anything to set up or to drop: every pin counts itself.
thread_local! {
    static COUNTS: Counts = const { Counts { pins: Cell::new(0), guards: Cell::new(0) } };
}

/// Time since some moment, to within a few milliseconds.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A hold on the books of its thread: a pin, or the hold of a write guard. Dropping it gives it up.
/// Does not leave its thread.
#[derive(Debug)]
pub(crate) struct Hold<const GUARD: bool> {
    record: Option<&'static Record>,
    /// Not Send, but Sync: others may use the page through a reference to its holder.
    _stays: PhantomData<MutexGuard<'static, ()>>,
}

impl<const GUARD: bool> Hold<GUARD> {
    /// Counts a hold of this thread, and writes down its place when `by_name`.
    #[inline]
    pub fn new(held: Held, by_name: bool, location: &'static Location<'static>) -> Self {
        COUNTS.with(|counts| counts.of(GUARD).set(counts.of(GUARD).get() + 1));
        let record =
            if by_name { MINE.with(|mine| mine.record(GUARD, held, location)) } else { None };
        Self { record, _stays: PhantomData }
    }
}

impl<const GUARD: bool> Drop for Hold<GUARD> {
    #[inline]
    fn drop(&mut self) {
        if let Some(record) = self.record {
            // Relaxed: a report may find a hold that has just ended, as it may find one that just
            // began gone.
            record.key.store(UNUSED, Relaxed);
        }
        COUNTS.with(|counts| counts.of(GUARD).set(counts.of(GUARD).get() - 1));
    }
}

/// Pages this thread holds: (pins, write guards).
pub(crate) fn mine() -> (u32, u32) {
    COUNTS.with(|counts| (counts.pins.get(), counts.guards.get()))
}

/// This thread's own holds: of one page, or of any.
pub(crate) fn own(held: Option<Held>) -> Vec<Holder> {
    MINE.with(|mine| found_in(mine.table, |key| held.is_none_or(|held| held.key() == key)))
}

/// Every recorded holder of the page, oldest first. There are `references` in all besides the
/// cache's own (none are needed for a guard): what is not on record among them is unnamed.
pub(crate) fn of(held: Held, references: u32) -> Vec<Holder> {
    let tables = lock(&TABLES).clone();
    let mut all: Vec<_> =
        tables.into_iter().flat_map(|table| found_in(table, |key| key == held.key())).collect();
    all.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
    let named = all.iter().filter(|h| h.kind == HolderKind::Pin).count();
    let none_at_all = all.is_empty();
    if (named < references as usize || none_at_all)
        && !all.iter().any(|h| h.kind == HolderKind::WriteGuard)
    {
        all.push(Holder {
            kind: HolderKind::Unnamed,
            location: None,
            held_for: None,
            thread: None,
        });
    }
    all
}

fn found_in(table: &Table, wanted: impl Fn(u64) -> bool) -> Vec<Holder> {
    let mut found = Vec::new();
    for record in &table.records {
        // Acquire: pairs with the Release of `Hold::new`.
        let key = record.key.load(Acquire);
        if key == UNUSED || !wanted(key) {
            continue;
        }
        let how = record.how.load(Relaxed);
        let since = Duration::from_nanos(record.since.load(Relaxed));
        found.push(Holder {
            kind: if how % 2 == 1 { HolderKind::WriteGuard } else { HolderKind::Pin },
            location: lock(&LOCATIONS).get(how as usize / 2).copied(),
            held_for: Some(now().saturating_sub(since)),
            thread: Some(lock(&table.thread).clone()),
        });
    }
    found
}
