//! Variants that only a processor gives away which reorders: one ordering relaxed, or one fence
//! missing.

use super::{Variant, caught, survives};

/// Of the cache.
pub const CACHE: &[Variant] = &[
    caught(
        "load-relaxed",
        "write_read",
        "The word is loaded with Acquire: identity and bytes as its maker left them.",
    ),
    caught(
        "read-without-fence",
        "write_read",
        "Acquire between the bytes and the second look at the version.",
    ),
    caught(
        "freeze-relaxed",
        "write_pin",
        "Freezing is Acquire: the holders' reads come before the freezer's writes.",
    ),
    caught("freeze-without-fence", "write_read", "Release between the new version and the bytes."),
    caught(
        "unfreeze-relaxed",
        "write_pin",
        "Thawing is Release: who gets a reference sees what was done.",
    ),
    caught(
        "claim-without-fence",
        "scene_memory",
        "Release between a frame's new version and its next owner's bytes.",
    ),
    survives(
        "bump-without-fence",
        "truncate_lookup",
        "Release between the new version and what follows, at truncation.",
        "an orphan's bytes never change, and whoever still sees its identity may read them",
    ),
    caught(
        "try-get-relaxed",
        "evict_lookup",
        "A reference is taken with Acquire: identity and bytes as they were left.",
    ),
    survives(
        "get-without-fence",
        "scene_hint_ahead",
        "Acquire between the identity and the exchange that pins by a hint.",
        "the exchange is of the newest word, whatever was read before",
    ),
    survives(
        "get-readable-relaxed",
        "scene_hint_ahead",
        "Pinning by a hint is Acquire.",
        "the word was loaded with Acquire, and has the version that it had then",
    ),
    caught(
        "put-relaxed",
        "write_pin",
        "A reference is given back with Release: reads come before the next owner's writes.",
    ),
    caught("last-put-without-fence", "truncate_pin", "The last one sees what all the others did."),
    caught("lock-relaxed", "fault_fault", "Locking is Acquire."),
    caught("unlock-relaxed", "fault_fault", "Unlocking is Release."),
    survives(
        "sleep-relaxed",
        "scene_waiters",
        "A sleeper goes on from what it sees.",
        "what is expected is computed from a word loaded with Acquire",
    ),
    caught(
        "uptodate-relaxed",
        "migrate_fill",
        "UPTODATE is set with Release: who sees it sees the bytes.",
    ),
    survives(
        "end-writeback-relaxed",
        "write_writeback",
        "The store's reads come before the next writer's stores.",
        "the reference of the writeback is put with Release",
    ),
    survives(
        "isolate-relaxed",
        "evict_pin",
        "Isolating is Acquire, since it makes a holder.",
        "whoever has isolated a folio takes its lock next, with Acquire",
    ),
    survives(
        "inherit-relaxed",
        "scene_hint_ahead",
        "The destination is up to date with Release: who sees that sees the copy.",
        "the fence of the freeze lies between the copy and it",
    ),
    survives(
        "entry-load-relaxed",
        "scene_view_read",
        "An entry is loaded with Acquire: the folio is as its mapper left it.",
        "the fences of the version order it, and the reference",
    ),
    survives(
        "entry-fill-relaxed",
        "scene_view_read",
        "An entry is filled with Release.",
        "the fences of the version order it, and the reference",
    ),
    survives(
        "entry-exchange-relaxed",
        "scene_view_read",
        "An entry is exchanged with Release, and Acquire.",
        "the fences of the version order it, and the folio lock",
    ),
    survives(
        "length-relaxed",
        "scene_append",
        "The length is stored with Release: who sees it sees the bytes.",
        "the fences of the version order it",
    ),
    survives(
        "length-load-relaxed",
        "scene_append",
        "The length is loaded with Acquire.",
        "the fences of the version order it",
    ),
    caught(
        "stored-relaxed",
        "scene_truncate_zeros",
        "What the store has is stored with Release: who expects no more sees the reach.",
    ),
    caught(
        "stored-load-relaxed",
        "scene_truncate_zeros",
        "What the store has is loaded with Acquire.",
    ),
];

/// Of the array.
pub const ARRAY: &[Variant] = &[
    caught(
        "slot-release",
        "xarray/load_vs_store",
        "A slot is stored with Release: who finds an entry sees what it stands for.",
    ),
    caught("generation-release", "xarray/load_vs_shrink", "A generation is stored with Release."),
];
