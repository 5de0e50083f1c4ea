//! Who holds a page: every pin and write guard of every thread, with the place in the source that
//! took it and since when.
//!
//! Each thread has a table of records that only it writes (pins and guards do not leave their
//! thread), so recording costs a few stores to memory nobody else touches; whoever was told `Busy`
//! reads the tables of all threads. The records are for people and reports. What decides is the
//! count beside them, which only its own thread reads: *a thread that holds a page never waits for
//! another one*, which is what keeps two threads from waiting for each other's pages for ever.

mod record;

use std::fmt;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

use crate::clock;
use crate::folio::Folio;
use crate::sync::unwatched::lock;
use crate::sync::{Acquire, Relaxed};
#[cfg(not(refolio_model))]
pub(crate) use record::UNNAMED;
use record::{FREE, NOBODYS, Table};
pub(crate) use record::{Hold, Intent, mine};

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
    /// For how long, to within some hundredths of a second; on a machine whose threads come late,
    /// it may be said to be longer.
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

/// Which folio is held, of all caches: the address of its descriptor, which is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held(u64);

impl Held {
    #[inline]
    pub fn of(folio: &Folio) -> Self {
        Self(ptr::from_ref(folio).addr() as u64)
    }
}

/// This thread's own holds: of one page, or of any.
pub(crate) fn own(held: Option<Held>) -> Vec<Holder> {
    found_in(record::own_table(), |key| held.is_none_or(|held| held.0 == key))
}

/// Every recorded holder of the page, oldest first. There are `references` in all besides the
/// cache's own (none are needed for a guard): what is not on record among them is unnamed.
pub(crate) fn of(held: Held, references: u32) -> Vec<Holder> {
    let found = |table| found_in(table, |key| key == held.0);
    let mut all: Vec<_> = record::tables().into_iter().flat_map(found).collect();
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
        // Acquire: pairs with the Release of `Intent::hold`.
        let key = record.key.load(Acquire);
        if key == FREE || key == NOBODYS || !wanted(key) {
            continue;
        }
        let how = record.how.load(Relaxed);
        let since = Duration::from_nanos(record.since.load(Relaxed));
        found.push(Holder {
            kind: if how % 2 == 1 { HolderKind::WriteGuard } else { HolderKind::Pin },
            location: record::place(how / 2),
            held_for: Some(clock::now().saturating_sub(since)),
            thread: Some(lock(&table.thread).clone()),
        });
    }
    found
}
