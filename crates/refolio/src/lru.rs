//! The pages of one node by their use: an active and an inactive list, second chance.
//!
//! New folios go to the head of the inactive list, victims are taken from its tail. A folio that
//! was used since it was last looked at (`REFERENCED`) gets another round: on the active list.
//! Pages that are read once and never again (a scan) pass through the inactive list and leave the
//! active one alone.
//!
//! A page that is **passing** was read because somebody reads its file from front to back. His reading
//! it is what it was read for, and does not count as a use; where it comes to the tail without any
//! other, it takes no other page's place on a lower node. (So is one that was written because somebody
//! writes its file from front to back.) Those that came with it lie beside it in memory, and go with
//! it: then the frames that are free lie together, too, and a device fills them faster.
//!
//! A folio is on a list exactly while its `ON_LRU` flag is set; both change under the lock of this
//! file. Whoever takes it off ([`Lru::isolate`]) holds a reference and is the only one who may move
//! or evict it, until it is put back.

use crate::folio::state::Flag;
use crate::folio::{Folio, Folios, Use};
use crate::frame::vec_with_room;
use crate::sync::{Mutex, Retry, call, rule};
use crate::units::{BLOCK, FrameNo, pages};

/// End of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum List {
    Inactive = 0,
    Active = 1,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Link {
    prev: u32,
    next: u32,
    list: List,
    passing: bool,
    /// When it came to the head of its list, by the clock of the lists.
    came: u16,
}

/// A folio that was not used lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Victim {
    pub frame: FrameNo,
    /// It came because somebody goes through its file, and was not used otherwise.
    pub passing: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self { prev: NONE, next: NONE, list: List::Inactive, passing: false, came: 0 }
    }
}

#[derive(Clone, Copy, Debug, Hash)]
struct Ends {
    head: u32,
    tail: u32,
    /// Pages on the list (not folios).
    pages: u64,
}

#[derive(Debug, Hash)]
struct Lists {
    ends: [Ends; 2],
    /// By frame of the node.
    links: Vec<Link>,
    /// Pages that ever came to the head of a list.
    pushed: u64,
}

/// The lists of one node.
#[derive(Debug)]
pub(crate) struct Lru {
    first: FrameNo,
    lists: Mutex<Lists>,
}

impl Lru {
    /// Empty lists for a node; None when there is no memory for them.
    pub fn new(first: FrameNo, frames: u32) -> Option<Self> {
        let mut links = vec_with_room(frames as usize)?;
        links.resize(frames as usize, Link::default());
        let ends = Ends { head: NONE, tail: NONE, pages: 0 };
        Some(Self { first, lists: Mutex::new(Lists { ends: [ends; 2], links, pushed: 0 }) })
    }

