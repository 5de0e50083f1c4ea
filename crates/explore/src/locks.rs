//! Locks and condition variables. They ignore poisoning.
//!
//! What a lock protects is part of the state: it is hashed whenever a holder may have changed it.

use std::fmt;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::PoisonError;
use std::time::Duration;

use crate::exec::Need;
use crate::object::{Id, hash};
use crate::turns::{acquired, arrive, notify, sleep, with};

/// Mutual exclusion over a `T`.
#[derive(Default)]
pub struct Mutex<T> {
    value: std::sync::Mutex<T>,
    pub(crate) id: Id,
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T: Hash> Mutex<T> {
    /// A new, unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self { value: std::sync::Mutex::new(value), id: Id::new() }
    }

    /// Waits for the lock.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if arrive(&self.id, Need::Exclusive) {
            acquired(&self.id, false, Location::caller());
        }
        self.guard()
    }

    /// Whose turn it is finds the lock free.
    fn guard(&self) -> MutexGuard<'_, T> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { value: Some(value), lock: self, is_changed: false }
    }
}

/// The lock over a [`Mutex`].
pub struct MutexGuard<'a, T: Hash> {
    value: Option<std::sync::MutexGuard<'a, T>>,
    lock: &'a Mutex<T>,
    is_changed: bool,
}

impl<T: Hash> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").finish_non_exhaustive()
    }
}

impl<T: Hash> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }
}

impl<T: Hash> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_changed = true;
        self.value.as_mut().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }
}

impl<T: Hash> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        let content = self.is_changed.then(|| hash(&**self));
        self.value = None;
        with(|exec| exec.release(&self.lock.id, false, content));
    }
}

/// A queue of threads that wait for a change under a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar {
    pub(crate) id: Id,
}

impl Condvar {
    /// A new queue.
    pub const fn new() -> Self {
        Self { id: Id::new() }
    }

    /// Unlocks, sleeps until notified, locks again.
    #[track_caller]
    pub fn wait<'a, T: Hash>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let lock = guard.lock;
        if !arrive(&self.id, |_| Need::Nothing) {
            return guard;
        }
        drop(guard);
        sleep(&self.id, &lock.id, Location::caller());
        acquired(&lock.id, false, Location::caller());
        lock.guard()
    }

    /// As [`wait`](Self::wait): the checker has no clock.
    #[track_caller]
    pub fn wait_for<'a, T: Hash>(
        &self,
        guard: MutexGuard<'a, T>,
        _limit: Duration,
    ) -> MutexGuard<'a, T> {
        self.wait(guard)
    }

    /// Wakes every waiter.
    #[track_caller]
    pub fn notify_all(&self) {
        notify(&self.id, Location::caller());
    }
}

/// Many readers or one writer over a `T`.
#[derive(Default)]
pub struct RwLock<T> {
    value: std::sync::RwLock<T>,
    pub(crate) id: Id,
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

impl<T: Hash> RwLock<T> {
    /// A new, unlocked lock.
    pub const fn new(value: T) -> Self {
        Self { value: std::sync::RwLock::new(value), id: Id::new() }
    }

    /// Waits until no writer holds the lock.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        if arrive(&self.id, Need::Shared) {
            acquired(&self.id, true, Location::caller());
        }
        let value = self.value.read().unwrap_or_else(PoisonError::into_inner);
        RwLockReadGuard { value: Some(value), lock: self }
    }

    /// The shared lock, unless a writer holds it.
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let counts = arrive(&self.id, |_| Need::Nothing);
        if counts && with(|exec| exec.has_writer(&self.id)) == Some(true) {
            return None;
        }
        if counts {
            acquired(&self.id, true, Location::caller());
        }
        let value = self.value.try_read().ok()?;
        Some(RwLockReadGuard { value: Some(value), lock: self })
    }

    /// Waits until nobody holds the lock.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        if arrive(&self.id, Need::Exclusive) {
            acquired(&self.id, false, Location::caller());
        }
        let value = self.value.write().unwrap_or_else(PoisonError::into_inner);
        RwLockWriteGuard { value: Some(value), lock: self }
    }
}

/// The shared lock over an [`RwLock`].
pub struct RwLockReadGuard<'a, T> {
    value: Option<std::sync::RwLockReadGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

/// The exclusive lock over an [`RwLock`].
pub struct RwLockWriteGuard<'a, T: Hash> {
    value: Option<std::sync::RwLockWriteGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

impl<T> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockReadGuard").finish_non_exhaustive()
    }
}

impl<T: Hash> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWriteGuard").finish_non_exhaustive()
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }
}

impl<T: Hash> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }
}

impl<T: Hash> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        with(|exec| exec.release(&self.lock.id, true, None));
    }
}

impl<T: Hash> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        let content = Some(hash(&**self));
        self.value = None;
        with(|exec| exec.release(&self.lock.id, false, content));
    }
}
