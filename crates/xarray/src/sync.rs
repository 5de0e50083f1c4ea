//! The only door to atomics, locks and parking: the standard library's, or loom's under
//! `--cfg refolio_loom`, so that the code which ships is the code that is checked.
//!
//! Locks here ignore poisoning: no code of ours unwinds while it holds one, and a caller's panic
//! must not take the cache away from every other thread.

#[cfg(refolio_loom)]
use loom as imp;
#[cfg(not(refolio_loom))]
use std as imp;

#[cfg(refolio_loom)]
pub use checked::{AtomicPtr, AtomicU32, AtomicU64};
pub use imp::sync::MutexGuard;
pub use imp::sync::atomic::fence;
#[cfg(not(refolio_loom))]
pub use imp::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
#[cfg(not(refolio_loom))]
pub use imp::sync::{RwLockReadGuard, RwLockWriteGuard};
#[cfg(refolio_loom)]
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use std::sync::Arc;
pub use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

use std::sync::PoisonError;
use std::time::Duration;

#[cfg(refolio_loom)]
mod rwlock;

/// Mutual exclusion over a `T`.
#[derive(Debug, Default)]
pub struct Mutex<T>(imp::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    pub fn new(value: T) -> Self {
        Self(imp::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Many readers or one writer over a `T`.
#[cfg(not(refolio_loom))]
#[derive(Debug, Default)]
pub struct RwLock<T>(imp::sync::RwLock<T>);

#[cfg(not(refolio_loom))]
impl<T> RwLock<T> {
    /// A new, unlocked lock.
    pub fn new(value: T) -> Self {
        Self(imp::sync::RwLock::new(value))
    }

    /// Waits until no writer holds the lock.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared lock, unless that would mean to wait.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok()
    }

    /// Waits until nobody holds the lock.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue of threads that wait for a change under a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(imp::sync::Condvar);

impl Condvar {
    /// A new queue.
    pub fn new() -> Self {
        Self(imp::sync::Condvar::new())
    }

    /// Unlocks, sleeps until notified (or without cause), locks again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`wait`](Self::wait), but at most for `limit`. The checker has no clock: there it waits
    /// until notified.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Tells the processor, or the checker, that this thread spins until another one moves on.
#[inline]
pub fn spin() {
    #[cfg(refolio_loom)]
    loom::thread::yield_now();
    #[cfg(not(refolio_loom))]
    std::hint::spin_loop();
}

/// Whether the model that runs has taken the named protection away. Always false in a program:
/// the call then compiles to nothing.
#[inline(always)]
pub fn broken(_protection: &'static str) -> bool {
    #[cfg(refolio_loom)]
    return BROKEN.get() == Some(_protection);
    #[cfg(not(refolio_loom))]
    false
}

#[cfg(refolio_loom)]
std::thread_local! {
    static BROKEN: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Runs `model` without the named protection (none: with all of them). The checker runs all
/// threads of a model on the calling one, so models beside each other do not meet.
#[cfg(refolio_loom)]
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

/// As the standard library's. Loom's own takes no `const`.
#[cfg(refolio_loom)]
#[doc(hidden)]
#[macro_export]
macro_rules! checked_thread_local {
    ($visible:vis static $name:ident: $t:ty = const $init:block $(;)?) => {
        ::loom::thread_local!($visible static $name: $t = $init);
    };
    ($($local:tt)*) => { ::loom::thread_local!($($local)*); };
}

#[cfg(refolio_loom)]
pub use crate::checked_thread_local as thread_local;
#[cfg(not(refolio_loom))]
pub use std::thread_local;

/// The checker's atomics, made so that it misses no execution.
///
/// Loom 0.7 knows of each atomic only who touched it last. When a thread loads what it is about to
/// store, the load of another thread before that is forgotten, and the executions in which the
/// store comes before it are never tried (loom's issues 166 and 392). Here every load takes its
/// turn in a word beside the atomic first: so two loads depend on each other, both orders are
/// tried, and in one of them the last to touch the atomic before the other thread's load is the
/// store. The turns are Relaxed, and order nothing.
#[cfg(refolio_loom)]
mod checked {
    use super::{Ordering, Relaxed};
    use loom::sync::atomic;
    use std::ops::{Deref, DerefMut};

    macro_rules! checked {
        ($name:ident $(<$t:ident>)?, $value:ty) => {
            /// As the standard library's.
            #[derive(Debug)]
            pub struct $name $(<$t>)? {
                value: atomic::$name $(<$t>)?,
                turn: atomic::AtomicU32,
            }

            impl $(<$t>)? $name $(<$t>)? {
                /// With this value.
                #[track_caller]
                pub fn new(value: $value) -> Self {
                    Self { value: atomic::$name::new(value), turn: atomic::AtomicU32::new(0) }
                }

                /// After having taken its turn.
                #[track_caller]
                pub fn load(&self, order: Ordering) -> $value {
                    self.turn.fetch_add(1, Relaxed);
                    self.value.load(order)
                }
            }

            impl $(<$t>)? Deref for $name $(<$t>)? {
                type Target = atomic::$name $(<$t>)?;
                fn deref(&self) -> &Self::Target {
                    &self.value
                }
            }

            impl $(<$t>)? DerefMut for $name $(<$t>)? {
                fn deref_mut(&mut self) -> &mut Self::Target {
                    &mut self.value
                }
            }
        };
    }

    checked!(AtomicU32, u32);
    checked!(AtomicU64, u64);
    checked!(AtomicPtr<T>, *mut T);

    impl Default for AtomicU32 {
        fn default() -> Self {
            Self::new(0)
        }
    }

    impl Default for AtomicU64 {
        fn default() -> Self {
            Self::new(0)
        }
    }
}

/// What counts and reports, and decides nothing: the standard library's also under the checker,
/// which then has fewer words to interleave.
pub mod plain {
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
    pub use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

    /// Waits for a lock, and ignores poisoning as all locks here.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
