//! A page is evicted, and meanwhile …

use super::{FILES, play};
use crate::Case;
use crate::actors::{
    EVICTOR, GRABBER, HOLDING_EVICTOR, LOADER, PINNER, READER, STORER, SYNCER, WRITER,
};
use crate::subject::Need::{Eviction, Pins, Views};
use crate::tally::Fact;

pub(crate) const LOOKUP: Case = Case {
    name: "evict_lookup",
    claim: "A lookup gets a page that stays, or none: never one that is being dropped.",
    source: "mm/filemap.c (7.3: 1899): folio_try_get fails on 0, or a folio that is being freed \
             comes back to life",
    needs: &[Eviction, Pins],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, GRABBER, GRABBER, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::Pinned, Fact::Filled, Fact::Changed]);
    },
};

pub(crate) const READ: Case = Case {
    name: "evict_read",
    claim: "A read without a reference does not take a frame that was given away for its page.",
    source: "mm/filemap.c: without the second look a reader takes a frame that was freed, and \
             reused by another file, for its page",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, READER, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::Read, Fact::Filled, Fact::Changed]);
    },
};

pub(crate) const FILL: Case = Case {
    name: "evict_fill",
    claim: "Of several who read a page in at once one fills it, and it is not evicted before it has \
            its bytes; they are those last written back.",
    source: "mm/filemap.c: of several who miss one inserts the page, and the others wait for its \
             lock",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, READER, READER, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::Filled, Fact::Changed]);
    },
};

pub(crate) const FAULT: Case = Case {
    name: "evict_fault",
    claim: "An evicted page is in no view; whoever uses it there has it read in again.",
    source: "7e09e738afd2, 486cf46f3f9b: the reverse map must find every entry, or one is left \
             behind that names a freed page",
    needs: &[Eviction, Views],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, LOADER, LOADER, STORER];
        let reach = &[Fact::Evicted, Fact::Viewed, Fact::Filled, Fact::Changed];
        play(stage, FILES, cast, reach);
    },
};

pub(crate) const PIN: Case = Case {
    name: "evict_pin",
    claim: "A pinned page is not evicted, whoever asks, not even its holder.",
    source: "include/linux/page_ref.h (7.3: 284), mm/vmscan.c: a folio with more references than \
             expected is not frozen",
    needs: &[Eviction, Pins],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, PINNER, HOLDING_EVICTOR, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::Pinned, Fact::Kept, Fact::Written]);
    },
};

pub(crate) const WRITEBACK: Case = Case {
    name: "evict_writeback",
    claim: "A page is evicted after its writeback, not during it, and what a failed eviction leaves \
            dirty is written back later.",
    source: "mm/vmscan.c, shrink_folio_list passes over pages under writeback: a device must not \
             read freed memory",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, SYNCER, WRITER, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::WrittenBack, Fact::Synced, Fact::Written]);
    },
};

pub(crate) const EVICT: Case = Case {
    name: "evict_evict",
    claim: "A page is evicted once, whoever else tries, and freed once.",
    source: "mm/vmscan.c, folio_isolate_lru: one of two gets the page off its list; freed twice, \
             it corrupts the list",
    needs: &[Eviction],
    run: |stage| {
        let cast = &[EVICTOR, EVICTOR, EVICTOR, READER, WRITER];
        play(stage, FILES, cast, &[Fact::Evicted, Fact::Filled, Fact::Changed]);
    },
};
