//! What each thread writes down of the pages it holds.
//!
//! Most pins are short, taken at the place of the last one, and the only one of their thread: what
//! is written down for them must take no longer than a few stores. So a thread's first record keeps
//! its place when it is given back, and all else lies behind the look whether that one will do. (A
//! thread that has no records yet looks at some that are never free.)
//!
//! Holds that are not on record are counted: of those there are none, as a rule, where holders are
//! named.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr;

use super::Held;
use crate::sync::unwatched::{AtomicU32, AtomicU64, Mutex, MutexGuard, lock};
use crate::sync::{Relaxed, Release, thread_local};

/// Holds of one thread that are on record; more are only counted.
const RECORDS: usize = 16;

/// Places of which a thread knows the number by itself.
const PLACES: usize = 16;

/// Key of a record that is free.
pub(super) const FREE: u64 = 0;

/// Key of a record that never will be. (No descriptor is at such an address.)
pub(super) const NOBODYS: u64 = 1;

type Place = &'static Location<'static>;

#[derive(Debug)]
pub(super) struct Record {
    /// Which folio is held.
    pub key: AtomicU64,
    /// Nanoseconds, of [`clock::now`](crate::clock::now).
    pub since: AtomicU64,
    /// Number of the place, times two; plus one for a write guard.
    pub how: AtomicU32,
}

/// The records of one thread; leaked, and handed on when the thread ends.
#[derive(Debug)]
pub(super) struct Table {
    pub records: [Record; RECORDS],
    pub thread: Mutex<String>,
}

impl Table {
    const fn new<const KEY: u64>() -> Self {
        let records = [const {
            Record { key: AtomicU64::new(KEY), since: AtomicU64::new(0), how: AtomicU32::new(0) }
        }; RECORDS];
        Self { records, thread: Mutex::new(String::new()) }
    }
}

static NOBODY: Table = Table::new::<NOBODYS>();
static TABLES: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());
static SPARE: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());
static PLACE_NUMBERS: Mutex<Vec<Place>> = Mutex::new(Vec::new());

/// The tables of all threads.
pub(super) fn tables() -> Vec<&'static Table> {
    lock(&TABLES).clone()
}

/// The table of this thread.
#[inline]
pub(super) fn own_table() -> &'static Table {
    MINE.with(|mine| mine.table.get())
}

/// The place that has this number.
pub(super) fn place(number: u32) -> Option<Place> {
    lock(&PLACE_NUMBERS).get(number as usize).copied()
}

/// What a thread knows of itself; pairs are of pins and of write guards.
struct Mine {
    /// Holds that are not on record.
    unrecorded: [Cell<u32>; 2],
    table: Cell<&'static Table>,
    /// The same, also when the thread is about to end and takes no more: where its holds are.
    kept: Cell<&'static Table>,
    /// The place that is written in the first record, whether that is free or not.
    usual: [Cell<Option<Place>>; 2],
    numbers: [Cell<Option<(Place, u32)>>; PLACES],
}

// Without anything to set up or to drop, since every pin looks here.
thread_local! {
    static MINE: Mine = const {
        Mine {
            unrecorded: [const { Cell::new(0) }; 2],
            table: Cell::new(&NOBODY),
            kept: Cell::new(&NOBODY),
            usual: [const { Cell::new(None) }; 2],
            numbers: [const { Cell::new(None) }; PLACES],
        }
    }
}

/// Pages this thread holds: (pins, write guards).
pub(crate) fn mine() -> (u32, u32) {
    let held = |guard: bool| {
        let records = own_table().records.iter();
        let recorded = records.filter(|record| record.is_held() && record.is_guard() == guard);
        recorded.count() as u32 + MINE.with(|mine| mine.unrecorded[usize::from(guard)].get())
    };
    (held(false), held(true))
}

impl Record {
    // Relaxed: nobody but the asking thread takes or frees a record of its table, or writes there.

    #[inline]
    fn is_free(&self) -> bool {
        self.key.load(Relaxed) == FREE
    }

    fn is_held(&self) -> bool {
        !matches!(self.key.load(Relaxed), FREE | NOBODYS)
    }

    fn is_guard(&self) -> bool {
        self.how.load(Relaxed) % 2 == 1
    }
}

/// A record of this thread, and its number.
type Numbered = (&'static Record, u8);

/// The first record of this thread, if it is free and has this place in it.
#[inline(always)]
fn first_record(guard: bool, place: Place) -> Option<&'static Record> {
    let (usual, kept) = MINE.with(|mine| (mine.usual[usize::from(guard)].get(), mine.kept.get()));
    let first = &kept.records[0];
    (usual.is_some_and(|usual| ptr::eq(usual, place)) && first.is_free()).then_some(first)
}

