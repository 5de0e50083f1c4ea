//! The word of a folio: references, flags and version in one atomic `u64`, and its named
//! transitions. Nobody changes a bit from outside this file.
//!
//! ```text
//!  63            32 31         20 19                    0
//! +----------------+-------------+-----------------------+
//! |    version     |    flags    |      references       |
//! +----------------+-------------+-----------------------+
//! ```
//!
//! **References.** 0 = frozen, or free. n = that many holders, each of which counts one: the page
//! cache (one per page of the folio), each present table entry, each pin, whoever isolated the
//! folio, private data. [`MAX_REFERENCES`] is never reached by counting: [`State::try_get`]
//! refuses.
//!
//! **Version.** Grows whenever the bytes or the identity may change: when the folio is frozen, taken
//! out of its file, or allocated. It is never reset, not even when the frame is freed, so a reader
//! that saw the same version before and after a copy has copied bytes that stood still. (It is 32
//! bits wide: a reader would have to sleep through exactly 2^32 changes of one folio, at the
//! speed of the fastest migration an hour and a half, to be deceived.)
//!
//! | flag | set by | means |
//! |---|---|---|
//! | `LOCKED` | `try_lock` | one thread holds the folio lock |
//! | `WAITERS` | `expect_waiter` | somebody sleeps until this word changes: wake them |
//! | `UPTODATE` | fill, write, migrate; under the folio lock | the bytes are those of the file, and to be trusted |
//! | `DIRTY` | write, migrate; under the folio lock | the file does not have these bytes yet |
//! | `WRITEBACK` | writeback, under the folio lock | the bytes are on their way to the file and stand still |
//! | `REFERENCED` | anyone | used since reclaim last looked |
//! | `ACTIVE` | whoever holds the folio off the LRU | belongs on the active list |
//! | `ON_LRU` | under the node's LRU lock | is on a list of its node, and may be isolated |
//! | `ANON` | allocation | has no file: known to table entries only |
//! | `PRIVATE` | the write guard, under the folio lock | carries the embedder's word, which holds a reference |
//! | `POISONED` | the write guard, under the folio lock | the bytes are not to be trusted, moved or written back; it has taken the place of `UPTODATE` |
//! | `GUARDED` | the write guard, under the folio lock | the lock is in the embedder's hands, for as long as it likes |

#[cfg(all(test, not(refolio_model)))]
mod tests;
#[cfg(refolio_explore)]
mod told;
use std::hint::cold_path;

mod word;

pub(crate) use word::{Flag, MAX_REFERENCES, Snapshot};
use word::{REFERENCES, VERSION_ONE};

use super::Use;
use crate::sync::{Acquire, AtomicU64, Relaxed, Release, Retry, broken, call, fence, rule};

/// What came of asking for a reference.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Get {
    Got,
    /// No reference can be had now: the folio is frozen (for a write, a move, an eviction) or free.
    Frozen,
    /// Every reference the word can count is taken.
    Saturated,
}

/// What giving a reference back left behind.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Put {
    /// Others hold the folio still.
    Others { wake: bool },
    /// That was the last one: the caller owns the folio alone and frees it.
    Last,
}

/// Whether a transition happened; if not, how many references there were.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Freeze {
    Frozen,
    Refused { references: u32 },
}

/// Whether somebody sleeps on the word and is to be woken now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wake(pub bool);

/// The word itself.
#[derive(Debug)]
pub(crate) struct State(AtomicU64);

impl State {
    /// A free frame.
    pub fn free() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word now. Acquire: what was done to the folio before the newest transition is seen by
    /// whoever goes on from this answer (an optimistic reader reads the identity and the bytes).
    #[inline]
    pub fn load(&self) -> Snapshot {
        Snapshot(self.0.load(if broken("load-relaxed") { Relaxed } else { Acquire }))
    }

    /// The flags now, and nothing else of the word; see [`load`](Self::load).
    pub fn flags(&self) -> Snapshot {
        call(|| self.load().flags())
    }

