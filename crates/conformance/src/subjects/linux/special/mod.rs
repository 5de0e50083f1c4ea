//! The special cases that the historical bugs teach: one question each, asked the same way every
//! time, so that a kernel that answers wrongly once answers wrongly always.

mod bytes;
mod counts;
mod flight;
mod holds;
mod swap;
mod text;

use std::sync::Arc;

use super::Settings;
use super::ground::{Ground, eventually};
use super::kind::{Kind, State};
use super::machine::{Fs, Machine, Stop};
use super::movers::{all, moved_to};
use super::needs::Need;
use super::play::Play;
use crate::subject::Counters;
use crate::verdict::Wrong;

/// A case of its own.
#[derive(Debug)]
pub(crate) struct Special {
    pub name: &'static str,
    pub kind: Kind,
    pub claim: &'static str,
    pub source: &'static str,
    /// What it cannot be played without, beside what moves pages and what its kind of memory needs.
    pub needs: &'static [Need],
    pub run: fn(&Arc<Play>, &Settings) -> Result<(), Stop>,
}

const EXT4: Kind = Kind::File(Fs::Ext4, State::Dirty);
const XFS: Kind = Kind::File(Fs::Xfs, State::Dirty);
const SOFT_DIRTY: Need = Need::Kernel("marks for written pages (MEM_SOFT_DIRTY)");
const CGROUP: Need = Need::Kernel("memory control in cgroups (version 2)");

macro_rules! specials {
    ($(
        $name:literal on $kind:expr $(, with $need:expr)*;
        $run:path, $claim:literal, $source:literal;
    )*) => {
        /// All of them.
        pub(crate) const ALL: &[Special] = &[$(Special {
            name: $name, kind: $kind, claim: $claim, source: $source, needs: &[$($need),*], run: $run,
        }),*];
    };
}