    /// Names the lock in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self, node: crate::units::NodeId) {
        let named = || format!("lru of {node}");
        crate::sync::name(&self.lists, named, crate::model::names::nothing);
    }

    /// Puts a folio at the head of its list. The caller holds it, and nobody else put it there.
    #[doc(alias = "folio_add_lru")]
    pub fn add(&self, folios: &Folios, frame: FrameNo) {
        self.add_for(Use::Counts, folios, frame);
    }

    /// The same, of a folio that was read for this use.
    pub fn add_for(&self, uses: Use, folios: &Folios, frame: FrameNo) {
        call(|| self.lists.lock().add(uses, folios, self.first, frame));
    }

    /// The same, of many.
    pub fn add_all(&self, uses: Use, folios: &Folios, frames: impl IntoIterator<Item = FrameNo>) {
        call(|| {
            let mut lists = self.lists.lock();
            for frame in frames {
                lists.add(uses, folios, self.first, frame);
            }
        });
    }

    /// Takes folios of this node off their lists, with a reference; false for one that is not on a list
    /// (somebody else has it isolated, or it is new), or is frozen, or free.
    #[doc(alias = "folio_isolate_lru")]
    #[must_use]
    pub fn isolate(&self, folios: &Folios, frames: &[FrameNo]) -> Vec<bool> {
        call(|| {
            let mut lists = self.lists.lock();
            frames.iter().map(|frame| lists.isolate(folios, self.first, *frame)).collect()
        })
    }

    /// Takes a folio off its list that has lost its last reference.
    #[doc(alias = "__page_cache_release")]
    pub fn remove_freed(&self, folios: &Folios, frame: FrameNo) {
        let folio = folios.get(frame);
        // Nobody has a reference any more, and so nobody puts it on a list now. (A folio that has
        // moved away was taken off before.)
        if !folio.state.has(Flag::ON_LRU) {
            return;
        }
        let mut lists = self.lists.lock();
        if folio.state.test_and_clear(Flag::ON_LRU) {
            lists.unlink(frame.0 - self.first.0, folio.pages());
        }
    }

    /// Up to `count` folios that were not used lately, coldest first, and each once; they stay on the
    /// list, but go to its head, so that those which turn out to be busy are not met again at once. With
    /// those that are passing come those beside them, which stay where they are: fewer than a block too
    /// many.
    /// Folios that were used are given their second chance on the way; at most `scan` are looked at
    /// (the number that was is the second answer). With `force` active ones are taken, too, however
    /// many inactive ones there are, and even when all of those were looked at: they may all be pinned.
    #[doc(alias = "shrink_inactive_list")]
    #[doc(alias = "shrink_active_list")]
    pub fn coldest(
        &self,
        folios: &Folios,
        count: usize,
        scan: usize,
        force: bool,
        evictable: impl Fn(&Folio) -> bool,
    ) -> (Vec<Victim>, usize) {
        let mut lists = self.lists.lock();
        let mut cold = Vec::with_capacity(count);
        let mut scanned = 0;
        let mut first_back = NONE;
        let retry = Retry::new();
        while cold.len() < count && scanned < scan {
            retry.keep(&(&*lists, &cold, scanned, first_back));
            let looked = lists.balance(folios, self.first, force);
            let at = lists.ends[List::Inactive as usize].tail;
            // There are none, or all of them were looked at, and what is active is left alone.
            if at == NONE || at == first_back && !(force && looked) {
                break;
            }
            if at == first_back {
                // What comes from the active list is behind them: once more round.
                first_back = NONE;
            }
            scanned += 1;
            let frame = self.first.add(at);
            let folio = folios.get(frame);
            let size = folio.pages();
            let Link { passing, came, .. } = lists.links[at as usize];
            lists.unlink(at, size);
            if folio.state.test_and_clear(Flag::REFERENCED) {
                folio.state.set(Flag::ACTIVE);
                lists.push(at, List::Active, size, false);
            } else {
                lists.push(at, List::Inactive, size, passing);
                if first_back == NONE {
                    first_back = at;
                }
                let victim = Victim { frame, passing };
                if !cold.contains(&victim) && call(|| evictable(folio)) {
                    cold.push(victim);
                    if passing {
                        let beside = lists.beside(folios, self.first, at, came);
                        let beside = beside.filter(|other| evictable(folios.get(other.frame)));
                        cold.extend(
                            beside.filter(|other| !cold.contains(other)).collect::<Vec<_>>(),
                        );
                    }
                }
            }
        }
        (cold, scanned)
    }

    /// Pages on the lists: (active, inactive).
    pub fn sizes(&self) -> (u64, u64) {
        let lists = self.lists.lock();
        (lists.ends[1].pages, lists.ends[0].pages)
    }
}

impl Lists {
    fn add(&mut self, uses: Use, folios: &Folios, first: FrameNo, frame: FrameNo) {
        let folio = folios.get(frame);
        let active = folio.state.has(Flag::ACTIVE);
        let list = if active { List::Active } else { List::Inactive };
        self.push(frame.0 - first.0, list, folio.pages(), uses == Use::Passing);
        let was = folio.state.set(Flag::ON_LRU);
        rule(!was, "on one list only");
    }

    fn isolate(&mut self, folios: &Folios, first: FrameNo, frame: FrameNo) -> bool {
        let folio = folios.get(frame);
        let isolated = folio.state.try_isolate();
        if isolated {
            self.unlink(frame.0 - first.0, folio.pages());
        }
        isolated
    }

    fn push(&mut self, at: u32, list: List, size: u32, passing: bool) {
        let ends = &mut self.ends[list as usize];
        let next = ends.head;
        ends.head = at;
        if next == NONE {
            ends.tail = at;
        }
        ends.pages += u64::from(size);
        if next != NONE {
            self.links[next as usize].prev = at;
        }
        let came = self.now();
        if BLOCK > 1 {
            self.pushed += u64::from(size);
        }
        self.links[at as usize] = Link { prev: NONE, next, list, passing, came };
    }

    /// A clock that goes with the pages that come to the lists; it goes round when as many have come as
    /// the node has, eight times at least. (In models, where nothing goes together, it stands.)
    fn now(&self) -> u16 {
        let tick = (self.links.len() >> 12).max(1) as u64;
        (self.pushed / tick) as u16
    }

