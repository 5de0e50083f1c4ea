//! How often what happened: a case that nothing happened in has shown nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::subject::{Counters, Moves, Need};

macro_rules! facts {
    ($($fact:ident $name:literal $absence:literal,)*) => {
        /// Something that happens in a case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fact { $($fact),* }

        impl Fact {
            const ALL: &[Fact] = &[$(Fact::$fact),*];

            /// What is counted.
            pub fn name(self) -> &'static str {
                match self { $(Self::$fact => $name),* }
            }

            /// What to say when it did not happen.
            pub fn absence(self) -> &'static str {
                match self { $(Self::$fact => $absence),* }
            }
        }
    };
}

facts! {
    Moved "pages moved" "no page moved",
    Here "pages that were there already" "no mover came too late",
    Again "pages to be tried again" "no page stood in a mover's way",
    Busy "pages busy" "no page was too busy to move",
    NoRoom "pages without room" "there was room for every page",
    Gone "pages gone before they moved" "no page was gone before it moved",
    Read "pages read" "no page was read",
    Changed "newer pages read" "no reader saw a new write",
    Emptied "pages read that were cut off" "no reader saw what truncation leaves",
    Beyond "accesses beyond the end" "nothing was asked for beyond the end",
    Written "writes" "nothing was written",
    Viewed "accesses through views" "no view was used",
    Pinned "pins" "no page was pinned",
    Orphaned "pins of pages that were cut off" "no pin became an orphan",
    Synced "syncs" "nothing was synced",
    Evicted "pages evicted" "no page was evicted",
    Kept "pinned pages asked to be evicted" "no pinned page was to be evicted",
    Cut "truncations" "nothing was truncated",
    Filled "pages read in" "no page was read in",
    WrittenBack "pages written back" "no page was written back",
    Shared "pages that others have, too" "no page was shared",
    Transferred "direct transfers" "nothing was transferred directly",
    Forked "children" "no child was forked",
    Remapped "remaps" "nothing was mapped anew",
    Protected "stores refused" "no store was forbidden",
    Advised "advice" "no advice was given",
    Offlined "memory taken offline" "no memory was taken offline",
    Asked "turns of who moves" "nobody moved pages",
    EntryMet "migration entries met" "no access met a migration entry",
}

impl Fact {
    /// What a subject must have for it to happen.
    pub fn needs(self) -> Option<Need> {
        (self == Self::EntryMet).then_some(Need::MigrationEntries)
    }
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; Fact::ALL.len()]);

impl Tally {
    /// It has happened so many times more.
    pub fn add(&self, fact: Fact, times: u64) {
        // Relaxed: a count, and no more.
        self.0[fact as usize].fetch_add(times, Relaxed);
    }

    /// What came of a migration.
    pub fn add_moves(&self, moves: &Moves) {
        let Moves { moved, here, again, busy, no_room, gone } = *moves;
        self.add(Fact::Moved, moved);
        self.add(Fact::Here, here);
        self.add(Fact::Again, again);
        self.add(Fact::Busy, busy);
        self.add(Fact::NoRoom, no_room);
        self.add(Fact::Gone, gone);
    }

    /// How often it has happened; some things only the subject knows.
    pub fn count(&self, fact: Fact, start: &Counters, now: &Counters) -> u64 {
        match fact {
            Fact::Filled => now.filled - start.filled,
            Fact::WrittenBack => now.written_back - start.written_back,
            Fact::EntryMet => now.entries_met - start.entries_met,
            // Relaxed: as above.
            counted => self.0[counted as usize].load(Relaxed),
        }
    }

    /// How often something has happened that the case itself counts.
    pub fn so_far(&self, fact: Fact) -> u64 {
        // Relaxed: as above.
        self.0[fact as usize].load(Relaxed)
    }

    /// Pages that were asked to move, and neither moved nor were found moved or gone.
    pub fn refused(&self) -> u64 {
        let refusals = [Fact::Again, Fact::Busy, Fact::NoRoom];
        // Relaxed: as above.
        refusals.into_iter().map(|fact| self.0[fact as usize].load(Relaxed)).sum()
    }

    /// All that has happened.
    pub fn counts(&self, start: &Counters, now: &Counters) -> Vec<(&'static str, u64)> {
        let count = |fact: &Fact| (fact.name(), self.count(*fact, start, now));
        Fact::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }
}