    /// The version now; see [`load`](Self::load).
    pub fn version(&self) -> u32 {
        call(|| self.load().version())
    }

    /// Whether the flag is set now; see [`load`](Self::load).
    pub fn has(&self, flag: Flag) -> bool {
        call(|| self.load().has(flag))
    }

    /// Whether bytes and identity have stood still since `before`: the second half of an optimistic
    /// read.
    #[inline]
    pub fn is_unchanged(&self, before: Snapshot) -> bool {
        if broken("read-skips-version") {
            return true;
        }
        // Acquire (fence): the relaxed reads of the bytes come before the load below. Whoever read
        // a byte stored after a change of version sees that change, since its maker put a Release
        // fence between the change and its stores.
        if !broken("read-without-fence") {
            fence(Acquire);
        }
        call(|| {
            let now = Snapshot(self.0.load(Relaxed));
            if now == before {
                return true; // As a rule not even a flag has changed.
            }
            cold_path();
            now.version() == before.version()
        })
    }

    /// Takes a free frame into use, with one reference and the folio lock, for its first owner.
    pub fn claim(&self, flags: &[Flag]) {
        let flags = flags.iter().fold(Flag::LOCKED.0, |all, flag| all | flag.0);
        // Relaxed: the frame came out of its node's free list, whose lock orders us after its last
        // owner. A RMW, because a reader that is late may still set REFERENCED or WAITERS on it.
        let claimed = |word: u64| {
            rule(word & REFERENCES == 0, "a free frame has no references");
            let kept = word & Flag::WAITERS.0 | word & !(VERSION_ONE - 1);
            let grown = if broken("claim-keeps-version") { 0 } else { VERSION_ONE };
            Some(kept.wrapping_add(grown) | flags | 1)
        };
        call(|| self.update(Relaxed, claimed).is_ok());
        // Release (fence): see `is_unchanged`.
        if !broken("claim-without-fence") {
            fence(Release);
        }
    }

    /// One more reference, unless the folio is frozen or free.
    #[doc(alias = "folio_try_get")]
    #[inline]
    pub fn try_get(&self) -> Get {
        // Acquire: pairs with the Release of `unfreeze`, so that the holder sees the identity and
        // the bytes that the freezer left. (Nothing is concluded from a refusal but to look again.)
        let order = if broken("try-get-relaxed") { Relaxed } else { Acquire };
        call(|| {
            let got = self.update(order, |word| {
                let free = word & REFERENCES == 0 && !broken("get-from-frozen");
                (!free && word & REFERENCES != REFERENCES).then_some(word + 1)
            });
            match got {
                Ok(_) => Get::Got,
                Err(word) if word & REFERENCES == 0 => Get::Frozen,
                Err(_) => Get::Saturated,
            }
        })
    }

    /// One more reference to a folio that can be read, and of which `is_it` says that it is the one
    /// that is meant; it counts as used. False where that takes longer.
    ///
    /// Unlike [`try_get`](Self::try_get) it never has a reference to another folio than that: the
    /// exchange succeeds only if the version has stood still since before `is_it` looked.
    #[inline]
    pub fn try_get_readable(&self, is_it: impl Fn() -> bool) -> bool {
        let retry = Retry::new();
        loop {
            let before = self.load();
            if !before.is_pinnable() || !is_it() {
                return false;
            }
            // Acquire (fence): what `is_it` read comes before the exchange, as in `is_unchanged`.
            if !broken("get-without-fence") {
                fence(Acquire);
            }
            if broken("get-skips-version") {
                self.0.fetch_add(1, Acquire);
                return true;
            }
            // Acquire: as `try_get`.
            let order = if broken("get-readable-relaxed") { Relaxed } else { Acquire };
            let held = (before.0 + 1) | Flag::REFERENCED.0;
            match self.0.compare_exchange_weak(before.0, held, order, Relaxed) {
                Ok(_) => return true,
                Err(_) => retry.again(),
            }
        }
    }

