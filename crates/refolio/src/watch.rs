//! The watcher's side of a migration: looks at everything a step may have changed, when somebody
//! watches, and costs one branch when nobody does.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::folio::Folio;
use crate::mapping::Mapping;
use crate::place::Place;
use crate::sync::Arc;
use crate::table::entry::Entry;
use crate::table::rmap::Site;
use crate::trace::{Event, FolioState, Look, Step, Watcher};
use crate::units::{FrameNo, PageIndex};

/// A page that is being moved under somebody's eyes.
struct Watched {
    source: FrameNo,
    destination: Option<FrameNo>,
    slot: Option<(Arc<Mapping>, PageIndex)>,
    site: Option<Site>,
    last: Option<Look>,
}

/// Who watches, and what it saw last.
#[derive(Default)]
pub(crate) struct Watch<'w> {
    watcher: Option<Watcher<'w>>,
    pages: RefCell<Vec<Watched>>,
    freezes: Cell<Option<Instant>>,
    /// How long the page was frozen that was switched last.
    frozen: Cell<Option<Duration>>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("watched", &self.watcher.is_some()).finish()
    }
}

impl<'w> Watch<'w> {
    pub fn new(watcher: Option<Watcher<'w>>) -> Self {
        Self { watcher, ..Self::default() }
    }

    /// Whether somebody watches.
    pub fn is_on(&self) -> bool {
        self.watcher.is_some()
    }

    /// A page is about to be moved.
    pub fn begin(&self, core: &Core, place: &Place<'_>, source: FrameNo) {
        if self.watcher.is_none() {
            return;
        }
        let identity = core.folio(source).identity();
        let slot = match place {
            Place::File(mapping, index) => Some((Arc::clone(mapping), *index)),
            Place::Table(..) => identity.and_then(|identity| {
                Some((core.mappings.get(identity.mapping())?, identity.index()))
            }),
        };
        let site = core.tables.rmap.first(source);
        let mut page = Watched { source, destination: None, slot, site, last: None };
        page.last = Some(page.look(core));
        self.pages.borrow_mut().push(page);
    }

    /// A page is about to be frozen.
    pub fn freezes(&self) {
        if self.watcher.is_some() {
            self.freezes.set(Some(Instant::now()));
        }
    }

    /// It is not frozen any more.
    pub fn thaws(&self) {
        if let Some(since) = self.freezes.take() {
            self.frozen.set(Some(since.elapsed()));
        }
    }

    /// A step was done.
    pub fn tell(
        &self,
        core: &Core,
        step: Step,
        function: &'static str,
        source: FrameNo,
        destination: Option<FrameNo>,
        what: impl FnOnce() -> String,
    ) {
        let Some(watcher) = self.watcher else { return };
        let mut pages = self.pages.borrow_mut();
        let Some(page) = pages.iter_mut().find(|page| page.source == source) else { return };
        page.destination = destination.or(page.destination);
        let after = page.look(core);
        let before = page.last.replace(after.clone());
        drop(pages);
        let frozen = self.frozen.take();
        watcher(&Event { step, function, what: what(), before, after, frozen });
    }

    /// The page has moved.
    pub fn end(&self, source: FrameNo) {
        if self.watcher.is_some() {
            self.pages.borrow_mut().retain(|page| page.source != source);
        }
    }

    /// The page with this source did not move: its guards are dropped.
    pub fn undone(&self, core: &Core, source: FrameNo, why: impl FnOnce() -> String) {
        self.tell(core, Step::Undo, "Drop of the guards, in field order", source, None, why);
        self.end(source);
    }
}

impl Watched {
    fn look(&self, core: &Core) -> Look {
        Look {
            source: state_of(core.folio(self.source), self.source),
            destination: self.destination.map(|frame| state_of(core.folio(frame), frame)),
            entry: self.site.as_ref().map(|site| describe(site.table.load(self.entry_at(site)))),
            slot: self.slot.as_ref().and_then(|(mapping, index)| Some(mapping.peek(*index)?.0)),
        }
    }

    /// The first entry of the site that is inside the view.
    fn entry_at(&self, site: &Site) -> crate::units::Vpn {
        let inside = (0..512).map(|page| site.at(page)).find(|at| at.0 < site.table.pages());
        inside.unwrap_or(site.base)
    }
}

fn describe(entry: Entry) -> String {
    match entry {
        Entry::Empty => "empty".into(),
        Entry::Present(m) => format!(
            "present, frame {}{}{}",
            m.folio.0 + m.page,
            if m.writable { ", writable" } else { "" },
            if m.dirty { ", dirty" } else { "" }
        ),
        Entry::Migration(m) => format!("migration entry of frame {}", m.folio.0 + m.page),
    }
}

pub(crate) fn state_of(folio: &Folio, frame: FrameNo) -> FolioState {
    let state = folio.state.load();
    FolioState {
        frame,
        references: state.references(),
        version: state.version(),
        flags: state.flag_names(),
        mapped: folio.mapped(),
        index: folio.identity().map(|identity| identity.index().0),
    }
}