specials! {
    "moved-ext4" on EXT4; bytes::moved_first,
        "What a call writes to a page that moved while it was clean reaches the disk (ext4).",
        "mm/migrate.c, __buffer_migrate_folio: the buffers point to the page, and it to them";
    "moved-xfs" on XFS; bytes::moved_first,
        "What a call writes to a page that moved while it was clean reaches the disk (xfs).",
        "fs/iomap/buffered-io.c: what a page knows of its blocks moves with it";
    "hot-anon" on Kind::Anon; bytes::hot,
        "A store is seen by the load that follows it, on a page that never rests from moving.",
        "60bae7370896: the TLB was flushed after the page table was given free";
    "hot-memfd" on Kind::Memfd; bytes::hot,
        "A store to a shared page is seen by the load that follows it, wherever the page is.",
        "mm/migrate.c: folio_mapped() must be 0 before the copy, or the CPU's stores are lost";
    "hot-ext4" on EXT4; bytes::hot,
        "A store to a file's page is seen by the load that follows it, while the page moves.",
        "2013, 'fix TLB flush race between migration, and change_protection_range'";
    "hot-thp" on Kind::Thp; bytes::hot,
        "A store to a huge page is seen by the load that follows it, wherever the huge page is.",
        "mm/huge_memory.c, set_pmd_migration_entry: the entry is flushed before the copy";
    "stored-ext4" on EXT4; bytes::stored,
        "What was stored before a page moved reaches the disk after it has moved (ext4).",
        "mm/rmap.c (7.3: 2639): the dirty bit of the page table is folded into the folio";
    "stored-xfs" on XFS; bytes::stored,
        "What was stored before a page moved reaches the disk after it has moved (xfs).",
        "fd35ca3d12cc: the dirty bit was not copied, and reclaim dropped the page";
    "written-ext4" on EXT4; bytes::written,
        "What was written by a call before a page moved is found by the writeback after (ext4).",
        "mm/migrate.c (7.3: 649): the dirty flag and the mark in the tree move with the page";
    "written-xfs" on XFS; bytes::written,
        "What was written by a call before a page moved is found by the writeback after (xfs).",
        "42cb14b110a5, CVE-2016-3070: a dirty page was moved by other machinery";
    "read-only-anon" on Kind::Anon; bytes::read_only,
        "Anonymous memory that may only be read takes no store after it has moved.",
        "96a9c287e25d, 'fix read-only page got writable when recover pte'";
    "read-only-memfd" on Kind::Memfd; bytes::read_only,
        "Shared memory that may only be read takes no store after it has moved.",
        "mm/migrate.c, remove_migration_pte: permissions come from the mapping as it is now";
    "soft-dirty" on Kind::Anon, with Need::Root, with SOFT_DIRTY; bytes::soft_dirty,
        "A page that was written since the marks were cleared is marked so after it has moved.",
        "mm/rmap.c, try_to_migrate_one: soft-dirty is carried by the migration entry";
    "pipe-anon" on Kind::Anon; holds::piped,
        "Anonymous memory in a pipe stays where it is, and the pipe has what is stored later.",
        "mm/migrate.c (7.3: 592): the count is the only check that an anonymous page has";
    "pipe-memfd" on Kind::Memfd; holds::piped,
        "Shared memory in a pipe stays where it is, and the pipe has what is stored later.",
        "0ef024621417: a freeze that expects the right count, and no other check";
    "pipe-ext4" on EXT4; holds::piped,
        "A file's page in a pipe stays where it is, and the pipe has what is stored later.",
        "8e47a457321c: the expected count was off by one, the other way round";
    "ring-anon" on Kind::Anon, with Need::Kernel("io_uring"); holds::ring,
        "Memory that an io_uring has registered stays where it is until the ring is closed.",
        "088b8aa537c2: a page pinned by GUP-fast was taken for one that is not";
    "fork-anon" on Kind::Anon; holds::forked,
        "A page that parent and child share moves once for both, and each then writes its own.",
        "mm/memory.c (7.3: 1029): a fork makes the entries of both read-only";
    "fork-in-flight" on Kind::Anon; flight::forked,
        "Parent and child each have their own, whatever was on its way when they parted.",
        "4a705fef9862; mm/memory.c, copy_nonpresent_pte: a fork takes the write permission away";
    "fork-thp" on Kind::Thp; holds::forked,
        "A huge page that parent and child share moves once for both, and each writes its own.",
        "4a705fef9862: a fork did not know migration entries of huge pages";
    "read-in-flight" on EXT4; flight::read,
        "A read finds the page that its slot has, at every moment of a move, and no other.",
        "mm/filemap.c, filemap_get_read_batch: the slot is looked at again with a reference held";
    "read-in-flight-memfd" on Kind::Memfd; flight::read,
        "A read of shared memory finds the page that its slot has, at every moment of a move.",
        "mm/filemap.c, mapping_get_entry: the slot is looked at again with a reference held";
    "twins-ksm" on Kind::Ksm; holds::twins,
        "Twins that KSM has merged share a frame before and after a move, and part when written.",
        "4b0ece6fa016: the wrong index in remove_migration_pte left one of them behind";
    "thp-whole" on Kind::Thp; holds::still_huge,
        "A huge page is one after it has moved, and each of its pages has its own bytes.",
        "f8f931bba0f9, be6e843fc51a: huge pages on their way between lists and tables";
    "memfd-huge-whole" on Kind::MemfdHuge; holds::still_huge,
        "A huge page of shared memory is found whole in its file after it has moved.",
        "60cf233b585c: it was stored N times, and its siblings became entries";
    "accounts-anon" on Kind::Anon; counts::accounts,
        "Anonymous pages are counted on the node that they are on, and nowhere once they are gone.",
        "mm/migrate.c: the counters of both nodes change with the page";
    "accounts-memfd" on Kind::Memfd; counts::accounts,
        "Shared pages are counted on the node that they are on, and nowhere once they are gone.",
        "mm/migrate.c, __folio_migrate_mapping: NR_FILE_PAGES and NR_SHMEM, both, of both nodes";
    "accounts-ext4" on EXT4; counts::accounts,
        "Dirty pages of files are counted on the node that they are on, and nowhere once gone.",
        "mm/migrate.c: NR_FILE_DIRTY and NR_ZONE_WRITE_PENDING; a drift throttles writers";
    "accounts-mlocked" on Kind::Mlocked; counts::accounts,
        "Locked pages are counted as locked on the node that they are on, and nowhere once gone.",
        "mm/migrate.c, remove_migration_pte: the new page is locked where the old one was";
    "charges-anon" on Kind::Anon, with Need::Disruptive, with CGROUP; counts::charges,
        "A cgroup is charged for its anonymous pages as before when they have moved.",
        "mm/memcontrol.c, mem_cgroup_migrate: the new page is charged to whom the old one was";
    "charges-ext4" on EXT4, with Need::Disruptive, with CGROUP; counts::charges,
        "A cgroup is charged for its pages of files as before when they have moved.",
        "mm/memcontrol.c, mem_cgroup_migrate: the new page is charged to whom the old one was";
    "leaks" on Kind::Anon; counts::leaks,
        "As much memory is free after many moves as before them.",
        "mm/migrate.c, migrate_folio_done: the old page loses its last reference";
    "leaks-memfd" on Kind::Memfd; counts::leaks,
        "As much memory is free after many moves of shared pages as before them.",
        "mm/migrate.c: the cache's references go to the new page, and the old one is freed";
    "swap-shared" on Kind::SwapCache; swap::shared,
        "Who shares a place in swap gets the page that was read from there and then moved.",
        "fc346d0a70a1: all slots of the swap cache are replaced, each at the page's own index";
    "swap-stored" on Kind::SwapCache; swap::stored,
        "What was stored to a page that is in swap, too, outlives a move and being swapped out.",
        "mm/rmap.c, try_to_migrate_one: the dirty bit of the page table is folded into the folio";
    "text" on Kind::AnonShared, with Need::Root, with Need::Disk; text::run,
        "A program runs on while the pages of its text are moved.",
        "LTP migrate_pages03, which found 8e47a457321c by moving its own text by accident";
}

