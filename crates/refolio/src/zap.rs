//! A view ends, or a part of it: its entries become empty.
//!
//! Each entry is emptied under the lock of the folio that it names, like every other change to it.
//! A migration entry belongs to its mover until the folio is unlocked: it is waited for.

use std::ops::Range;

use crate::core::{Core, FolioRef, Why};
use crate::error::{Error, Result};
use crate::folio::state::Get;
use crate::sync::{Arc, Retry, broken, call, plain};
use crate::table::Table;
use crate::table::entry::{Entry, Mapped};
use crate::units::Vpn;

/// Empties the entries of `range`; anonymous pages that only they knew are freed.
///
/// # Errors
/// [`Error::GuardHeld`] when a page of the range is in the hands of this thread's own write guard;
/// the entries before it are empty then.
#[doc(alias = "zap_page_range")]
pub(crate) fn zap(core: &Core, table: &Arc<Table>, range: Range<u64>) -> Result<()> {
    for at in range.start..range.end.min(table.pages()) {
        let at = Vpn(at);
        let retry = Retry::new();
        loop {
            retry.anew();
            let entry = table.load(at);
            let Some(mapped) = entry.mapped() else { break };
            let obstacle = core.obstacle(mapped.folio, Why::Locked);
            match entry {
                Entry::Migration(_) if broken("zap-passes-migration") => break,
                // Whoever fills it again comes after us.
                Entry::Present(_) if call(|| try_zap(core, table, at, mapped))? => break,
                _ => {}
            }
            // The folio may be another page's by now, whose owner may wait for us.
            if table.load(at) == entry || broken("zap-skips-look") {
                core.wait(obstacle, None)?;
            }
        }
    }
    Ok(())
}

/// Empties one present entry; false when its folio is locked or frozen, or it has changed.
fn try_zap(core: &Core, table: &Arc<Table>, at: Vpn, mapped: Mapped) -> Result<bool> {
    let folio = core.folio(mapped.folio);
    match folio.state.try_get() {
        Get::Frozen => return Ok(false),
        Get::Saturated => return Err(Error::TooManyReferences.into()),
        Get::Got => {}
    }
    let folio = FolioRef { core, frame: mapped.folio, folio };
    let lock = match folio.try_lock() {
        Ok(lock) => Some(lock),
        Err(_) if broken("zap-skips-lock") => None,
        Err(_) => return Ok(false),
    };
    let emptied = core.tables.zap(&core.folios, table, at, mapped);
    if emptied {
        core.put(mapped.folio);
    }
    drop(lock);
    Ok(emptied)
}

impl Core {
    /// Empties the entries of a view that has ended, when the thread's own write guard is gone.
    pub fn zap_later(&self, table: Arc<Table>) {
        plain::lock(&self.ended).push(table);
    }

    /// Empties the entries of views that could not be emptied when they ended.
    pub fn finish_zaps(&self) {
        let ended = std::mem::take(&mut *plain::lock(&self.ended));
        for table in ended {
            if zap(self, &table, 0..u64::MAX).is_err() {
                self.zap_later(table);
            }
        }
    }
}
