//! The lock for readers and writers that the checker runs with. Loom's own blocks in `try_read`
//! when a writer comes between the call and its answer, and so finds deadlocks that are not there.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::plain::{self, PoisonError};
use super::{Condvar, Mutex};

/// As the standard library's.
#[derive(Default)]
pub struct RwLock<T> {
    turns: Mutex<Turns>,
    changed: Condvar,
    /// Free whenever `turns` says so.
    value: plain::RwLock<T>,
}

/// Who has the lock.
#[derive(Default)]
struct Turns {
    readers: u32,
    writer: bool,
    waiting: u32,
}

/// As the standard library's.
pub struct RwLockReadGuard<'a, T> {
    value: Option<std::sync::RwLockReadGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

/// As the standard library's.
pub struct RwLockWriteGuard<'a, T> {
    value: Option<std::sync::RwLockWriteGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

impl<T> RwLock<T> {
    /// A new, unlocked lock.
    pub fn new(value: T) -> Self {
        let value = plain::RwLock::new(value);
        Self { turns: Mutex::default(), changed: Condvar::default(), value }
    }

    /// Waits until no writer holds the lock.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.wait(|turns| turns.writer, |turns| turns.readers += 1);
        self.reader()
    }

    /// The shared lock, unless that would mean to wait.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let mut turns = self.turns.lock();
        if turns.writer {
            return None;
        }
        turns.readers += 1;
        drop(turns);
        Some(self.reader())
    }

    /// Waits until nobody holds the lock.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.wait(|turns| turns.writer || turns.readers > 0, |turns| turns.writer = true);
        let value = self.value.write().unwrap_or_else(PoisonError::into_inner);
        RwLockWriteGuard { value: Some(value), lock: self }
    }

    fn reader(&self) -> RwLockReadGuard<'_, T> {
        let value = self.value.read().unwrap_or_else(PoisonError::into_inner);
        RwLockReadGuard { value: Some(value), lock: self }
    }

    fn wait(&self, taken: impl Fn(&Turns) -> bool, take: impl FnOnce(&mut Turns)) {
        let mut turns = self.turns.lock();
        while taken(&turns) {
            turns.waiting += 1;
            turns = self.changed.wait(turns);
            turns.waiting -= 1;
        }
        take(&mut turns);
    }

    fn give_back(&self, give: impl FnOnce(&mut Turns)) {
        let mut turns = self.turns.lock();
        give(&mut turns);
        if turns.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap()
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap()
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap()
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.give_back(|turns| turns.readers -= 1);
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.give_back(|turns| turns.writer = false);
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}
