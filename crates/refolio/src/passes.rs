//! Many pages, ten passes: the attempts of `migrate.rs` in batches, and what to wait for between
//! them.
//!
//! The first three passes never wait and go in batches: unmap all, copy all, switch all. What is
//! left after that is tried page by page, each time after waiting for what was in its way, as far
//! as the mode allows; holding nothing meanwhile, so no other source either.

use std::fmt;
use std::time::Instant;

use crate::core::{Core, Obstacle, Why};
use crate::error::{Error, Result};
use crate::folio::state::Flag;
use crate::form::Form;
use crate::hand::{Emptied, Open};
use crate::migrate::{Attempt, Copied, Isolated, Move, Stop, Unmapped};
use crate::node::Node;
use crate::place::Place;
use crate::reclaim;
use crate::report::{Kind, Outcome, Owner, PageOutcome, Report};
use crate::sync::{Retry, broken};
use crate::trace::Watcher;
use crate::units::{FrameNo, NodeId};
use crate::watch::Watch;

/// How often a page is tried.
pub(crate) const PASSES: u32 = if cfg!(refolio_model) { 3 } else { 10 };

/// Of those, how often in batches and without waiting.
pub(crate) const BATCHED_PASSES: u32 = if cfg!(refolio_model) { 1 } else { 3 };

/// What a migration may wait for.
#[doc(alias = "migrate_mode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    #[doc(alias = "MIGRATE_ASYNC")]
    Async,
    /// Locks.
    #[doc(alias = "MIGRATE_SYNC_LIGHT")]
    Light,
    /// Locks and writeback.
    #[default]
    #[doc(alias = "MIGRATE_SYNC")]
    Sync,
    /// Locks and writeback, and until this moment for the last pin to go, woken by it.
    Until(Instant),
}

impl Mode {
    fn waits_for(self, why: Why) -> bool {
        match why {
            Why::Locked | Why::Isolated | Why::Frozen | Why::SlotChanged => self != Mode::Async,
            Why::Writeback => matches!(self, Mode::Sync | Mode::Until(_)),
            Why::References => matches!(self, Mode::Until(_)),
        }
    }

    fn deadline(self) -> Option<Instant> {
        if let Mode::Until(deadline) = self { Some(deadline) } else { None }
    }
}

/// How to migrate.
///
/// ```
/// use refolio::{Form, Migrate, Mode};
/// let how = Migrate::new().mode(Mode::Light).form(Form::LoadThenFreeze).batch(64);
/// ```
#[derive(Clone, Copy)]
pub struct Migrate<'w> {
    mode: Mode,
    form: Form,
    batch: usize,
    watcher: Option<Watcher<'w>>,
}

impl std::fmt::Debug for Migrate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mode, form, batch, watcher } = self;
        f.debug_struct("Migrate")
            .field("mode", mode)
            .field("form", form)
            .field("batch", batch)
            .field("watched", &watcher.is_some())
            .finish()
    }
}

impl Default for Migrate<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'w> Migrate<'w> {
    /// [`Mode::Sync`], [`Form::FreezeOnly`], in batches of 64.
    pub fn new() -> Self {
        Self { mode: Mode::default(), form: Form::default(), batch: 64, watcher: None }
    }

    /// What may be waited for.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What is checked before the freeze.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Folios that are unmapped before the first one is copied: 1 to 512 (others are taken for the
    /// nearer end). A larger batch keeps users of tables and writers waiting for longer.
    #[doc(alias = "NR_MAX_BATCHED_MIGRATION")]
    pub fn batch(mut self, folios: usize) -> Self {
        self.batch = folios.clamp(1, 512);
        self
    }

    /// Whether anything may be waited for.
    pub(crate) fn waits(&self) -> bool {
        self.mode != Mode::Async
    }

    /// Calls `watcher` after each step of each page.
    pub fn watch(mut self, watcher: Watcher<'w>) -> Self {
        self.watcher = Some(watcher);
        self
    }
}

/// A page that has no outcome yet.
#[cfg_attr(refolio_explore, derive(Hash))]
struct Pending {
    place: usize,
    obstacle: Option<Obstacle>,
}

