//! Here → there: one folio moves to another node while it is in use.
//!
//! ```text
//! isolate   off the LRU, +1 reference                                  undo: put back
//! alloc     a folio of the same order on the target node               undo: free
//! lock      the source; is it still the page, and not under writeback? undo: unlock
//! unmap     every table entry becomes a migration entry                undo: restore to source
//! copy      references as expected? then copy the bytes                undo: nothing
//! switch    the copy has arrived; i_pages lock; freeze(expected); destination gets index, mapping,
//!           dirty, marks; store; unfreeze(expected - pages); unlock    ← the point of no return
//! finish    on the LRU, entries → destination, unlock, last put
//! ```
//! Each arrow is a type that owns the guards of what it did (`migrate/held.rs`), declared in undo
//! order: an early `?` undoes exactly. Everything that can fail comes before the switch; after it
//! nothing fails.
//!
//! The locks of nodes and files, which all movers share, are taken once for a batch: to isolate its
//! pages, to take room for them, to switch those of one file, to list them, and to give their old
//! frames back.
//!
//! No step waits. What stood in the way comes back as a [`Stop`], and the passes in `passes.rs`
//! wait for it, holding nothing. So a batch may hold many sources locked and cannot deadlock.

mod held;

use crate::core::{Core, FolioLock, Fresh, Obstacle, Why};
use crate::folio::Identity;
use crate::folio::state::{Flag, Freeze};
use crate::form::Form;
use crate::frame::Streams;
use crate::hand::{Emptied, Open, Room};
use crate::mapping::Mapping;
use crate::node::Node;
use crate::place::Place;
use crate::sync::{broken, call, narrate};
use crate::trace::Step;
use crate::units::{FrameNo, folio_bytes};
use crate::watch::Watch;
pub(crate) use held::{Copied, Isolated, Switched, Unmapped};
use held::{Locked, Unlisted};
use refolio_xarray::{Entry, Locked as Slots};

/// Why a folio did not move this time.
#[derive(Debug, Hash)]
pub(crate) enum Stop {
    Again(Obstacle),
    NoMemory,
    Gone,
    Here,
    Poisoned,
}

pub(crate) type Attempt<T> = Result<T, Stop>;

/// One migration's circumstances.
#[derive(Debug)]
pub(crate) struct Move<'c> {
    pub core: &'c Core,
    pub to: &'c Node,
    /// Frames to leave free on the target.
    pub keep: u32,
    pub form: Form,
    pub watch: Watch<'c>,
}

impl<'c> Move<'c> {
    /// All steps, of one page.
    pub fn alone(&self, place: &'c Place<'c>) -> Attempt<()> {
        let copied = self.prepare_alone(place).and_then(|unmapped| self.copy(unmapped));
        self.finish_alone(copied.and_then(|copied| self.switch_alone(copied))?);
        Ok(())
    }

