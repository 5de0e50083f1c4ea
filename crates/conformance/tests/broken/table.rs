//! Which case catches which variant, and what it calls it.

/// A protection that is taken away, a case that then fails, and the names that its failure may
/// have.
pub type Row = (&'static str, &'static str, &'static [&'static str]);

/// Bytes that are not those of the last write: which ones, chance decides.
const BYTES: &[&str] = &[
    "lost write",
    "stale page",
    "foreign page",
    "zeroed page",
    "torn page",
    "garbled page",
    "resurrected page",
];

/// Such bytes, or a page in two places, which the counters and who waits for it may show first.
const PAGES: &[&str] = &[
    "lost write",
    "stale page",
    "foreign page",
    "zeroed page",
    "torn page",
    "garbled page",
    "resurrected page",
    "stuck page",
    "miscounted",
    "refused",
    "hung",
];

/// A page that somebody holds.
const HELD: &[&str] = &["moved under a pin", "changed under a pin"];

/// A file that is longer than its store, or the other way round.
const LENGTHS: &[&str] = &["refused", "resurrected page", "zeroed page"];

/// All of them. `docs/broken-variants-conformance.md` says what was seen.
pub const TABLE: &[Row] = &[
    ("copy-after-switch", "migrate_lookup", PAGES),
    ("counter-left-behind", "migrate_writeback", &["miscounted"]),
    ("dirty-left-behind", "migrate_writeback", &["miscounted"]),
    ("dirty-without-mark", "write_writeback", &["not reached"]),
    ("entries-left-behind", "migrate_fault", &["hung"]),
    ("entry-without-reference", "migrate_fault", PAGES),
    ("evict-drops-dirty", "write_evict", BYTES),
    ("evict-forgets-list", "evict_evict", &["stuck page"]),
    ("evict-skips-unmap", "evict_fault", PAGES),
    ("fault-skips-length", "truncate_fault", BYTES),
    ("fault-skips-look", "evict_fault", PAGES),
    ("fault-skips-recheck", "truncate_fault", PAGES),
    ("fill-beyond-the-end", "truncate_fill", BYTES),
    ("freeze-without-count", "migrate_pin", HELD),
    ("hint-believed", "migrate_lookup", BYTES),
    ("insert-skips-look", "evict_fill", PAGES),
    ("isolation-shared", "migrate_migrate", &["miscounted"]),
    ("mark-left-behind", "migrate_writeback", &["miscounted"]),
    ("migrate-skips-unmap", "migrate_fault", PAGES),
    ("one-page-copied", "migrate_read", BYTES),
    ("one-page-unmapped", "migrate_fault", PAGES),
    ("one-view-unmapped", "migrate_fault", PAGES),
    ("put-forgets-to-wake", "migrate_pin", &["hung"]),
    ("reach-left-behind", "migrate_truncate", LENGTHS),
    ("slot-before-freeze", "migrate_pin", HELD),
    ("thaw-one-too-few", "migrate_migrate", &["miscounted"]),
    ("thaw-one-too-many", "migrate_migrate", &["miscounted"]),
    ("truncate-skips-lock", "migrate_truncate", PAGES),
    ("truncate-skips-resize", "truncate_writeback", LENGTHS),
    ("truncate-skips-unmap", "truncate_fault", PAGES),
    ("truncate-skips-wait", "truncate_fill", BYTES),
    ("truncate-stays-dirty", "truncate_writeback", &["miscounted"]),
    ("truncate-takes-the-pins-reference", "truncate_pin", HELD),
    ("undo-forgets-destination", "migrate_pin", &["miscounted"]),
    ("undo-forgets-entries", "migrate_pin", &["hung"]),
    ("undo-forgets-list", "migrate_pin", &["hung"]),
    ("undo-forgets-lock", "migrate_pin", &["hung"]),
    ("uptodate-before-bytes", "evict_fill", BYTES),
    ("waiter-holds-reference", "migrate_fault", &["hung"]),
    ("write-skips-lock", "migrate_write", BYTES),
    ("writeback-unprotected", "write_writeback", &["changed while written back"]),
];