/// Runs one.
pub(crate) fn run(
    special: &Special,
    machine: Machine,
    settings: &Settings,
    facts: &mut Vec<(&'static str, u64)>,
) -> Result<(), Vec<Stop>> {
    let play = || -> Result<_, Stop> {
        let ground = Ground::new(&machine, special.kind, settings.seed)?;
        Ok(Arc::new(Play::new(machine, ground, settings.seed)))
    };
    let play = play().map_err(|stop| vec![stop])?;
    let done = (special.run)(&play, settings);
    if done.is_err() {
        // A kernel that gave the wrong answer may hang when it cleans up. The verdict goes first;
        // whoever has started the case puts back what it changed.
        std::mem::forget(play.clone());
    }
    let none = Counters::default();
    *facts = play.tally.counts(&none, &none);
    done.map_err(|stop| vec![stop])
}

/// Moves all pages to a node; every one must go, for nobody uses them.
fn all_to(play: &Play, node: usize) -> Result<(), Stop> {
    let addresses = all(play);
    let (mut stayed, mut failed) = (Vec::new(), None);
    let went = eventually(settle(), || match moved_to(play, &addresses, node) {
        Ok(left) => {
            stayed = left;
            stayed.is_empty()
        }
        Err(stop) => {
            failed = Some(stop);
            true
        }
    });
    match (failed, went) {
        (Some(stop), _) => Err(stop),
        (None, true) => Ok(()),
        (None, false) => {
            let error = stayed.first().map_or(0, |(_, error)| *error);
            let name = std::io::Error::from_raw_os_error(error);
            let detail = format!("{} pages refuse node {node}: {name}", stayed.len());
            Err(Stop::fails(Wrong::Stuck, detail))
        }
    }
}

/// How long pages may refuse that nobody uses.
fn settle() -> std::time::Duration {
    std::time::Duration::from_secs(10)
}
