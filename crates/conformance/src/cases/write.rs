//! A page is written in place, and meanwhile …

use super::{FILES, MEMORY, play};
use crate::Case;
use crate::actors::{
    EVICTOR, GRABBER, LOADER, PINNER, PUNCHER, READER, STORER, SYNCER, TRUNCATOR, WRITER,
};
use crate::stage::Scene;
use crate::subject::Need::{Eviction, Pins, Views};
use crate::tally::Fact;

pub(crate) const LOOKUP: Case = Case {
    name: "write_lookup",
    claim: "Whoever gets a reference to a page while it is written sees the write whole or not at \
            all, and no write until the reference is given back.",
    source: "include/linux/page_ref.h (7.3: 284): a frozen folio gives no references, so its \
             holder is alone",
    needs: &[Pins],
    run: |stage| {
        let cast = &[WRITER, WRITER, GRABBER, GRABBER];
        play(stage, MEMORY, cast, &[Fact::Written, Fact::Pinned, Fact::Changed]);
    },
};

pub(crate) const READ: Case = Case {
    name: "write_read",
    claim: "A read of a page sees one write, whole, and none older than one that had returned.",
    source: "POSIX, XSH 2.9.7: reads and writes of a file are atomic with respect to each other; \
             here page by page",
    needs: &[Views],
    run: |stage| {
        let cast = &[WRITER, STORER, READER, READER, LOADER];
        play(stage, MEMORY, cast, &[Fact::Written, Fact::Read, Fact::Viewed, Fact::Changed]);
    },
};

pub(crate) const WRITE: Case = Case {
    name: "write_write",
    claim: "Of two writers of one page neither undoes the other's bytes.",
    source: "mm/filemap.c, generic_perform_write: the folio lock is held over the bytes of a \
             write",
    needs: &[Views],
    run: |stage| {
        // Each writer has one half of every page.
        let cast = &[WRITER, STORER, READER];
        let reach = &[Fact::Written, Fact::Viewed, Fact::Changed];
        stage.play(Scene { files: MEMORY, parts: 2, cast, reach });
    },
};

pub(crate) const FILL: Case = Case {
    name: "write_fill",
    claim: "A write to a page that is being read in is not overwritten by what the store has.",
    source: "mm/migrate.c and mm/filemap.c: what the store has overwrites newer bytes when a \
             page is read in that somebody else already shows",
    needs: &[Eviction],
    run: |stage| {
        // Halves: a write of a part of a page has to read in the rest.
        let cast = &[WRITER, WRITER, READER, EVICTOR, EVICTOR];
        let reach = &[Fact::Written, Fact::Filled, Fact::Evicted, Fact::Changed];
        stage.play(Scene { files: FILES, parts: 2, cast, reach });
    },
};

pub(crate) const FAULT: Case = Case {
    name: "write_fault",
    claim: "A page that is mapped while it is written is mapped with its newest bytes, in every \
            view.",
    source: "mm/filemap.c (7.3: 3622): a fault that waited for the lock looks at the mapping \
             again before it maps the page",
    needs: &[Views, Eviction],
    run: |stage| {
        let cast = &[WRITER, STORER, LOADER, LOADER, EVICTOR];
        let reach = &[Fact::Written, Fact::Viewed, Fact::Evicted, Fact::Changed];
        play(stage, FILES, cast, reach);
    },
};

pub(crate) const PIN: Case = Case {
    name: "write_pin",
    claim: "A page is not written while it is pinned; the write waits, and is not lost.",
    source: "088b8aa537c2: a pinned page was copied on write, and the device and the process saw \
             two pages",
    needs: &[Pins, Views],
    run: |stage| {
        let cast = &[WRITER, STORER, PINNER, PINNER];
        play(stage, MEMORY, cast, &[Fact::Written, Fact::Pinned, Fact::Changed]);
    },
};

pub(crate) const WRITEBACK: Case = Case {
    name: "write_writeback",
    claim: "Bytes on their way to the store stand still, and what is written after them is written \
            back, too.",
    source: "mm/page-writeback.c, folio_wait_stable and folio_clear_dirty_for_io: a write beside \
             a writeback waits, or makes the page dirty again",
    needs: &[Views],
    run: |stage| {
        let cast = &[WRITER, STORER, SYNCER, SYNCER];
        play(stage, FILES, cast, &[Fact::Written, Fact::Synced, Fact::WrittenBack]);
    },
};

pub(crate) const TRUNCATE: Case = Case {
    name: "write_truncate",
    claim: "A write and a truncation of a page come one after the other; what was cut off does not \
            come back when the file is made longer by a write.",
    source: "mm/filemap.c (7.3: 1970): a writer that waited for the lock looks whether the page \
             still is in the file, or it writes an orphan",
    needs: &[Views],
    run: |stage| {
        let cast = &[WRITER, STORER, TRUNCATOR, PUNCHER, READER];
        play(stage, FILES, cast, &[Fact::Written, Fact::Cut, Fact::Emptied, Fact::Changed]);
    },
};

pub(crate) const EVICT: Case = Case {
    name: "write_evict",
    claim: "A page that was written is not dropped before it is in the store.",
    source: "fd35ca3d12cc: a dirty bit that was not carried along lost data on reclaim; \
             mm/rmap.c (7.3: 2639)",
    needs: &[Views, Eviction],
    run: |stage| {
        let cast = &[WRITER, STORER, EVICTOR, EVICTOR, READER];
        let reach = &[Fact::Written, Fact::Evicted, Fact::WrittenBack, Fact::Changed];
        play(stage, FILES, cast, reach);
    },
};
