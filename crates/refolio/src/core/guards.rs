//! Who holds what of a folio, as types: a reference, the lock, both of a new one. Dropping one gives it
//! back.

use std::mem::ManuallyDrop;

use super::{Core, Obstacle, Why};
use crate::folio::Folio;
use crate::folio::state::Put;
use crate::sync::{broken, call, narrate};
use crate::units::FrameNo;

/// A reference to a folio: while it lives, the folio is neither moved nor evicted nor written in
/// place.
#[derive(Debug)]
pub(crate) struct FolioRef<'c> {
    pub core: &'c Core,
    pub frame: FrameNo,
    /// The descriptor of `frame`.
    pub folio: &'c Folio,
}

/// Which folio it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for FolioRef<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.frame.hash(state);
    }
}

impl<'c> FolioRef<'c> {
    #[inline]
    pub fn folio(&self) -> &'c Folio {
        self.folio
    }

    /// The folio lock, or what stands in the way.
    pub fn try_lock(&self) -> std::result::Result<FolioLock<'c>, Obstacle> {
        if self.folio().state.try_lock() {
            return Ok(FolioLock { core: self.core, frame: self.frame });
        }
        narrate(|| format!("lock of folio {} fails", self.frame.0));
        Err(self.core.obstacle(self.frame, Why::Locked))
    }
}

impl Drop for FolioRef<'_> {
    #[inline]
    fn drop(&mut self) {
        call(|| self.core.after_put(self.folio, self.folio.state.put_many(1)));
    }
}

/// The folio lock. It goes before the reference it was taken with.
#[derive(Debug)]
pub(crate) struct FolioLock<'c> {
    pub core: &'c Core,
    pub frame: FrameNo,
}

impl FolioLock<'_> {
    /// Gives the lock back, and a reference that the caller has, in one step; what is left to do is
    /// his.
    pub fn unlock_and_put(self) -> Put {
        let Self { core, frame } = *ManuallyDrop::new(self);
        core.folio(frame).state.unlock_and_put()
    }
}

impl Drop for FolioLock<'_> {
    fn drop(&mut self) {
        call(|| {
            let wake = self.core.folio(self.frame).state.unlock();
            if !broken("unlock-forgets-to-wake") {
                self.core.folios.wake(self.frame, wake);
            }
        });
    }
}

/// A folio that nobody else can see yet, locked. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Fresh<'c> {
    pub folio: FolioRef<'c>,
}

/// Which one it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Fresh<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folio.hash(state);
    }
}

impl<'c> Fresh<'c> {
    /// The lock and the reference that it was born with.
    pub fn open(self) -> (FolioLock<'c>, FolioRef<'c>) {
        let FolioRef { core, frame, folio } = ManuallyDrop::new(self).folio;
        (FolioLock { core, frame }, FolioRef { core, frame, folio })
    }

    /// Unlocks it, and gives the reference back that it was born with.
    pub fn release(self) {
        let (lock, folio) = self.open();
        let FolioRef { core, folio, .. } = *ManuallyDrop::new(folio);
        core.after_put(folio, lock.unlock_and_put());
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        let FolioRef { core, frame, .. } = self.folio;
        drop(FolioLock { core, frame }); // The reference goes after it.
    }
}