    /// `count` more references, for somebody who holds one already (so that it is not frozen).
    #[doc(alias = "folio_ref_add")]
    pub fn get_more(&self, count: u32) {
        // Relaxed: the holder's own reference has ordered everything already.
        call(|| {
            let before = self.0.fetch_add(u64::from(count), Relaxed) & REFERENCES;
            rule(before != 0, "a holder keeps the folio from being frozen");
            rule(before + u64::from(count) <= REFERENCES, "a folio has too many references");
        });
    }

    /// Gives `count` references back.
    #[doc(alias = "folio_put")]
    #[doc(alias = "folio_put_refs")]
    #[inline]
    pub fn put_many(&self, count: u32) -> Put {
        // Release: the holder's reads come before the freezer's writes, or the next owner's.
        let order = if broken("put-relaxed") { Relaxed } else { Release };
        let count = u64::from(count);
        call(|| {
            let before = self.0.fetch_sub(count, order);
            rule(before & REFERENCES >= count, "a reference was put twice");
            // One comparison for the usual case: others hold it still, and nobody waits. (A waiter's
            // flag stands above the references, and makes the number too large.)
            let left = (before & (REFERENCES | Flag::WAITERS.0)).wrapping_sub(count + 1);
            if left < REFERENCES {
                return Put::Others { wake: false };
            }
            cold_path();
            if before & REFERENCES == count {
                // Acquire (fence): the last one sees what all the others did, before the frame is
                // freed.
                if !broken("last-put-without-fence") {
                    fence(Acquire);
                }
                return Put::Last;
            }
            Put::Others { wake: true }
        })
    }

    /// From exactly `expected` references to none: from now on the caller owns the folio, since
    /// nobody can get a reference. Bytes and identity may change: the version grows.
    #[doc(alias = "folio_ref_freeze")]
    pub fn freeze(&self, expected: u32) -> Freeze {
        // Acquire: pairs with the Release of `put`: the reads of every earlier holder come before
        // our writes. (With Relaxed the last dropper's reads race with them.)
        let order = if broken("freeze-relaxed") { Relaxed } else { Acquire };
        let frozen = call(|| {
            let frozen = self.update(order, |word| {
                let counted = word & REFERENCES == u64::from(expected);
                let kept = if broken("count-without-freeze") { word & REFERENCES } else { 0 };
                let frozen = (word & !REFERENCES | kept).wrapping_add(VERSION_ONE);
                (counted || broken("freeze-without-count")).then_some(frozen)
            });
            match frozen {
                Ok(_) => Freeze::Frozen,
                Err(word) => Freeze::Refused { references: (word & REFERENCES) as u32 },
            }
        });
        // Release (fence): see `is_unchanged`.
        if frozen == Freeze::Frozen && !broken("freeze-without-fence") {
            fence(Release);
        }
        frozen
    }

    /// From frozen to `count` references.
    #[doc(alias = "folio_ref_unfreeze")]
    pub fn unfreeze(&self, count: u32) -> Wake {
        self.thaw(count, 0)
    }

    /// The same of a folio whose bytes are another's now: what that has [`inherit`](Self::inherit)ed
    /// is gone here.
    pub fn unfreeze_moved(&self, count: u32) -> Wake {
        self.thaw(count, Flag::MOVES & !Flag::ANON.0 & !Flag::UPTODATE.0)
    }

    fn thaw(&self, count: u32, gone: u64) -> Wake {
        // Release: whoever gets a reference (or reads the word) sees what was done while frozen.
        let order = if broken("unfreeze-relaxed") { Relaxed } else { Release };
        call(|| {
            let thawed = |word| Some(word & !REFERENCES & !gone | u64::from(count));
            let (Ok(before) | Err(before)) = self.update(order, thawed);
            let frozen = before & REFERENCES == 0 || broken("count-without-freeze");
            rule(frozen, "only a frozen folio is unfrozen");
            Wake(before & Flag::WAITERS.0 != 0)
        })
    }

