//! What each step of a move holds, as types: dropping one undoes what was done, or completes it after
//! the switch.
//!
//! The states have no Drop of their own: their fields are declared in the order they are undone.

use crate::core::{Core, FolioLock, Fresh};
use crate::folio::Folio;
use crate::frame::Streams;
use crate::hand::Freed;
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

    pub(super) fn folio(&self) -> &'c Folio {
        self.core.folio(self.frame)
    }

    /// The page has moved out: what is left is the last reference.
    pub(super) fn release(self) -> Released<'c> {
        let Self { core, frame } = *std::mem::ManuallyDrop::new(self);
        Released { core, frame }
    }
}

/// A source whose page has moved. Dropping it gives back the isolation's reference, as a rule the
/// last one (a late lookup may hold one for a moment).
#[derive(Debug)]
pub(super) struct Released<'c> {
    pub(super) core: &'c Core,
    pub(super) frame: FrameNo,
}

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.discount();
        self.core.put(self.frame);
    }
}

impl<'c> Released<'c> {
    /// With the folio lock.
    pub(super) fn release(self, lock: FolioLock<'c>, freed: &mut Freed<'c>) {
        self.discount();
        std::mem::forget(self);
        freed.unlock_and_put(lock);
    }

    fn discount(&self) {
        let Self { core, frame } = *self;
        core.node_of(frame).counters.nr_isolated.sub(core.folio(frame).pages());
    }
}

/// A destination that is to go on its list. Dropping it puts it there.
#[derive(Debug)]
pub(super) struct Listed<'c> {
    pub(super) core: &'c Core,
    pub(super) frame: FrameNo,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.core.lru_of(self.frame).add(&self.core.folios, self.frame);
    }
}

impl Listed<'_> {
    /// Somebody else puts it there.
    pub(super) fn leave(self) -> FrameNo {
        std::mem::ManuallyDrop::new(self).frame
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

/// The page is the destination. Nothing can fail any more; dropping this completes the move, too.
#[must_use]
#[derive(Debug)]
pub(crate) struct Switched<'c> {
    /// None when it is there already.
    pub(super) list: Option<Listed<'c>>,
    pub(super) entries: MigrationEntries<'c>,
    pub(super) destination: Fresh<'c>,
    pub(super) source_lock: FolioLock<'c>,
    pub(super) source: Released<'c>,
}
