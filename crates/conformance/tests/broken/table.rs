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

/// All of them. `docs/broken-variants-conformance.md` says what was seen.
pub const TABLE: &[Row] = &[
    ("copy-after-switch", "migrate_read", BYTES),
    ("dirty-left-behind", "migrate_writeback", &["miscounted"]),
    ("dirty-without-mark", "write_writeback", &["not reached"]),
    ("entries-left-behind", "migrate_fault", &["hung"]),
    (
        "entry-without-reference",
        "migrate_fault",
        &[
            "refused",
            "lost write",
            "foreign page",
            "stale page",
            "zeroed page",
            "stuck page",
            "hung",
            "miscounted",
        ],
    ),
    ("evict-drops-dirty", "write_evict", BYTES),
    ("evict-forgets-list", "evict_evict", &["stuck page"]),
    ("evict-skips-unmap", "evict_fault", BYTES),
    ("fault-skips-length", "truncate_fault", BYTES),
    ("fault-skips-look", "evict_fault", &["miscounted"]),
    ("fault-skips-recheck", "truncate_fault", BYTES),
    ("fill-beyond-the-end", "truncate_fill", BYTES),
    ("freeze-without-count", "migrate_pin", &["moved under a pin"]),
    ("hint-believed", "migrate_lookup", BYTES),
    ("insert-skips-look", "evict_fill", BYTES),
    ("isolation-shared", "migrate_migrate", &["miscounted"]),
    ("mark-left-behind", "migrate_writeback", &["miscounted"]),
    ("migrate-skips-unmap", "migrate_fault", BYTES),
    ("one-page-copied", "migrate_read", BYTES),
    ("one-page-unmapped", "migrate_fault", BYTES),
    ("one-view-unmapped", "migrate_fault", BYTES),
    ("put-forgets-to-wake", "migrate_pin", &["hung"]),
    ("reach-left-behind", "migrate_truncate", &["refused"]),
    ("slot-before-freeze", "migrate_pin", &["moved under a pin"]),
    ("thaw-one-too-few", "migrate_migrate", &["miscounted"]),
    ("thaw-one-too-many", "migrate_migrate", &["miscounted"]),
    ("truncate-skips-lock", "migrate_truncate", &["miscounted"]),
    ("truncate-skips-resize", "truncate_writeback", &["refused"]),
    ("truncate-skips-unmap", "truncate_fault", BYTES),
    ("truncate-skips-wait", "truncate_fill", BYTES),
    ("truncate-stays-dirty", "truncate_writeback", &["miscounted"]),
    ("truncate-takes-the-pins-reference", "truncate_pin", &["changed under a pin"]),
    ("undo-forgets-destination", "migrate_pin", &["miscounted"]),
    ("undo-forgets-entries", "migrate_pin", &["hung"]),
    ("undo-forgets-list", "migrate_pin", &["hung"]),
    ("undo-forgets-lock", "migrate_pin", &["hung"]),
    ("uptodate-before-bytes", "evict_fill", BYTES),
    ("waiter-holds-reference", "migrate_fault", &["hung"]),
    ("write-skips-lock", "migrate_write", BYTES),
    ("writeback-unprotected", "write_writeback", &["changed while written back"]),
];