    /// The folios that lie beside this one, are passing as it is, and came about when it did: at least
    /// half as long ago. (Those that came later may have been read ahead for somebody who has not come
    /// to them yet.)
    fn beside<'a>(
        &'a self,
        folios: &'a Folios,
        first: FrameNo,
        at: u32,
        came: u16,
    ) -> impl Iterator<Item = Victim> + 'a {
        let since = move |came: u16| self.now().wrapping_sub(came);
        let start = at - at % BLOCK; // Nodes begin at a multiple of it.
        let block = start..(start + BLOCK).min(self.links.len() as u32);
        block.filter(move |other| *other != at).filter_map(move |other| {
            let link = self.links[other as usize];
            let state = folios.get(first.add(other)).state.load();
            let goes = link.passing
                && link.list == List::Inactive
                && since(link.came) >= since(came) / 2
                && state.has(Flag::ON_LRU)
                && !state.has(Flag::REFERENCED);
            goes.then_some(Victim { frame: first.add(other), passing: true })
        })
    }

    fn unlink(&mut self, at: u32, size: u32) {
        let Link { prev, next, list, .. } = self.links[at as usize];
        let ends = &mut self.ends[list as usize];
        ends.pages -= u64::from(size);
        if prev == NONE {
            ends.head = next;
        }
        if next == NONE {
            ends.tail = prev;
        }
        if prev != NONE {
            self.links[prev as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].prev = prev;
        }
    }

    /// Looks at the folio at the active tail when the active list is the larger one, or by force, and
    /// moves it down if it was not used; whether there was one to look at.
    fn balance(&mut self, folios: &Folios, first: FrameNo, force: bool) -> bool {
        let [inactive, active] = self.ends;
        if active.tail == NONE || active.pages <= inactive.pages && !force {
            return false;
        }
        let at = active.tail;
        let folio = folios.get(first.add(at));
        let size = pages(folio.order());
        self.unlink(at, size);
        if folio.state.test_and_clear(Flag::REFERENCED) && inactive.tail != NONE {
            self.push(at, List::Active, size, false);
        } else {
            folio.state.test_and_clear(Flag::ACTIVE);
            self.push(at, List::Inactive, size, false);
        }
        true
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};

    #[test]
    fn where_few_folios_are_cold_each_is_named_once_however_many_are_asked_for() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let lru = &core.lrus[0];
        let folios: Vec<_> = (0..5).map(|_| core.alloc_on(&core.nodes[0], 0, 0, &[])).collect();
        for fresh in folios.iter().flatten() {
            lru.add(&core.folios, fresh.folio.frame);
        }
        let (mut cold, scanned) = lru.coldest(&core.folios, 32, 256, false, |_| true);
        cold.sort_by_key(|victim| victim.frame);
        assert_eq!((cold.len(), scanned), (5, 5));
        cold.dedup();
        assert_eq!(cold.len(), 5);
        // Nothing that can go is no reason to look at the same ones again, either; also by force.
        assert_eq!(lru.coldest(&core.folios, 32, 256, false, |_| false), (vec![], 5));
        assert_eq!(lru.coldest(&core.folios, 32, 256, true, |_| false), (vec![], 5));
        // As many as are asked for, and no more looked at than may be.
        let cold = |count, scan| {
            let (cold, scanned) = lru.coldest(&core.folios, count, scan, false, |_| true);
            (cold.len(), scanned)
        };
        assert_eq!((cold(2, 256), cold(5, 3)), ((2, 2), (3, 3)));
    }

    #[test]
    fn active_folios_are_looked_at_when_they_are_more_or_by_force_and_those_used_go_round_again() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let lru = &core.lrus[0];
        let folios = [(); 4].map(|()| core.alloc_on(&core.nodes[0], 0, 0, &[]).unwrap());
        let [first, .., last] = &folios;
        for fresh in &folios[1..] {
            fresh.folio.folio().state.set(Flag::ACTIVE);
        }
        for fresh in &folios {
            lru.add(&core.folios, fresh.folio.frame);
        }
        let cold = |force| lru.coldest(&core.folios, 1, 256, force, |_| true).0[0].frame;
        assert_eq!(lru.sizes(), (3, 1));
        // One comes down, and has its time on the other list.
        assert_eq!((cold(false), lru.sizes()), (first.folio.frame, (2, 2)));
        // As many there as here: those that are active are left alone.
        assert_eq!((cold(false), lru.sizes()), (folios[1].folio.frame, (2, 2)));
        assert_eq!((cold(true), lru.sizes()), (first.folio.frame, (1, 3)));
        // The last active one is in use.
        last.folio.folio().state.set(Flag::REFERENCED);
        assert_eq!((cold(true), lru.sizes()), (folios[1].folio.frame, (1, 3)));
        let state = &last.folio.folio().state;
        assert!(state.has(Flag::ACTIVE) && !state.has(Flag::REFERENCED));
    }

    #[test]
    fn where_nothing_is_inactive_what_is_active_comes_down_used_or_not() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let lru = &core.lrus[0];
        let fresh = core.alloc_on(&core.nodes[0], 0, 0, &[]).unwrap();
        let (state, frame) = (&fresh.folio.folio().state, fresh.folio.frame);
        state.set(Flag::ACTIVE);
        state.set(Flag::REFERENCED);
        lru.add(&core.folios, frame);
        let victim = Victim { frame, passing: false };
        assert_eq!(lru.coldest(&core.folios, 1, 256, false, |_| true), (vec![victim], 1));
        assert_eq!(lru.sizes(), (0, 1));
    }

    #[test]
    fn what_passes_is_named_as_that_until_it_is_used() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let lru = &core.lrus[0];
        let fresh = || core.alloc_on(&core.nodes[0], 0, 0, &[]).unwrap();
        let [stays, passes, used] = [fresh(), fresh(), fresh()];
        let [stays, passes, used] = [&stays, &passes, &used].map(|fresh| fresh.folio.frame);
        lru.add(&core.folios, stays);
        lru.add_for(Use::Passing, &core.folios, passes);
        lru.add_for(Use::Passing, &core.folios, used);
        core.folio(used).state.used(Use::Passing);
        assert!(!core.folio(used).state.has(Flag::REFERENCED));
        core.folio(used).state.set(Flag::REFERENCED);
        let victim = |frame, passing| Victim { frame, passing };
        let cold = || lru.coldest(&core.folios, 2, 256, false, |_| true).0;
        // Looked at twice: who could not be evicted is as he was.
        assert_eq!(cold(), [victim(stays, false), victim(passes, true)]);
        assert_eq!(cold(), [victim(stays, false), victim(passes, true)]);
        core.folio(passes).state.set(Flag::REFERENCED);
        assert!((0..4).flat_map(|_| cold()).all(|victim| !victim.passing));
    }

    #[test]
    fn what_passes_goes_with_those_that_came_with_it_and_lie_beside_it() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let (lru, node) = (&core.lrus[0], &core.nodes[0]);
        let frames = node.alloc_run(BLOCK, 0).unwrap();
        let fresh: Vec<_> = frames.map(|frame| core.claim(node, FrameNo(frame), 0, &[])).collect();
        let frames: Vec<_> = fresh.iter().map(|fresh| fresh.folio.frame).collect();
        let [used, stays, late, busy, away] = [3, 5, 7, 9, 11].map(|at| frames[at]);
        // The first one that comes lies in their midst.
        let come = frames.iter().cycle().skip(20).take(frames.len());
        for frame in come.filter(|frame| **frame != late) {
            let uses = if *frame == stays { Use::Counts } else { Use::Passing };
            lru.add_for(uses, &core.folios, *frame);
        }
        // This one is read ahead when half of a window has come since.
        let _others: Vec<_> = (0..2 * BLOCK)
            .map(|_| {
                let other = core.alloc_on(node, 0, 0, &[]).unwrap();
                lru.add_for(Use::Passing, &core.folios, other.folio.frame);
                other
            })
            .collect();
        lru.add_for(Use::Passing, &core.folios, late);
        core.folio(used).state.set(Flag::REFERENCED);
        assert_eq!(lru.isolate(&core.folios, &[away]), [true]);
        let is_busy = std::ptr::from_ref(core.folio(busy));
        let can_go = |folio: &Folio| !std::ptr::eq(folio, is_busy);
        let (cold, scanned) = lru.coldest(&core.folios, 1, 256, false, can_go);
        assert_eq!(scanned, 1);
        let mut went: Vec<_> = cold.iter().map(|victim| victim.frame).collect();
        went.sort();
        let left = [used, stays, late, busy, away];
        let goes = frames.iter().copied().filter(|frame| !left.contains(frame));
        assert_eq!(went, goes.collect::<Vec<_>>());
        assert!(cold.iter().all(|victim| victim.passing));
        core.put(away);
    }

    /// A read failed for lack of memory, where all pages but one were active and used: the inactive one
    /// could not go, and with it looked at, the look ended, each time.
    #[test]
    fn where_what_is_inactive_cannot_go_active_folios_are_found_even_if_all_were_used() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let lru = &core.lrus[0];
        let folios: Vec<_> = (0..50).map(|_| core.alloc_on(&core.nodes[0], 0, 0, &[])).collect();
        let folios: Vec<_> = folios.iter().flatten().map(|fresh| &fresh.folio).collect();
        for folio in &folios {
            folio.folio().state.set(Flag::ACTIVE);
            folio.folio().state.set(Flag::REFERENCED);
            lru.add(&core.folios, folio.frame);
        }
        let stays = folios[0].folio();
        stays.state.test_and_clear(Flag::REFERENCED);
        let can_go = |folio: &Folio| !std::ptr::eq(folio, stays);
        let looks = (0..4).map(|_| lru.coldest(&core.folios, 32, 256, true, can_go).0.len());
        assert!(looks.sum::<usize>() > 0);
    }
}
