//! A page is moved, and meanwhile …

use super::{FILES, MEMORY, play};
use crate::Case;
use crate::actors::{
    EVICTOR, GRABBER, LOADER, MOVER, PINNER, PUNCHER, READER, STORER, SYNCER, TRUNCATOR, WRITER,
};
use crate::subject::Need::{Eviction, MigrationEntries, Pins, TwoNodes, Views};
use crate::tally::Fact;

pub(crate) const LOOKUP: Case = Case {
    name: "migrate_lookup",
    claim: "Whoever gets a reference to a page while it is moved has that page, and it stays where \
            it is until the reference is given back.",
    source: "mm/filemap.c (7.3: 1899): a lookup gets a reference and then looks at the slot \
             again; without that, a frame that was given away is taken for the page",
    needs: &[TwoNodes, Pins],
    run: |stage| {
        let cast = &[MOVER, MOVER, GRABBER, GRABBER, WRITER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::Pinned, Fact::Changed]);
    },
};

pub(crate) const READ: Case = Case {
    name: "migrate_read",
    claim: "A read sees one write of its page, whole, however often the page is moved under it.",
    source: "mm/migrate.c: the destination is locked and not up to date before it is in its \
             slot, or a reader fills it from the store, over newer bytes",
    needs: &[TwoNodes],
    run: |stage| {
        let cast = &[MOVER, MOVER, READER, READER, WRITER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::Read, Fact::Changed]);
    },
};

pub(crate) const WRITE: Case = Case {
    name: "migrate_write",
    claim: "A write that has returned is there after every move.",
    source: "060913999d7a (6.11) copies before it freezes: who writes under a bare reference \
             between the two loses the write",
    needs: &[TwoNodes, Views],
    run: |stage| {
        let cast = &[MOVER, MOVER, WRITER, STORER, READER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::Written, Fact::Changed]);
    },
};

pub(crate) const FILL: Case = Case {
    name: "migrate_fill",
    claim: "A page that is being read in is not moved before it has its bytes.",
    source: "mm/migrate.c (7.3: 1257): whoever reads a page in has its lock, and a light \
             migration does not wait for that",
    needs: &[TwoNodes, Eviction],
    run: |stage| {
        let cast = &[MOVER, MOVER, EVICTOR, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Moved, Fact::Filled, Fact::Evicted]);
    },
};

pub(crate) const FAULT: Case = Case {
    name: "migrate_fault",
    claim: "Whoever meets a migration entry waits without a reference, and then uses the page, \
            wherever it is; no entry is left behind.",
    source: "ffa65753c431, 9a1ea439b16b: waiters that held a reference made the migration fail, \
             and starved it; mm/filemap.c (7.3: 1435)",
    needs: &[TwoNodes, Views, MigrationEntries],
    run: |stage| {
        let cast = &[MOVER, MOVER, LOADER, STORER, LOADER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::EntryMet, Fact::Changed]);
    },
};

pub(crate) const PIN: Case = Case {
    name: "migrate_pin",
    claim: "A pinned page is not moved, whoever asks, and its bytes stand still; when the pin is \
            gone it moves.",
    source: "mm/gup.c (7.3: 2829): a pin is a reference, and with one more than expected the \
             freeze fails; 8e47a457321c, where the expected count was off by one",
    needs: &[TwoNodes, Pins],
    run: |stage| {
        let cast = &[MOVER, MOVER, PINNER, PINNER, WRITER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::Pinned, Fact::Busy, Fact::Written]);
    },
};

pub(crate) const MIGRATE: Case = Case {
    name: "migrate_migrate",
    claim: "Of two movers of a page one has it; the page ends up in one place, and both get an \
            outcome for it.",
    source: "mm/migrate.c: isolation takes the page off its list, so that one of two movers has \
             it; without that, lists are corrupted and NR_ISOLATED leaks",
    needs: &[TwoNodes],
    run: |stage| {
        let cast = &[MOVER, MOVER, MOVER, READER, WRITER];
        play(stage, MEMORY, cast, &[Fact::Moved, Fact::Here, Fact::Changed]);
    },
};

pub(crate) const WRITEBACK: Case = Case {
    name: "migrate_writeback",
    claim: "A page on its way to its store is not moved, and one that is moved dirty is written \
            back from where it is then.",
    source: "42cb14b110a5, CVE-2016-3070: how dirtiness moves; mm/migrate.c (7.3: 910): no \
             source is under writeback, or the device reads freed memory",
    needs: &[TwoNodes],
    run: |stage| {
        let cast = &[MOVER, MOVER, SYNCER, WRITER, WRITER];
        play(stage, FILES, cast, &[Fact::Moved, Fact::WrittenBack, Fact::Written]);
    },
};

pub(crate) const TRUNCATE: Case = Case {
    name: "migrate_truncate",
    claim: "A move does not bring back what was truncated, and does not move what is gone.",
    source: "0ef024621417 (5.16): the slot is not looked at again, so the folio lock alone keeps \
             truncation out; mm/truncate.c (7.3: 170)",
    needs: &[TwoNodes],
    run: |stage| {
        let cast = &[MOVER, MOVER, TRUNCATOR, PUNCHER, WRITER, READER];
        play(stage, FILES, cast, &[Fact::Moved, Fact::Cut, Fact::Emptied, Fact::Changed]);
    },
};

pub(crate) const EVICT: Case = Case {
    name: "migrate_evict",
    claim: "A page is moved or evicted, never both, and comes back as it was last written.",
    source: "mm/vmscan.c (7.3: 682): reclaim has the folio lock when it removes a page, as a \
             move has",
    needs: &[TwoNodes, Eviction],
    run: |stage| {
        let cast = &[MOVER, MOVER, EVICTOR, EVICTOR, WRITER, READER];
        play(stage, FILES, cast, &[Fact::Moved, Fact::Evicted, Fact::Filled, Fact::Changed]);
    },
};