    /// The version grows without a freeze: identity is about to change under the folio lock
    /// (truncation, which waits for nobody).
    pub fn bump_version(&self) {
        // Release, as a fence: see `is_unchanged`.
        call(|| _ = self.0.fetch_add(VERSION_ONE, Relaxed));
        if !broken("bump-without-fence") {
            fence(Release);
        }
    }

    /// The folio lock, if it is free.
    #[doc(alias = "folio_trylock")]
    #[must_use]
    pub fn try_lock(&self) -> bool {
        // Acquire: pairs with the Release of `unlock`.
        let order = if broken("lock-relaxed") { Relaxed } else { Acquire };
        call(|| self.0.fetch_or(Flag::LOCKED.0, order) & Flag::LOCKED.0 == 0)
    }

    /// Gives the folio lock back.
    #[doc(alias = "folio_unlock")]
    pub fn unlock(&self) -> Wake {
        // Release: the next holder sees what was done under the lock.
        self.clear(Flag::LOCKED, if broken("unlock-relaxed") { Relaxed } else { Release })
    }

    /// Gives the folio lock back, and with it a reference, in one step.
    pub fn unlock_and_put(&self) -> Put {
        // Release: as `unlock` and `put_many`.
        let relaxed = broken("unlock-relaxed") || broken("put-relaxed");
        let order = if relaxed { Relaxed } else { Release };
        call(|| {
            let changed = |word: u64| Some((word & !Flag::LOCKED.0).wrapping_sub(1));
            let (Ok(before) | Err(before)) = self.update(order, changed);
            rule(before & Flag::LOCKED.0 != 0, "only what was set is cleared");
            rule(before & REFERENCES != 0, "a reference was put twice");
            if before & REFERENCES != 1 {
                return Put::Others { wake: before & Flag::WAITERS.0 != 0 };
            }
            // Acquire (fence): as `put_many`.
            if !broken("last-put-without-fence") {
                fence(Acquire);
            }
            Put::Last
        })
    }

    /// Announces a sleeper, under the lock of its queue; the word with the announcement in it.
    pub fn expect_waiter(&self) -> Snapshot {
        // Acquire: the sleeper goes on from what it sees, as after `load`.
        let order = if broken("sleep-relaxed") { Relaxed } else { Acquire };
        Snapshot(self.0.fetch_or(Flag::WAITERS.0, order) | Flag::WAITERS.0)
    }

    /// Nobody sleeps any more: under the lock of the queue, before all are woken.
    pub fn no_waiters(&self) {
        // Relaxed: the lock of the queue orders sleepers and wakers.
        call(|| _ = self.0.fetch_and(!Flag::WAITERS.0, Relaxed));
    }

    /// The bytes are the file's from now on.
    #[doc(alias = "folio_mark_uptodate")]
    pub fn mark_uptodate(&self) {
        // Release: whoever sees the flag sees the bytes.
        let order = if broken("uptodate-relaxed") { Relaxed } else { Release };
        call(|| _ = self.0.fetch_or(Flag::UPTODATE.0, order));
    }

    /// The bytes are not to be trusted any more. Under the folio lock, while frozen.
    pub fn poison(&self) {
        self.set(Flag::POISONED);
        self.test_and_clear(Flag::UPTODATE);
    }

    /// All bytes have been overwritten: they are to be trusted, if they were not. Under the folio lock,
    /// while frozen.
    pub fn heal(&self) {
        if self.has(Flag::POISONED) {
            self.mark_uptodate();
            self.test_and_clear(Flag::POISONED);
        }
    }

    /// Sets a flag; whether it was set before. Relaxed: flags other than LOCKED and UPTODATE
    /// publish nothing; they change under the folio lock, or are hints.
    pub fn set(&self, flag: Flag) -> bool {
        call(|| self.0.fetch_or(flag.0, Relaxed) & flag.0 != 0)
    }

    /// Clears a flag; whether it was set before. Relaxed: as `set`.
    pub fn test_and_clear(&self, flag: Flag) -> bool {
        call(|| self.0.fetch_and(!flag.0, Relaxed) & flag.0 != 0)
    }

