//! The only door to atomics, locks and parking, so that the code which ships is the code that is
//! checked. Behind it stand
//!
//! | cfg | what | for |
//! |---|---|---|
//! | – | the standard library's | programs |
//! | `refolio_loom` | loom's | every interleaving, with every stale value that the orderings let a load see |
//! | `refolio_explore` | those of `refolio-explore` | every interleaving of more threads, and longer ones, each load seeing the newest value |
//!
//! (`refolio_model` stands for either of the last two. `refolio_tsan` is a program whose locks are
//! parking_lot's, which ThreadSanitizer can see through.)
//!
//! Locks here ignore poisoning: no code of ours unwinds while it holds one, and a caller's panic
//! must not take the cache away from every other thread.

#[cfg(refolio_loom)]
mod checked;
#[cfg(refolio_tsan)]
mod instrumented;
#[cfg(not(refolio_explore))]
mod locks;
#[cfg(refolio_loom)]
mod rwlock;

#[cfg(refolio_loom)]
pub use checked::{AtomicPtr, AtomicU32, AtomicU64};
#[cfg(refolio_tsan)]
use instrumented as native;
#[cfg(not(refolio_explore))]
pub use locks::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(refolio_loom)]
pub use loom::{sync::atomic::fence, thread};
#[cfg(refolio_explore)]
pub use refolio_explore::{
    AtomicPtr, AtomicU32, AtomicU64, Condvar, Mutex, MutexGuard, Retry, RwLock, RwLockReadGuard,
    RwLockWriteGuard, Show, call, fence, key, name, narrate, reached, thread, thread_local,
};
#[cfg(not(refolio_tsan))]
use std as native;
pub use std::sync::Arc;
pub use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
#[cfg(not(refolio_model))]
pub use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, fence};
#[cfg(not(refolio_model))]
pub use std::thread_local;

#[cfg(refolio_loom)]
pub use crate::checked_thread_local as thread_local;

/// The head of a loop that waits for another thread to move on, and learns nothing in a turn that
/// was in vain: its variables are then what they were.
#[cfg(not(refolio_explore))]
#[derive(Debug)]
pub struct Retry;

#[cfg(not(refolio_explore))]
impl Retry {
    /// Before the loop.
    #[inline]
    #[allow(clippy::new_without_default)] // It stands for a place in the code, not for a value.
    pub fn new() -> Self {
        Self
    }

    /// Where the loop begins again, after it has waited.
    #[inline]
    pub fn anew(&self) {}

    /// Where the loop begins again, and has learned `_kept`, which is all that is left of it.
    #[inline]
    pub fn keep<T>(&self, _kept: &T) {}

    /// Where the loop begins again at once: it spins.
    #[inline]
    pub fn again(&self) {
        spin();
    }
}

/// Tells the processor, or the checker, that this thread spins until another one moves on.
#[cfg(not(refolio_explore))]
#[inline]
pub fn spin() {
    #[cfg(refolio_loom)]
    loom::thread::yield_now();
    #[cfg(not(refolio_loom))]
    std::hint::spin_loop();
}

/// Tells the processor that this thread spins; the checker has better ways ([`Retry`]).
#[cfg(refolio_explore)]
#[inline]
pub fn spin() {}

/// What must be true whenever a thread comes here: asserted in debug builds, and under the
/// checkers.
#[inline]
#[track_caller]
pub fn rule(holds: bool, rule: &'static str) {
    #[cfg(not(refolio_explore))]
    debug_assert!(holds, "{rule}");
    // While a broken rule unwinds, others may well be broken.
    #[cfg(refolio_explore)]
    if !holds && !std::thread::panicking() {
        refolio_explore::violated(rule);
    }
}

/// Whether the model that runs has taken the named protection away. Always false in a program:
/// the call then compiles to nothing. (The feature `broken` is for the tests of the conformance
/// suite: a whole process without one protection.)
#[inline(always)]
pub fn broken(_protection: &'static str) -> bool {
    #[cfg(refolio_model)]
    return BROKEN.get() == Some(_protection);
    #[cfg(all(not(refolio_model), feature = "broken"))]
    return TAKEN_AWAY.get().is_some_and(|name| *name == _protection);
    #[cfg(not(any(refolio_model, feature = "broken")))]
    false
}

#[cfg(all(not(refolio_model), feature = "broken"))]
static TAKEN_AWAY: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Takes the named protection away, in this process and for good; only the first call counts.
#[cfg(all(not(refolio_model), feature = "broken"))]
pub fn take_away(protection: &str) {
    TAKEN_AWAY.get_or_init(|| protection.into());
}

#[cfg(refolio_model)]
std::thread_local! {
    static BROKEN: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Runs `model` without the named protection (none: with all of them). The checker runs all
/// threads of a model on the calling one, so models beside each other do not meet.
#[cfg(refolio_model)]
pub fn without<R>(protection: Option<&'static str>, model: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            BROKEN.set(None);
        }
    }
    BROKEN.set(protection);
    let _restore = Restore;
    model()
}

/// Notes, for the model that runs, that its search came here. In a program it compiles to nothing.
#[cfg(not(refolio_explore))]
#[inline(always)]
pub fn reached(_place: &'static str) {
    #[cfg(refolio_loom)]
    REACHED.with_borrow_mut(|places| *places.entry(_place).or_default() += 1);
}

#[cfg(refolio_loom)]
std::thread_local!(static REACHED: std::cell::RefCell<Reached> = std::cell::RefCell::default());

/// How often the search came to each place.
#[cfg(refolio_loom)]
pub type Reached = std::collections::BTreeMap<&'static str, u64>;

/// Where the search came since this was asked last.
#[cfg(refolio_loom)]
pub fn take_reached() -> Reached {
    REACHED.take()
}

/// Says, in the trace of a model, what the thread does. In a program it compiles to nothing.
#[cfg(not(refolio_explore))]
#[inline(always)]
pub fn narrate(_what: impl FnOnce() -> String) {}

/// Runs `act`, whose result is all that matters of it afterwards: the checker may then take more
/// states for the same.
#[cfg(not(refolio_explore))]
#[inline(always)]
pub fn call<R>(act: impl FnOnce() -> R) -> R {
    act()
}

/// What only reports: the standard library's always; to the checkers it does not exist.
pub mod unwatched {
    pub use super::native::sync::{Mutex, MutexGuard};
    pub use std::sync::PoisonError;
    pub use std::sync::atomic::{AtomicU32, AtomicU64};

    /// Waits for a lock, and ignores poisoning as all locks here.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts and reports, what a lock protects, and what decides little: no place where a checker
/// tries another thread, which then has fewer words to interleave.
pub mod plain {
    pub use super::native::sync::RwLock;
    #[cfg(not(refolio_explore))]
    pub use super::native::sync::{Mutex, MutexGuard};
    #[cfg(refolio_explore)]
    pub use refolio_explore::plain::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Mutex, MutexGuard,
    };
    pub use std::sync::PoisonError;
    #[cfg(not(refolio_explore))]
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

    /// Waits for a lock, and ignores poisoning as all locks here.
    #[cfg(not(refolio_explore))]
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lock.
    #[cfg(refolio_explore)]
    pub fn lock<T: std::hash::Hash>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