struct Passes<'c> {
    core: &'c Core,
    places: &'c [Place<'c>],
    how: Migrate<'c>,
    moving: Move<'c>,
    report: Vec<PageOutcome>,
    pending: Vec<Pending>,
}

/// What changes from pass to pass, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Passes<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pending.hash(state);
        format!("{:?}", self.report).hash(state);
    }
}

/// Moves the pages to node `to`; one outcome for each.
#[doc(alias = "migrate_pages")]
pub(crate) fn migrate<'c>(
    core: &'c Core,
    places: &'c [Place<'c>],
    to: &'c Node,
    how: &Migrate<'c>,
) -> Report {
    let start = Instant::now();
    let watch = Watch::new(how.watcher);
    let moving = Move { core, to, keep: 0, form: how.form, watch };
    let report = Vec::with_capacity(places.len());
    let mut passes = Passes { core, places, how: *how, moving, report, pending: Vec::new() };
    passes.run();
    let report = Report { outcomes: passes.report, elapsed: start.elapsed() };
    let counts = report.counts();
    core.events.pgmigrate_success.add(counts.moved as u32);
    core.events.pgmigrate_fail.add((counts.again + counts.busy + counts.no_memory) as u32);
    report
}

/// One attempt for one page that waits for nothing: for reclaim.
pub(crate) fn demote<'c>(core: &'c Core, place: &'c Place<'c>, to: &'c Node) -> bool {
    let watch = Watch::default();
    let moving = Move { core, to, keep: to.marks.low, form: Form::default(), watch };
    moving.alone(place).is_ok()
}

impl<'c> Passes<'c> {
    fn run(&mut self) {
        let mode = self.how.mode;
        let retry = Retry::new();
        self.first_pass();
        for pass in 1..PASSES {
            retry.keep(&(pass, &*self));
            if self.pending.is_empty() {
                return;
            }
            if pass < BATCHED_PASSES || mode == Mode::Async {
                let pending = std::mem::take(&mut self.pending);
                self.batched_pass(pending);
            } else {
                self.waiting_pass();
            }
        }
        if let Some(deadline) = mode.deadline() {
            while !self.pending.is_empty() && Instant::now() < deadline {
                retry.keep(&(PASSES, &*self));
                self.waiting_pass();
            }
        }
        self.give_up();
    }

    /// Looks at every page, and tries it, a batch after the other.
    fn first_pass(&mut self) {
        let mut left = 0..self.places.len();
        while !left.is_empty() {
            let batch = self.look_at(left.by_ref().take(self.how.batch));
            if let Some(order) = self.batch(batch) {
                let mut pending = self.look_at(left.by_ref());
                self.no_memory_for(order, &mut pending);
                self.batched_pass(pending);
            }
        }
    }

    /// The next pages, as they are before anything is tried.
    fn look_at(&mut self, places: impl Iterator<Item = usize>) -> Vec<Pending> {
        let look = |place| {
            self.report.push(look(self.core, &self.places[place]));
            Pending { place, obstacle: None }
        };
        places.map(look).collect()
    }

    /// Unmap all, copy all, switch all.
    #[doc(alias = "migrate_pages_batch")]
    fn batched_pass(&mut self, mut pending: Vec<Pending>) {
        pending.reverse(); // Batches come off the end.
        while !pending.is_empty() {
            let mut batch = pending.split_off(pending.len().saturating_sub(self.how.batch));
            batch.reverse();
            if let Some(order) = self.batch(batch) {
                self.no_memory_for(order, &mut pending);
            }
        }
        self.pending.sort_by_key(|page| page.place);
    }