/// Any free record, with this place in it, if there is one.
#[inline(never)]
fn other_record(guard: bool, place: Place) -> Option<Numbered> {
    if ptr::eq(own_table(), &NOBODY) {
        // No table where the thread is about to end.
        let table = LEASE.try_with(|lease| lease.0).ok()?;
        MINE.with(|mine| {
            mine.table.set(table);
            mine.kept.set(table);
        });
    }
    let records = &own_table().records;
    let at = records.iter().position(Record::is_free)?;
    if at == 0 {
        MINE.with(|mine| {
            mine.usual[usize::from(guard)].set(Some(place));
            mine.usual[usize::from(!guard)].set(None);
        });
    }
    records[at].how.store(number_of(place) * 2 + u32::from(guard), Relaxed);
    Some((&records[at], at as u8))
}

/// The number of a place, which it keeps from its first hold on.
fn number_of(place: Place) -> u32 {
    let which = ptr::from_ref(place).addr() / align_of::<Location<'_>>() % PLACES;
    if let Some((known, number)) = MINE.with(|mine| mine.numbers[which].get())
        && ptr::eq(known, place)
    {
        return number;
    }
    let mut all = lock(&PLACE_NUMBERS);
    let number = all.iter().position(|known| *known == place).unwrap_or_else(|| {
        all.push(place);
        all.len() - 1
    }) as u32;
    MINE.with(|mine| mine.numbers[which].set(Some((place, number))));
    number
}

/// The table that a thread has on loan until it ends.
struct Lease(&'static Table);

thread_local!(static LEASE: Lease = Lease::new());

impl Lease {
    fn new() -> Self {
        let table = lock(&SPARE).pop().unwrap_or_else(|| {
            let table: &'static Table = Box::leak(Box::new(Table::new::<FREE>()));
            lock(&TABLES).push(table);
            table
        });
        let thread = std::thread::current();
        *lock(&table.thread) = match thread.name() {
            Some(name) => format!("'{name}'"),
            None => format!("{:?}", thread.id()),
        };
        Self(table)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        MINE.with(|mine| {
            mine.table.set(&NOBODY);
            mine.usual.iter().for_each(|usual| usual.set(None));
        });
        lock(&SPARE).push(self.0);
    }
}

/// A hold that is about to begin, with its place and its time if they are written down.
///
/// All of it that takes time or may fail is done here, ahead: so a pin has nothing between its
/// reference and the page, and what it is made of stays in registers. (Stored to memory and read
/// again in larger pieces it would wait for the stores, and those wait for the locked instruction
/// before them: that costs more than all the rest.)
#[derive(Debug)]
pub(crate) struct Intent<const GUARD: bool>(Option<Numbered>);

impl<const GUARD: bool> Intent<GUARD> {
    /// A hold that is only counted.
    pub const UNNAMED: Self = Self(None);

    /// To be made anew when other code ran meanwhile, which may have taken the record.
    #[inline]
    pub fn new(since_ns: u64, place: Place) -> Self {
        let first = first_record(GUARD, place).map(|record| (record, 0));
        let numbered = first.or_else(|| other_record(GUARD, place));
        if let Some((record, _)) = numbered {
            record.since.store(since_ns, Relaxed);
        }
        Self(numbered)
    }

    /// The same, where it takes a few instructions: as a rule.
    #[inline(always)]
    pub fn at_once(since_ns: u64, place: Place) -> Option<Self> {
        let record = first_record(GUARD, place)?;
        record.since.store(since_ns, Relaxed);
        Some(Self(Some((record, 0))))
    }

    /// The hold begins.
    #[inline(always)]
    pub fn hold(self, held: Held) -> Hold<GUARD> {
        let number = match self.0 {
            Some((record, number)) => {
                // Release: whoever sees the key sees place and time.
                record.key.store(held.0, Release);
                number
            }
            None => {
                count::<GUARD>(1);
                UNNAMED
            }
        };
        Hold { number, _stays: PhantomData }
    }
}

#[inline]
fn count<const GUARD: bool>(more: i32) {
    MINE.with(|mine| {
        let count = &mine.unrecorded[usize::from(GUARD)];
        count.set(count.get().wrapping_add_signed(more));
    });
}

/// Number of a hold that is not on record.
pub(crate) const UNNAMED: u8 = RECORDS as u8;

/// A hold on the books of its thread: a pin, or the hold of a write guard. Dropping it gives it up.
/// Does not leave its thread.
#[derive(Debug)]
pub(crate) struct Hold<const GUARD: bool> {
    /// Of its record.
    number: u8,
    /// Not Send, but Sync: others may use the page through a reference to its holder.
    _stays: PhantomData<MutexGuard<'static, ()>>,
}

impl<const GUARD: bool> Hold<GUARD> {
    /// Its number, to be given up by.
    #[inline(always)]
    pub fn into_number(self) -> u8 {
        let number = self.number;
        mem::forget(self);
        number
    }

    /// The hold of this thread that had the number.
    #[inline(always)]
    pub fn of_number(number: u8) -> Self {
        Self { number, _stays: PhantomData }
    }
}

impl<const GUARD: bool> Drop for Hold<GUARD> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.number == UNNAMED {
            return count::<GUARD>(-1);
        }
        let kept = MINE.with(|mine| mine.kept.get());
        // Relaxed: a report may find a hold that has just ended, as it may find one that just began
        // gone.
        kept.records[usize::from(self.number) % RECORDS].key.store(FREE, Relaxed);
    }
}
