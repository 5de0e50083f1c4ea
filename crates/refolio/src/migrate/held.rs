//! What each step of a move holds, as types: dropping one undoes what was done, or completes it after
//! the switch.
//!
//! The states have no Drop of their own: their fields are declared in the order they are undone.

use crate::core::{Core, FolioLock, Fresh};
use crate::folio::{Folio, Use};
use crate::frame::Streams;
use crate::hand::Emptied;
use crate::mapping::Mapping;
use crate::sync::broken;
use crate::table::MigrationEntries;
use crate::units::FrameNo;

/// Off its list. Dropping it puts it back.
#[derive(Debug)]
pub(crate) struct Isolated<'c> {
    pub(super) core: &'c Core,
    pub(super) frame: FrameNo,
}

impl Drop for Isolated<'_> {
    #[doc(alias = "putback_movable_pages")]
    fn drop(&mut self) {
        let Self { core, frame } = *self;
        if !broken("undo-forgets-list") {
            core.lru_of(frame).add(&core.folios, frame);
        }
        core.node_of(frame).counters.nr_isolated.sub(core.folio(frame).pages());
        core.put(frame);
    }
}

impl<'c> Isolated<'c> {
    pub fn frame(&self) -> FrameNo {
        self.frame
    }

    pub fn order(&self) -> u32 {
        self.folio().order()
    }

    pub(super) fn folio(&self) -> &'c Folio {
        self.core.folio(self.frame)
    }

    /// The page has moved out: what is left is the lock, and the last reference.
    pub(super) fn release(self, lock: FolioLock<'c>) -> Released<'c> {
        std::mem::forget(lock);
        let Self { core, frame } = *std::mem::ManuallyDrop::new(self);
        Released { core, frame }
    }
}

/// A source whose page has moved, locked. Dropping it gives back the lock and the isolation's reference,
/// as a rule the last one (a late lookup may hold one for a moment).
#[derive(Debug)]
pub(super) struct Released<'c> {
    pub(super) core: &'c Core,
    pub(super) frame: FrameNo,
}

impl Drop for Released<'_> {
    fn drop(&mut self) {
        let Self { core, frame } = *self;
        drop(FolioLock { core, frame });
        core.node_of(frame).counters.nr_isolated.sub(core.folio(frame).pages());
        core.put(frame);
    }
}

impl<'c> Released<'c> {
    /// The same, together with others.
    pub(super) fn release(self, emptied: &mut Emptied<'c>) {
        let Self { core, frame } = *std::mem::ManuallyDrop::new(self);
        emptied.unlock_and_put(FolioLock { core, frame });
    }
}

/// A destination that is to be counted, and to go on its list. Dropping it does both.
#[derive(Debug)]
pub(super) struct Unlisted<'c> {
    pub(super) core: &'c Core,
    pub(super) from: FrameNo,
    pub(super) to: FrameNo,
    /// Pages that are a file's, and those of them that are dirty.
    pub(super) file: u32,
    pub(super) dirty: u32,
}

impl Drop for Unlisted<'_> {
    fn drop(&mut self) {
        self.count(self.file, self.dirty);
        self.core.lru_of(self.to).add(&self.core.folios, self.to);
    }
}

impl Unlisted<'_> {
    /// Does all of it for many, which are on their way from one node to another.
    #[doc(alias = "folio_add_lru")]
    pub(super) fn list(all: Vec<Self>) {
        let Some(&Self { core, to, .. }) = all.first() else { return };
        let lru = core.lru_of(to);
        for all in all.chunk_by(|a, b| core.node_of(a.from).has(b.from)) {
            let sum = |count: fn(&Self) -> u32| all.iter().map(count).sum();
            all[0].count(sum(|one| one.file), sum(|one| one.dirty));
        }
        let frames = all.into_iter().map(|one| std::mem::ManuallyDrop::new(one).to);
        lru.add_all(Use::Counts, &core.folios, frames);
    }

    /// The counters of both nodes.
    fn count(&self, file: u32, dirty: u32) {
        let from = &self.core.node_of(self.from).counters;
        let to = &self.core.node_of(self.to).counters;
        if file > 0 {
            to.nr_file_pages.add(file);
            from.nr_file_pages.sub(file);
        }
        if dirty > 0 && !broken("counter-left-behind") {
            to.nr_dirty.add(dirty);
            from.nr_dirty.sub(dirty);
        }
    }
}

/// Both folios locked, the source off its list.
#[derive(Debug)]
pub(super) struct Locked<'c> {
    pub(super) destination: Fresh<'c>,
    pub(super) source_lock: FolioLock<'c>,
    pub(super) source: Isolated<'c>,
    /// None for anonymous memory.
    pub(super) mapping: Option<&'c Mapping>,
}

/// Nobody can use the page through a table.
#[derive(Debug)]
pub(crate) struct Unmapped<'c> {
    pub(super) entries: MigrationEntries<'c>,
    pub(super) locked: Locked<'c>,
}

/// Which folio it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Isolated<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.frame.hash(state);
    }
}

/// Which page moves where, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Unmapped<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Locked { source, destination, mapping, .. } = &self.locked;
        (source.frame, destination.folio.frame, mapping.as_ref().map(|file| file.id)).hash(state);
        self.entries.hash(state);
    }
}

impl Unmapped<'_> {
    pub fn source(&self) -> FrameNo {
        self.locked.source.frame
    }

    /// The references that there are when nobody uses the page: the isolation's, and the cache's.
    pub(super) fn expected(&self) -> u32 {
        1 + self.locked.source.folio().expected_references()
    }
}

/// The bytes are there, too, or on their way: those of a whole batch at once.
#[derive(Debug)]
pub(crate) struct Copied<'c> {
    pub(super) streams: Streams,
    pub(super) unmapped: Unmapped<'c>,
}

impl Copied<'_> {
    pub fn source(&self) -> FrameNo {
        self.unmapped.source()
    }
}

/// The page is the destination. Nothing can fail any more; dropping this completes the move, too.
#[must_use]
#[derive(Debug)]
pub(crate) struct Switched<'c> {
    /// None when that is done.
    pub(super) unlisted: Option<Unlisted<'c>>,
    pub(super) entries: MigrationEntries<'c>,
    pub(super) destination: Fresh<'c>,
    pub(super) source: Released<'c>,
}
