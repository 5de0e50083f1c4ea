//! Pages are cut off, or a hole is punched, and meanwhile …

use super::{FILES, play};
use crate::Case;
use crate::actors::{
    EVICTOR, GRABBER, LOADER, PINNER, PUNCHER, READER, STORER, SYNCER, TRUNCATOR, WRITER,
};
use crate::subject::Need::{Eviction, Pins, Views};
use crate::tally::Fact;

pub(crate) const LOOKUP: Case = Case {
    name: "truncate_lookup",
    claim: "A lookup that ends after a truncation does not find what was cut off, nor another page \
            in its place.",
    source: "mm/filemap.c (7.3: 1899, 1970): after the reference the slot is looked at again, \
             after the lock the mapping",
    needs: &[Pins],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, GRABBER, GRABBER, WRITER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Pinned, Fact::Emptied, Fact::Beyond]);
    },
};

pub(crate) const READ: Case = Case {
    name: "truncate_read",
    claim: "A read beside a truncation sees what was there, zeros, or the end of the file, and \
            afterwards never again what was there.",
    source: "mm/filemap.c: an entry found without a lock may be stale, and its frame may have \
             gone to another file",
    needs: &[],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, READER, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Read, Fact::Emptied, Fact::Changed]);
    },
};

pub(crate) const FILL: Case = Case {
    name: "truncate_fill",
    claim: "A page that was being read in when it was cut off is not there afterwards.",
    source: "mm/filemap.c (7.3: 2204): who waited for a page to be read in looks whether it \
             still is in the file",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, EVICTOR, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Filled, Fact::Evicted, Fact::Emptied]);
    },
};

pub(crate) const FAULT: Case = Case {
    name: "truncate_fault",
    claim: "Beyond the end of its file a view has no pages: an access there fails, and none is left \
            mapped.",
    source: "mm/filemap.c (7.3: 3768): a fault looks at the mapping again under the lock; \
             mmap(2) on SIGBUS",
    needs: &[Views],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, LOADER, STORER, WRITER];
        let reach = &[Fact::Cut, Fact::Viewed, Fact::Beyond, Fact::Emptied, Fact::Changed];
        play(stage, FILES, cast, reach);
    },
};

pub(crate) const PIN: Case = Case {
    name: "truncate_pin",
    claim: "Truncation waits for no pin: whoever has one is left with an orphan, whose bytes stand \
            still.",
    source: "mm/truncate.c (7.3: 172): truncation takes a page out whoever holds it, and the \
             last reference frees it",
    needs: &[Pins],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, PINNER, PINNER, WRITER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Pinned, Fact::Orphaned, Fact::Written]);
    },
};

pub(crate) const WRITEBACK: Case = Case {
    name: "truncate_writeback",
    claim: "Writeback does not bring back, in the store, what was cut off.",
    source: "mm/page-writeback.c (7.3: 2377): writeback looks at the mapping again under the \
             lock; fb3592c41a44: a batch that waited while it held others dead-locked with \
             writeback",
    needs: &[],
    run: |stage| {
        // What was cut off is read in again: then it shows what the store has.
        let cast = &[TRUNCATOR, PUNCHER, SYNCER, WRITER, READER, READER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::WrittenBack, Fact::Filled, Fact::Emptied]);
    },
};

pub(crate) const TRUNCATE: Case = Case {
    name: "truncate_truncate",
    claim: "Truncations of one file come one after the other, and take each page out once.",
    source: "mm/truncate.c (7.3: 172, 639, 722): whoever got the folio lock looks whether \
             somebody else took the page out",
    needs: &[],
    run: |stage| {
        let cast = &[TRUNCATOR, TRUNCATOR, PUNCHER, WRITER, READER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Written, Fact::Emptied, Fact::Changed]);
    },
};

pub(crate) const EVICT: Case = Case {
    name: "truncate_evict",
    claim: "A page is truncated or evicted; what comes back from the store is not what was cut off.",
    source: "mm/vmscan.c (7.3: 682), mm/truncate.c (7.3: 170): both need the folio lock",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[TRUNCATOR, PUNCHER, EVICTOR, EVICTOR, WRITER, READER];
        play(stage, FILES, cast, &[Fact::Cut, Fact::Evicted, Fact::Filled, Fact::Emptied]);
    },
};
