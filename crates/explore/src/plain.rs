//! Atomics and locks that are part of the state, but no crossroads: for what a lock of the scene
//! protects, and for what counts and decides little. The thread that uses one goes on at once.
//!
//! A lock of this kind must not be held where the thread may be held up.

use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError, atomic};

use crate::Ordering;
use crate::object::{Id, hash};
use crate::trace::Op;
use crate::turns::{quietly, with};

macro_rules! integer {
    ($name:ident, $value:ty) => {
        /// As the standard library's.
        #[derive(Debug)]
        pub struct $name {
            value: atomic::$name,
            id: Id,
        }

        impl $name {
            /// With this value.
            pub const fn new(value: $value) -> Self {
                Self { value: atomic::$name::new(value), id: Id::new() }
            }

            /// As the standard library's.
            pub fn load(&self, order: Ordering) -> $value {
                quietly(&self.id, Op::Load, || {
                    let now = self.value.load(order);
                    (now, now as u64, now as u64)
                })
            }

            /// As the standard library's.
            pub fn store(&self, value: $value, _order: Ordering) {
                quietly(&self.id, Op::Store, || {
                    let before = self.value.swap(value, Ordering::Relaxed);
                    ((), before as u64, value as u64)
                });
            }

            /// As the standard library's.
            pub fn swap(&self, value: $value, _order: Ordering) -> $value {
                quietly(&self.id, Op::Change, || {
                    let before = self.value.swap(value, Ordering::Relaxed);
                    (before, before as u64, value as u64)
                })
            }
        }
    };
}

macro_rules! counter {
    ($name:ident, $value:ty) => {
        integer!($name, $value);

        impl $name {
            /// As the standard library's.
            pub fn fetch_add(&self, by: $value, _order: Ordering) -> $value {
                quietly(&self.id, Op::Change, || {
                    let before = self.value.fetch_add(by, Ordering::Relaxed);
                    (before, u64::from(before), u64::from(before.wrapping_add(by)))
                })
            }

            /// As the standard library's.
            pub fn fetch_sub(&self, by: $value, _order: Ordering) -> $value {
                self.fetch_add(<$value>::wrapping_neg(by), Ordering::Relaxed)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

integer!(AtomicBool, bool);
counter!(AtomicU32, u32);
counter!(AtomicU64, u64);

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

/// As the standard library's. Not part of the state: only for what its value says nothing new of.
pub use std::sync::atomic::AtomicPtr;

/// Mutual exclusion, as the standard library's.
#[derive(Debug, Default)]
pub struct Mutex<T> {
    value: std::sync::Mutex<T>,
    id: Id,
}

impl<T: Hash> Mutex<T> {
    /// A new, unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self { value: std::sync::Mutex::new(value), id: Id::new() }
    }

    /// The lock, which is free.
    ///
    /// # Errors
    /// Never: the signature is the standard library's.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        with(|exec| exec.sees_content(&self.id));
        Ok(MutexGuard { value, id: &self.id, is_changed: false })
    }
}

/// As the standard library's.
#[derive(Debug)]
pub struct MutexGuard<'a, T: Hash> {
    value: std::sync::MutexGuard<'a, T>,
    id: &'a Id,
    is_changed: bool,
}

impl<T: Hash> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Hash> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.value
    }
}

impl<T: Hash> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.is_changed {
            let content = hash(&**self);
            with(|exec| exec.changes_content(self.id, content));
        }
    }
}
