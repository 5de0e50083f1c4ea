//! Variants that some order of the steps gives away, each of which everybody sees at once.

use super::{Variant, caught, survives};

/// Of the cache.
pub const CACHE: &[Variant] = &[
    caught(
        "batch-waits-while-it-fills",
        "scene_batches",
        "Who has many pages locked that are being read in waits for nobody else's.",
    ),
    survives(
        "copy-skips-count",
        "migrate_pin",
        "Before the copy the references are counted.",
        "the freeze decides; the count saves the copy of a pinned page",
    )
    .since("no bug: 060913999d7a counts to save a copy; the freeze decides since 0ef024621417"),
    caught(
        "copy-after-switch",
        "migrate_lookup",
        "The bytes are there before anybody can find the destination.",
    )
    .since("no bug: until 6.10 they came after; a locked destination, not up to date, hid that"),
    caught(
        "count-without-freeze",
        "migrate_pin",
        "The references are counted and taken to none in one step: a count alone is stale at once.",
    )
    .since("resembles ebdf4de5642f: buffers were counted, the lock given back, and then moved"),
    caught(
        "slot-before-freeze",
        "migrate_lookup",
        "The slot changes only while the source is frozen.",
    ),
    caught(
        "thaw-before-store",
        "migrate_lookup",
        "The source is thawed only when the slot names the destination.",
    ),
    caught(
        "identity-left-behind",
        "migrate_lookup",
        "The source has lost its identity before it is thawed.",
    )
    .since("resembles CVE-2023-52490: what a move kept in a new folio was taken for its mapping"),
    caught(
        "thaw-one-too-many",
        "migrate_lookup",
        "The source comes back with the references that are left, and no more.",
    ),
    caught(
        "thaw-one-too-few",
        "migrate_lookup",
        "The source comes back with the references that are left, and no less.",
    ),
    caught("dirty-left-behind", "migrate_writeback", "A dirty page is dirty where it has moved.")
        .since("resembles 42cb14b110a5, CVE-2016-3070: the dirty flag moved after the switch"),
    caught("mark-left-behind", "migrate_writeback", "The exchange of the slot keeps the marks."),
    caught(
        "counter-left-behind",
        "migrate_writeback",
        "A dirty page is counted on the node where it is.",
    )
    .since("resembles the accounting half of 42cb14b110a5"),
    caught(
        "dirty-without-mark",
        "migrate_writeback",
        "What is dirty is marked, so that writeback finds it.",
    ),
    caught("private-left-behind", "scene_private", "The reference of private data moves with it.")
        .since("resembles cb6acd01e2e4: a subpool's private word was lost"),
    caught(
        "private-not-counted",
        "scene_private",
        "Private data holds a reference, and every expectation counts it.",
    )
    .since("resembles 8e47a457321c: iomap had the flag, not the reference; pages never moved"),
    caught(
        "truncate-forgets-private",
        "scene_private",
        "With the page its private data goes, and the reference of that.",
    ),
    caught("migrate-skips-lock", "migrate_write", "A mover holds the folio lock."),
    caught(
        "migrate-skips-recheck",
        "migrate_evict",
        "Whoever got the lock looks whether the folio still is the page.",
    ),
    caught(
        "migrate-skips-unmap",
        "migrate_fault",
        "Nobody can use the page through a table while it is copied.",
    ),
    caught(
        "one-view-unmapped",
        "scene_two_views",
        "A page is unmapped from every view that maps it.",
    )
    .since("resembles 7e09e738afd2, a8bef8ff6ea1, 486cf46f3f9b: an entry that the walk missed"),
    caught("one-page-unmapped", "scene_large_folio", "Every page of a folio is unmapped.")
        .since("resembles 017b1660df89: of those that shared a PMD, one was unmapped"),
    caught("one-page-copied", "scene_large_folio", "Every page of a folio is copied.")
        .since("resembles fc346d0a70a1: of N swap slots, one was replaced"),
    caught("entries-left-behind", "migrate_fault", "Every migration entry is made present again.")
        .since("resembles 486cf46f3f9b, 4b0ece6fa016: entries that the walk back missed stayed"),
    caught(
        "undo-forgets-entries",
        "scene_two_views",
        "Who gives up makes the entries present for the source again.",
    ),
    caught(
        "undo-forgets-list",
        "scene_migrate_migrate_write",
        "Who gives up puts the folio back on its list.",
    ),
    caught("undo-forgets-lock", "scene_migrate_migrate_write", "Who gives up unlocks the source."),
    caught(
        "undo-forgets-destination",
        "scene_migrate_migrate_write",
        "Who gives up frees the destination.",
    ),
    caught("isolation-shared", "migrate_migrate", "One at a time has a folio off its list."),
    caught(
        "restored-writable",
        "scene_copy_on_write",
        "A restored entry allows what it allowed before.",
    )
    .since("96a9c287e25d: the write bit was added when the entry was restored"),
    caught("restored-clean", "scene_memory", "A restored entry says that its page was written.")
        .since("resembles fd35ca3d12cc: the entry's dirty bit was lost when it was unmapped"),
    caught(
        "batch-waits-with-sources",
        "scene_batch_lock_waiter",
        "Nobody waits while holding a folio: a batch has many.",
    )
    .since("fb3592c41a44, 2e6506e1c4ee: a batch waited while it held locks"),
    caught("waiter-holds-reference", "scene_waiters", "Waiters hold no reference.")
        .since("9a1ea439b16b, ffa65753c431: who waited for a page, or its entry, held it"),
    caught(
        "wait-ignores-version",
        "scene_waiters",
        "Who waits for a folio waits for it as it was.",
    ),
    caught(
        "sleeper-unannounced",
        "scene_waiters",
        "A sleeper is announced in the word that it looks at for the last time.",
    ),
    caught("wake-without-lock", "scene_waiters", "Who wakes holds the lock of the queue."),
    caught("wake-forgotten", "write_pin", "Who changes a word that somebody sleeps on wakes him."),
    caught(
        "put-forgets-to-wake",
        "scene_waiters",
        "The last pin to go wakes whoever waits for it.",
    ),
    caught("unlock-forgets-to-wake", "scene_waiters", "Unlocking wakes."),
    caught(
        "free-forgets-to-wake",
        "scene_waiters",
        "Whoever waits for a folio that is freed is woken.",
    ),
    survives(
        "writeback-forgets-to-wake",
        "scene_waiters",
        "The end of a writeback wakes.",
        "the reference of the writeback is put right after, which wakes",
    ),
    caught(
        "freeze-without-count",
        "migrate_pin",
        "A folio is frozen only from exactly the expected references.",
    ),
    caught(
        "get-from-frozen",
        "migrate_lookup",
        "There is no reference to be had to a frozen folio.",
    ),
    caught(
        "lookup-skips-recheck",
        "migrate_lookup",
        "Whoever got a reference looks whether it is to the right page.",
    ),
    caught(
        "frozen-skips-look",
        "scene_guarded_frame",
        "Who meets a frozen folio looks whether the slot still names it, and waits for that one.",
    ),
    caught("entry-skips-recheck", "migrate_fault", "Entry, reference, entry again.")
        .since("resembles e66f17ff7177, c9d398fa2378: a huge page taken without the entry's lock"),
    caught("hint-believed", "migrate_hint", "A hint proves nothing."),
    caught(
        "get-skips-version",
        "migrate_hint",
        "Who pins by a hint pins what stood still since it was looked at.",
    ),
    caught(
        "read-skips-version",
        "migrate_read",
        "An optimistic reader looks at the version again.",
    ),
    caught("read-skips-identity", "evict_read", "An optimistic reader looks whose the folio is."),
    caught(
        "claim-keeps-version",
        "scene_memory",
        "The version grows when a frame is taken into use.",
    ),
    caught(
        "truncate-keeps-version",
        "scene_waiters",
        "The version grows when a page leaves its file.",
    ),
    caught(
        "uptodate-before-bytes",
        "migrate_fill",
        "A folio is up to date when its bytes are there.",
    ),
    caught(
        "insert-skips-look",
        "write_fill",
        "A page gets one folio: the slot is looked at under its lock.",
    ),
    caught("fill-beyond-the-end", "truncate_fill", "What is read in is in the file still."),
    caught(
        "read-beyond-the-reach",
        "scene_truncate_zeros",
        "A read ends where the file is about to end.",
    ),
    caught("reach-left-behind", "scene_truncate_zeros", "The reach shrinks before the store does."),
    caught("length-before-bytes", "scene_append", "The length is shown after the bytes up to it."),
    caught(
        "fault-skips-recheck",
        "truncate_fault",
        "An entry is made for a page that is in its file still.",
    ),
    caught(
        "fault-skips-length",
        "scene_large_truncate",
        "No entry is made behind the end of the file.",
    ),
    caught("fault-skips-look", "fault_fault", "An entry is filled when it is empty."),
    caught("anonymous-skips-look", "scene_memory", "Memory is mapped where none is."),
    caught("entry-without-reference", "fault_fault", "A present entry holds a reference."),
    caught(
        "copy-skips-lock",
        "scene_copy_on_write",
        "An entry changes under the lock of the folio that it names.",
    ),
    caught(
        "copy-keeps-reference",
        "scene_copy_on_write",
        "An entry that names a copy gives its reference to the original back.",
    ),
    caught(
        "zap-passes-migration",
        "scene_memory",
        "A view that ends waits for its migration entries.",
    ),
    caught(
        "zap-skips-lock",
        "scene_memory",
        "An entry is emptied under the lock of the folio that it names.",
    ),
    caught(
        "zap-skips-look",
        "scene_guarded_frame",
        "A view that ends waits for an entry's folio only while the entry names it.",
    ),
    caught("write-skips-lock", "write_write", "A writer holds the folio lock."),
    caught(
        "write-skips-recheck",
        "write_truncate",
        "A writer looks under the lock whether the folio still is the page.",
    ),
    caught(
        "write-skips-entry-recheck",
        "write_truncate",
        "A writer through a view looks under the lock whether the entry still names the folio.",
    ),
    caught(
        "writeback-skips-look",
        "writeback_writeback",
        "What is clean by now is not written again.",
    ),
    caught(
        "writeback-twice",
        "writeback_writeback",
        "A page is on its way to the store once at a time.",
    ),
    caught(
        "writeback-skips-resize",
        "truncate_writeback",
        "How far a page is written is decided under the resize lock.",
    ),
    caught(
        "failed-writeback-cleans",
        "evict_writeback",
        "What did not get to the store is dirty again.",
    ),
    caught("truncate-skips-resize", "truncate_truncate", "One at a time changes the length."),
    caught(
        "truncate-skips-wait",
        "truncate_writeback",
        "Truncation waits for the writeback of what it cuts.",
    ),
    caught("truncate-skips-lock", "migrate_truncate", "Truncation holds the folio lock.")
        .since("no bug: without it the slot's check would be needed; see the four forms"),
    caught(
        "truncate-skips-recheck",
        "truncate_fill",
        "Truncation looks under the lock whether the folio still is the page.",
    ),
    caught(
        "truncate-skips-unmap",
        "scene_large_truncate",
        "No entry names a page that was cut off.",
    ),
    caught("truncate-stays-dirty", "write_truncate", "What is cut off is not dirty."),
    caught(
        "truncate-ignores-writeback",
        "scene_retire",
        "A page on its way to the store stays in its file.",
    ),
    caught(
        "truncate-takes-the-pins-reference",
        "truncate_pin",
        "Who has a pin is left with an orphan.",
    ),
    caught("evict-skips-lock", "write_evict", "Eviction holds the folio lock."),
    caught("evict-drops-dirty", "write_evict", "What is dirty is not evicted."),
    caught(
        "writeback-unprotected",
        "evict_writeback",
        "A page on its way to the store stays as it is (its flag says so, and a reference).",
    ),
    caught("evict-skips-unmap", "evict_fault", "What is evicted is unmapped."),
    caught(
        "evict-forgets-list",
        "evict_pin",
        "What is not evicted after all goes back on its list.",
    ),
];

/// Of the array.
pub const ARRAY: &[Variant] = &[
    caught(
        "place-check",
        "xarray/load_vs_shrink",
        "A node is looked at whether it serves the index.",
    ),
    caught(
        "generation-recheck",
        "xarray/load_vs_shrink",
        "What was loaded from a node counts if the node is still the one that was meant.",
    ),
    caught(
        "generation-before-emptying",
        "xarray/load_vs_shrink",
        "A node's generation changes before its slots are emptied.",
    ),
    caught(
        "linked-with-the-truth",
        "xarray/load_vs_split",
        "A new node is linked when it says what the slot said before.",
    ),
    caught(
        "sibling-covers",
        "xarray/load_vs_split",
        "A sibling counts if the entry that it points to covers the index.",
    ),
    caught(
        "reshape-generation",
        "xarray/load_vs_split",
        "A generation changes when entries change their size.",
    ),
    caught(
        "fresh-siblings-first",
        "xarray/load_vs_store",
        "A new large entry's siblings are there before it is.",
    ),
];