    /// Steps 1 to 4, of one page.
    pub fn prepare_alone(&self, place: &'c Place<'c>) -> Attempt<Unmapped<'c>> {
        let source = self.isolate(&[place]).pop().unwrap_or(Err(Stop::Gone))?;
        self.prepare(place, source, &mut self.room(1))
    }

    /// Step 6, of one page.
    pub fn switch_alone(&self, copied: Copied<'c>) -> Attempt<Switched<'c>> {
        self.switch(copied, &mut Open::default())
    }

    /// Step 7, of one page.
    pub fn finish_alone(&self, switched: Switched<'c>) {
        self.finish(switched, &mut Emptied::new(self.core));
    }

    /// Step 1, of a batch: Off the LRU: whoever has a folio isolated is the only one to move or evict
    /// it.
    #[doc(alias = "folio_isolate_lru")]
    pub fn isolate(&self, places: &[&'c Place<'c>]) -> Vec<Attempt<Isolated<'c>>> {
        begins(Step::Isolate);
        call(|| {
            let wanted: Vec<_> = places.iter().map(|place| self.look_up(place)).collect();
            let frames: Vec<_> = wanted.iter().flatten().map(|(frame, _)| *frame).collect();
            let mut isolated = self.core.isolate(&frames).into_iter();
            let each = wanted.into_iter().zip(places).map(|(wanted, place)| {
                let (frame, again) = wanted?;
                if isolated.next() == Some(true) {
                    return Ok(self.isolated(frame));
                }
                self.watch.undone(self.core, frame, || format!("not taken: {}", again.why));
                Err(place.folio().map_or(Stop::Gone, |_| Stop::Again(again)))
            });
            each.collect()
        })
    }

    /// The folio that is to be moved, and what it is as long as somebody else has it isolated.
    fn look_up(&self, place: &Place<'_>) -> Attempt<(FrameNo, Obstacle)> {
        let frame = place.folio().ok_or(Stop::Gone)?;
        if self.to.has(frame) {
            return Err(Stop::Here);
        }
        let again = self.core.obstacle(frame, Why::Isolated);
        self.watch.begin(self.core, place, frame);
        Ok((frame, again))
    }

    fn isolated(&self, frame: FrameNo) -> Isolated<'c> {
        let core = self.core;
        self.watch.tell(core, Step::Isolate, "Move::isolate", frame, None, || {
            format!("took frame {} off the LRU of {}", frame.0, core.node_of(frame).id)
        });
        Isolated { core, frame }
    }

    /// Room on the target for so many folios of single pages; others ask for theirs one at a time.
    pub fn room(&self, folios: usize) -> Room<'c> {
        Room::new(self.core, self.to, self.keep, folios)
    }

    /// Steps 2 to 4: a page that nobody can use through a table, and nobody else can take.
    #[doc(alias = "migrate_folio_unmap")]
    pub fn prepare(
        &self,
        place: &'c Place<'c>,
        source: Isolated<'c>,
        room: &mut Room<'c>,
    ) -> Attempt<Unmapped<'c>> {
        call(|| {
            let destination = self.alloc(&source, room)?;
            let locked = self.lock(place, source, destination)?;
            Ok(self.unmap(locked))
        })
    }

    /// Step 2: Room on the target node.
    fn alloc(&self, source: &Isolated<'c>, room: &mut Room<'c>) -> Attempt<Fresh<'c>> {
        begins(Step::Alloc);
        let anonymous = source.folio().state.has(Flag::ANON);
        let flags: &[Flag] = if anonymous { &[Flag::ANON] } else { &[] };
        let fresh = room.alloc(source.folio().order(), flags).ok_or(Stop::NoMemory)?;
        let frame = fresh.folio.frame;
        self.watch.tell(self.core, Step::Alloc, "Move::alloc", source.frame, Some(frame), || {
            format!("took free frame {} of {}", frame.0, self.to.id)
        });
        Ok(fresh)
    }

    /// Step 3: The source's lock; the destination was born locked. Whoever has the lock looks first
    /// whether the folio still is the page (rule 4).
    fn lock(
        &self,
        place: &'c Place<'c>,
        source: Isolated<'c>,
        destination: Fresh<'c>,
    ) -> Attempt<Locked<'c>> {
        begins(Step::Lock);
        let core = self.core;
        let (folio, frame) = (source.folio(), source.frame);
        let to = destination.folio.frame;
        if !folio.state.try_lock() && !broken("migrate-skips-lock") {
            narrate(|| format!("lock of folio {} fails", frame.0));
            return Err(Stop::Again(core.obstacle(frame, Why::Locked)));
        }
        let source_lock = FolioLock { core, frame };
        let mapping = match folio.identity() {
            None if !folio.state.has(Flag::ANON) => return Err(Stop::Gone),
            None => None,
            Some(id) => Some(place.mapping().filter(|it| it.id == id.mapping()).ok_or(Stop::Gone)?),
        };
        if place.folio() != Some(frame) && !broken("migrate-skips-recheck") {
            return Err(Stop::Gone);
        }
        let state = folio.state.flags();
        if state.has(Flag::POISONED) {
            return Err(Stop::Poisoned);
        }
        if state.has(Flag::WRITEBACK) && !broken("writeback-unprotected") {
            return Err(Stop::Again(core.obstacle(frame, Why::Writeback)));
        }
        self.watch.tell(core, Step::Lock, "Move::lock", frame, Some(to), || {
            "locked the source; it is still the page, and not under writeback".into()
        });
        Ok(Locked { destination, source_lock, source, mapping })
    }

    /// Step 4: Users of the tables wait from here on, for the folio lock and without a reference.
    #[doc(alias = "try_to_migrate")]
    fn unmap(&self, locked: Locked<'c>) -> Unmapped<'c> {
        begins(Step::Unmap);
        let core = self.core;
        let entries = core.tables.unmap_to_migrate(&core.folios, locked.source.frame);
        let unmapped = Unmapped { entries, locked };
        self.tell(Step::Unmap, "Move::unmap", &unmapped, || {
            "every present entry became a migration entry and gave its reference back".into()
        });
        unmapped
    }

    /// Step 5: References as expected? Then nobody writes (a writer holds the folio lock), and the
    /// bytes can be copied before anything is frozen. The look at the references saves the copy for
    /// a pinned page; for anonymous memory as for files, it is the freeze that decides.
    #[doc(alias = "folio_mc_copy")]
    pub fn copy(&self, unmapped: Unmapped<'c>) -> Attempt<Copied<'c>> {
        begins(Step::Copy);
        let locked = &unmapped.locked;
        let (folio, source) = (locked.source.folio(), locked.source.frame);
        let expected = unmapped.expected();
        let matches = call(|| folio.state.load().references() == expected);
        if !matches && !broken("copy-skips-count") {
            Self::give_up(unmapped);
            return Err(Stop::Again(self.core.obstacle(source, Why::References)));
        }
        let late = broken("copy-after-switch");
        let streams = if late { Streams::default() } else { self.copy_bytes(locked) };
        let len = folio_bytes(folio.order());
        self.tell(Step::Copy, "Move::copy", &unmapped, || {
            format!("references are {expected} as expected; copied {len} bytes")
        });
        Ok(Copied { streams, unmapped })
    }

    fn copy_bytes(&self, locked: &Locked<'c>) -> Streams {
        let (from, to) = (locked.source.frame, locked.destination.folio.frame);
        let order = if broken("one-page-copied") { 0 } else { locked.source.folio().order() };
        call(|| self.core.frames.copy(from, to, folio_bytes(order)))
    }

    /// Undoes steps 4 to 1.
    fn give_up(unmapped: Unmapped<'c>) {
        if broken("undo-forgets-lock") {
            std::mem::forget(unmapped.locked.source_lock);
        } else if broken("undo-forgets-destination") {
            std::mem::forget(unmapped.locked.destination);
        }
    }

    /// Step 6: The point of no return: from one reader's step to the next, the page is the
    /// destination.
    #[doc(alias = "folio_migrate_mapping")]
    pub fn switch(&self, copied: Copied<'c>, open: &mut Open<'c>) -> Attempt<Switched<'c>> {
        begins(Step::Switch);
        let Copied { streams, unmapped } = copied;
        drop(streams); // The bytes are there before anybody can find the destination.
        let source = unmapped.locked.source.folio();
        let destination = unmapped.locked.destination.folio.folio();
        let dirty = source.state.has(Flag::DIRTY);
        let file = unmapped.locked.mapping.map_or(0, |_| source.pages());
        match unmapped.locked.mapping {
            Some(mapping) => call(|| self.switch_in_file(&unmapped, mapping, open))
                .inspect_err(|_| open.close())?,
            None => {
                self.freeze(&unmapped)?;
                destination.inherit(source, 0);
                let expected = unmapped.expected();
                let wake = || source.state.unfreeze_moved(expected);
                call(|| self.core.folios.wake(unmapped.locked.source.frame, wake()));
                self.watch.thaws();
            }
        }
        if self.watch.is_on() {
            open.close(); // Who watches may use the file.
        }
        if broken("copy-after-switch") {
            drop(self.copy_bytes(&unmapped.locked));
        }
        self.tell(Step::Switch, "Move::switch", &unmapped, || {
            "froze the source, exchanged it for the destination, thawed it".into()
        });
        let Unmapped { mut entries, locked } = unmapped;
        let Locked { destination, source_lock, source, mapping: _ } = locked;
        entries.retarget(destination.folio.frame);
        let (core, from, to) = (self.core, source.frame, destination.folio.frame);
        let unlisted = Some(Unlisted { core, from, to, file, dirty: if dirty { file } else { 0 } });
        Ok(Switched { unlisted, entries, destination, source: source.release(source_lock) })
    }

    /// The exchange in the file's mapping, in the form that was asked for.
    fn switch_in_file(
        &self,
        unmapped: &Unmapped<'c>,
        mapping: &'c Mapping,
        open: &mut Open<'c>,
    ) -> Attempt<()> {
        let Locked { source, destination, .. } = &unmapped.locked;
        let (frame, folio) = (source.frame, source.folio());
        let Some(identity) = folio.identity() else { return Err(Stop::Gone) };
        if self.form == Form::EarlyCheck {
            open.close();
            self.check_references(unmapped)?;
        }
        let slots = open.slots(mapping);
        if self.form == Form::CheckThenFreeze {
            self.check_references(unmapped)?;
        }
        let slot = || slots.load(identity.index().0).map(|entry| entry.payload());
        if self.form != Form::FreezeOnly && slot() != Some(u64::from(frame.0)) {
            return Err(Stop::Again(self.core.obstacle(frame, Why::SlotChanged)));
        }
        let expected = unmapped.expected();
        if broken("slot-before-freeze") {
            self.exchange(slots, unmapped, identity);
        }
        self.freeze(unmapped)?;

        let (pages, private) = (folio.pages(), u32::from(folio.private().is_some()));
        let to = destination.folio.folio();
        to.set_identity(identity);
        to.inherit(folio, pages + private);
        let wrong = i32::from(broken("thaw-one-too-many")) - i32::from(broken("thaw-one-too-few"));
        let left = (expected - pages - private).wrapping_add_signed(wrong);
        let thaw = || folio.state.unfreeze_moved(left);
        let early = broken("thaw-before-store").then(thaw);
        self.exchange(slots, unmapped, identity);
        let early = early.or_else(|| broken("identity-left-behind").then(thaw));
        folio.clear_identity();
        self.core.folios.wake(frame, early.unwrap_or_else(thaw));
        self.watch.thaws();
        Ok(())
    }

    /// The slot names the destination from now on; its marks stay. Under the i_pages lock.
    fn exchange(&self, slots: &mut Slots<'_>, unmapped: &Unmapped<'c>, identity: Identity) {
        let Locked { source, destination, .. } = &unmapped.locked;
        let (folio, to) = (source.folio(), destination.folio.frame);
        if broken("mark-left-behind") {
            slots.erase(identity.index().0);
        }
        let item = Entry::item(u64::from(to.0));
        if slots.store(identity.index().0, folio.order(), item).is_err() {
            unreachable!("an entry is exchanged for one of its own order");
        }
        self.core.hints.set(identity, folio.pages(), to);
    }

    fn check_references(&self, unmapped: &Unmapped<'c>) -> Attempt<()> {
        let Isolated { frame, .. } = unmapped.locked.source;
        if self.core.folio(frame).state.load().references() == unmapped.expected() {
            return Ok(());
        }
        Err(Stop::Again(self.core.obstacle(frame, Why::References)))
    }

    /// Succeeds only when nobody holds the folio but its cache and us, and keeps it so.
    #[doc(alias = "folio_ref_freeze")]
    fn freeze(&self, unmapped: &Unmapped<'c>) -> Attempt<()> {
        let Isolated { frame, .. } = unmapped.locked.source;
        let expected = unmapped.expected();
        self.watch.freezes();
        match self.core.folio(frame).state.freeze(expected) {
            Freeze::Frozen => Ok(()),
            Freeze::Refused { references } => {
                narrate(|| format!("freeze {expected}→0 fails: {references} references"));
                Err(Stop::Again(self.core.obstacle(frame, Why::References)))
            }
        }
    }

    /// Step 7, of a batch: counted, and on the LRU.
    pub fn list<'s>(&self, switched: impl Iterator<Item = &'s mut Switched<'c>>)
    where
        'c: 's,
    {
        call(|| Unlisted::list(switched.filter_map(|page| page.unlisted.take()).collect()));
    }

    /// Step 7: Nothing fails any more: each guard does what is left for it.
    #[doc(alias = "migrate_folio_done")]
    pub fn finish(&self, switched: Switched<'c>, emptied: &mut Emptied<'c>) -> (FrameNo, FrameNo) {
        begins(Step::Finish);
        let Switched { unlisted, entries, destination, source } = switched;
        let (from, to) = (source.frame, destination.folio.frame);
        call(|| {
            drop(unlisted); // on the LRU
            drop(entries); // present again, for the destination
            destination.release(); // unlocked; the allocation's reference goes
        });
        source.release(emptied); // whoever waited finds the destination; the last put
        self.watch.tell(self.core, Step::Finish, "Move::finish", from, Some(to), || {
            format!("entries name frame {}, both unlocked, frame {} freed", to.0, from.0)
        });
        self.watch.end(from);
        (from, to)
    }

    fn tell(
        &self,
        step: Step,
        function: &'static str,
        unmapped: &Unmapped<'c>,
        what: impl FnOnce() -> String,
    ) {
        let Locked { source, destination, .. } = &unmapped.locked;
        let to = Some(destination.folio.frame);
        self.watch.tell(self.core, step, function, source.frame, to, what);
    }
}

/// Heads, in the trace of a model, what the step does.
#[track_caller]
fn begins(step: Step) {
    narrate(|| step.to_string());
}
