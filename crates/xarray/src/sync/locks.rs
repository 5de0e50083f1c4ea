//! The standard library's locks, or loom's, without poisoning.

#[cfg(not(refolio_loom))]
use super::native as imp;
#[cfg(refolio_loom)]
use loom as imp;

#[cfg(refolio_loom)]
pub use super::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use imp::sync::MutexGuard;
#[cfg(not(refolio_loom))]
pub use imp::sync::{RwLockReadGuard, RwLockWriteGuard};

use std::sync::PoisonError;
use std::time::Duration;

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