    /// A use by somebody who has a reference: whether the bytes are valid and to be trusted, which is
    /// when it may count as one; nothing else of the word.
    pub fn used(&self, uses: Use) -> Snapshot {
        call(|| {
            let now = self.load();
            if now.has(Flag::UPTODATE) && uses == Use::Counts {
                self.mark_referenced(now);
            }
            now.only(Flag::UPTODATE.0 | Flag::POISONED.0)
        })
    }

    /// Notes that the folio is used; writes only when that is news.
    #[doc(alias = "folio_mark_accessed")]
    #[inline]
    pub fn mark_referenced(&self, seen: Snapshot) {
        if !seen.has(Flag::REFERENCED) {
            self.set(Flag::REFERENCED);
        }
    }

    /// The bytes are with the file (or failed to get there) and may change again.
    #[doc(alias = "folio_end_writeback")]
    pub fn end_writeback(&self) -> Wake {
        // Release: the store's reads of the bytes come before the next writer's stores.
        let order = if broken("end-writeback-relaxed") { Relaxed } else { Release };
        self.clear(Flag::WRITEBACK, order)
    }

    /// Off the list, with a reference for the isolator; false when the folio is not on the list, is
    /// frozen, or is being freed. Under the LRU lock.
    #[doc(alias = "folio_isolate_lru")]
    #[must_use]
    pub fn try_isolate(&self) -> bool {
        // Acquire: as `try_get`, since it makes a holder.
        let order = if broken("isolate-relaxed") { Relaxed } else { Acquire };
        let isolated = || {
            self.update(order, |word| {
                let free = word & REFERENCES == 0 || word & REFERENCES == REFERENCES;
                let listed = word & Flag::ON_LRU.0 != 0 || broken("isolation-shared");
                (listed && !free).then_some((word & !Flag::ON_LRU.0) + 1)
            })
        };
        call(|| isolated().is_ok())
    }

    /// The flags that move with the bytes, from the frozen `source` to this folio, and `references`
    /// more, for whoever held the source.
    #[doc(alias = "folio_migrate_flags")]
    pub fn inherit(&self, source: &State, references: u32) {
        // Release: as `mark_uptodate`.
        let order = if broken("inherit-relaxed") { Relaxed } else { Release };
        let lost = if broken("dirty-left-behind") { Flag::DIRTY.0 } else { 0 };
        call(|| {
            // Relaxed: it is locked and frozen by us; what changes still are hints.
            let flags = source.0.load(Relaxed) & Flag::MOVES & !lost;
            _ = self.update(order, |word| Some((word | flags) + u64::from(references)));
        });
    }

    fn clear(&self, flag: Flag, order: crate::sync::Ordering) -> Wake {
        call(|| {
            let before = self.0.fetch_and(!flag.0, order);
            rule(before & flag.0 != 0, "only what was set is cleared");
            Wake(before & Flag::WAITERS.0 != 0)
        })
    }

    /// The word that a compare-exchange begins with. Relaxed: a stale one makes it fail, and tell the
    /// newest. (Loom would try out each stale one; there we begin with an exchange that fails.)
    #[cfg(not(refolio_explore))]
    #[inline]
    fn first_look(&self) -> u64 {
        if cfg!(refolio_loom) {
            return self.0.compare_exchange(!0, !0, Relaxed, Relaxed).unwrap_or_else(|word| word);
        }
        self.0.load(Relaxed)
    }

    /// Changes the word at once, unless `change` answers None: the word before, or the one that was
    /// not to be changed.
    #[inline]
    fn update(
        &self,
        success: crate::sync::Ordering,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        #[cfg(refolio_explore)]
        return self.0.fetch_update(success, Relaxed, change);
        #[cfg(not(refolio_explore))]
        {
            let mut word = self.first_look();
            while let Some(next) = change(word) {
                match self.0.compare_exchange_weak(word, next, success, Relaxed) {
                    Ok(_) => return Ok(word),
                    Err(newer) => word = newer,
                }
            }
            Err(word)
        }
    }
}