    /// One batch; an order for which the target node has no room, and none can be made.
    fn batch(&mut self, batch: Vec<Pending>) -> Option<u32> {
        let places: Vec<_> = batch.iter().map(|page| &self.places[page.place]).collect();
        let isolated = self.moving.isolate(&places);
        let single = |source: &&Isolated<'_>| source.order() == 0;
        let mut room = self.moving.room(isolated.iter().flatten().filter(single).count());
        let mut out_of_memory = None;
        let mut prepared = Vec::with_capacity(batch.len());
        for ((page, place), isolated) in batch.into_iter().zip(places).zip(isolated) {
            let source = isolated.as_ref().ok().map(Isolated::frame);
            if out_of_memory.is_some() {
                self.undone(source, "no room on the target");
                self.pending.push(page);
                continue;
            }
            match isolated.and_then(|source| self.moving.prepare(place, source, &mut room)) {
                Ok(unmapped) => prepared.push((page.place, unmapped)),
                Err(Stop::NoMemory) => {
                    self.undone(source, "no room on the target");
                    out_of_memory = Some(page.place);
                    self.pending.push(page);
                }
                Err(stop) => self.stopped(page.place, source, stop),
            }
        }
        drop(room);
        let copy = |(place, page): (usize, Unmapped<'c>)| {
            let source = page.source();
            let copied = self.moving.copy(page);
            self.kept(place, source, copied)
        };
        let copied: Vec<_> = prepared.into_iter().filter_map(copy).collect();
        let mut open = Open::default();
        let switch = |(place, page): (usize, Copied<'c>)| {
            let source = page.source();
            let switched = self.moving.switch(page, &mut open);
            self.kept(place, source, switched)
        };
        let mut switched: Vec<_> = copied.into_iter().filter_map(switch).collect();
        drop(open);
        self.moving.list(switched.iter_mut().map(|(_, page)| page));
        let mut emptied = Emptied::new(self.core);
        for (place, page) in switched {
            let (from, to) = self.moving.finish(page, &mut emptied);
            self.report[place].outcome = Outcome::Moved { from, to };
        }
        drop(emptied);
        out_of_memory.and_then(|place| self.make_room(place))
    }

    /// Nothing is held here: room on the target can be made by reclaim. The order when it cannot.
    fn make_room(&mut self, place: usize) -> Option<u32> {
        let order = self.report[place].order;
        let made = self.how.mode != Mode::Async
            && reclaim::make_room(self.core, self.moving.to, order, 1 << order);
        if made {
            return None;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.no_memory_for(order, &mut pending);
        self.pending = pending;
        Some(order)
    }

    /// There is no room for folios of this order. Smaller ones may fit still, and stay pending.
    fn no_memory_for(&mut self, order: u32, pending: &mut Vec<Pending>) {
        let (homeless, smaller): (Vec<_>, _) =
            pending.drain(..).partition(|page| self.report[page.place].order >= order);
        *pending = smaller;
        for page in homeless {
            let here = self.places[page.place].folio().is_some_and(|f| self.moving.to.has(f));
            self.report[page.place].outcome = if here { Outcome::Here } else { Outcome::NoMemory };
        }
    }

    /// One attempt for each page that is left, after waiting for what was in its way.
    #[doc(alias = "migrate_pages_sync")]
    fn waiting_pass(&mut self) {
        for page in std::mem::take(&mut self.pending) {
            if let Some(obstacle) = page.obstacle
                && self.how.mode.waits_for(obstacle.why)
                && let Err(held) = self.core.wait(obstacle, self.how.mode.deadline())
            {
                self.report[page.place].outcome = self.refused(obstacle, &held);
                continue;
            }
            self.batch(vec![page]);
        }
    }

    /// This thread holds pages itself, and may not wait for this one.
    fn refused(&self, obstacle: Obstacle, held: &Error) -> Outcome {
        match held {
            Error::Held { holders } | Error::GuardHeld { holders } => {
                Outcome::Busy { holders: holders.clone() }
            }
            _ => Outcome::Again(obstacle.why),
        }
    }

    /// The page, if its step was done.
    fn kept<T>(&mut self, place: usize, source: FrameNo, done: Attempt<T>) -> Option<(usize, T)> {
        done.map_err(|stop| self.stopped(place, Some(source), stop)).ok().map(|page| (place, page))
    }

    fn stopped(&mut self, place: usize, source: Option<FrameNo>, stop: Stop) {
        if let (true, Stop::Again(obstacle)) = (broken("batch-waits-with-sources"), &stop) {
            _ = self.core.wait(*obstacle, None);
        }
        match &stop {
            Stop::Again(obstacle) => self.undone(source, obstacle.why),
            other => self.undone(source, format_args!("{other:?}")),
        }
        self.report[place].outcome = match stop {
            Stop::Again(obstacle) => {
                self.pending.push(Pending { place, obstacle: Some(obstacle) });
                Outcome::Again(obstacle.why)
            }
            Stop::NoMemory => Outcome::NoMemory,
            Stop::Gone => Outcome::Gone,
            Stop::Here => Outcome::Here,
            Stop::Poisoned => Outcome::Poisoned,
        };
    }

    /// What was done for this source is taken back.
    fn undone(&self, source: Option<FrameNo>, why: impl fmt::Display) {
        if let Some(source) = source {
            self.moving.watch.undone(self.core, source, || format!("taken back: {why}"));
        }
    }

    /// After the last pass: who holds what is left.
    fn give_up(&mut self) {
        for page in std::mem::take(&mut self.pending) {
            let Some(obstacle) = page.obstacle else {
                // Never got further than to a target that was full again.
                self.report[page.place].outcome = Outcome::NoMemory;
                continue;
            };
            let guarded = self.core.folio(obstacle.frame).state.has(Flag::GUARDED);
            if obstacle.why == Why::References || guarded {
                let holders = self.core.holders(obstacle.frame);
                self.report[page.place].outcome = Outcome::Busy { holders };
            }
        }
    }
}

/// A page as it is before anything is tried.
fn look(core: &Core, place: &Place<'_>) -> PageOutcome {
    let (kind, order) = place.folio().map_or((Kind::FileClean, 0), |frame| {
        let folio = core.folio(frame);
        let kind = match (folio.state.has(Flag::ANON), folio.state.has(Flag::DIRTY)) {
            (true, _) => Kind::Anonymous,
            (false, true) => Kind::FileDirty,
            (false, false) => Kind::FileClean,
        };
        (kind, folio.order())
    });
    let owner = match place {
        Place::File(mapping, index) => {
            Owner::File { file: mapping.id, index: index.align_down(order) }
        }
        // A view of a file maps the file's own pages.
        Place::Table(_, page) => match place.folio().and_then(|f| core.folio(f).identity()) {
            Some(page) => Owner::File { file: page.mapping(), index: page.index() },
            None => Owner::Anonymous { page: *page },
        },
    };
    PageOutcome { owner, kind, order, outcome: Outcome::Gone }
}

/// What [`migrate`] would answer for each page, asked without touching it.
pub(crate) fn would_move(core: &Core, places: &[Place<'_>], to: &Node) -> Report {
    let start = Instant::now();
    let mut room = u64::from(to.nr_free_pages());
    let outcomes = places.iter().map(|place| {
        let mut page = look(core, place);
        page.outcome = match place.folio() {
            None => Outcome::Gone,
            Some(frame) if to.has(frame) => Outcome::Here,
            Some(frame) => match would_stop(core, frame) {
                Some(outcome) => outcome,
                None if to.is_offline() || room < 1 << page.order => Outcome::NoMemory,
                None => {
                    room -= 1 << page.order;
                    Outcome::WouldMove
                }
            },
        };
        page
    });
    Report { outcomes: outcomes.collect(), elapsed: start.elapsed() }
}

fn would_stop(core: &Core, frame: FrameNo) -> Option<Outcome> {
    let folio = core.folio(frame);
    let state = folio.state.load();
    if state.has(Flag::POISONED) {
        return Some(Outcome::Poisoned);
    }
    if state.has(Flag::GUARDED) {
        return Some(Outcome::Busy { holders: core.holders(frame) });
    }
    if state.has(Flag::LOCKED) {
        return Some(Outcome::Again(Why::Locked));
    }
    if state.has(Flag::WRITEBACK) {
        return Some(Outcome::Again(Why::Writeback));
    }
    if !state.has(Flag::ON_LRU) {
        return Some(Outcome::Again(Why::Isolated));
    }
    (state.references() > folio.expected_references())
        .then(|| Outcome::Busy { holders: core.holders(frame) })
}

/// The node with this number, or what is wrong with it.
pub(crate) fn node(core: &Core, id: NodeId) -> Result<&Node> {
    core.node(id).ok_or_else(|| Error::Node { node: id, why: "the cache has no such node" }.into())
}
