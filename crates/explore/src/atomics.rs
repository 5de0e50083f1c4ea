//! Atomics as the standard library's, each operation of which may be a crossroads. The orderings
//! are accepted and ignored: every load sees the newest store.

use std::panic::Location;
use std::sync::atomic;

use crate::Ordering;
use crate::exec::Need;
use crate::object::Id;
use crate::trace::Op;
use crate::turns::{arrive, noted, operate, quietly, with};

/// One operation on the word within an atomic.
macro_rules! operation {
    ($self:ident, $op:expr, |$word:ident| $act:expr) => {{
        let $word = &$self.value;
        operate(&$self.id, $op, Location::caller(), || $act)
    }};
}

macro_rules! integer {
    ($name:ident, $value:ty) => {
        /// As the standard library's.
        #[derive(Debug)]
        pub struct $name {
            value: atomic::$name,
            pub(crate) id: Id,
        }

        impl $name {
            /// With this value.
            pub const fn new(value: $value) -> Self {
                Self { value: atomic::$name::new(value), id: Id::new() }
            }

            /// As the standard library's.
            #[track_caller]
            pub fn load(&self, _order: Ordering) -> $value {
                operation!(self, Op::Load, |word| {
                    let now = word.load(Ordering::Relaxed);
                    (now, u64::from(now), u64::from(now))
                })
            }

            /// As the standard library's.
            #[track_caller]
            pub fn store(&self, value: $value, _order: Ordering) {
                operation!(self, Op::Store, |word| {
                    let before = word.swap(value, Ordering::Relaxed);
                    ((), u64::from(before), u64::from(value))
                });
            }

            /// The value, for whoever knows that nobody changes it meanwhile; no crossroads.
            pub fn settled(&self) -> $value {
                quietly(&self.id, Op::Load, || {
                    let now = self.value.load(Ordering::Relaxed);
                    (now, u64::from(now), u64::from(now))
                })
            }

            /// As the standard library's.
            #[track_caller]
            pub fn swap(&self, value: $value, _order: Ordering) -> $value {
                self.change(|_| value)
            }

            /// As the standard library's.
            #[track_caller]
            pub fn fetch_add(&self, by: $value, _order: Ordering) -> $value {
                self.change(|now| now.wrapping_add(by))
            }

            /// As the standard library's.
            #[track_caller]
            pub fn fetch_sub(&self, by: $value, _order: Ordering) -> $value {
                self.change(|now| now.wrapping_sub(by))
            }

            /// As the standard library's.
            #[track_caller]
            pub fn fetch_or(&self, bits: $value, _order: Ordering) -> $value {
                self.change(|now| now | bits)
            }

            /// As the standard library's.
            #[track_caller]
            pub fn fetch_and(&self, bits: $value, _order: Ordering) -> $value {
                self.change(|now| now & bits)
            }

            /// As the standard library's.
            #[track_caller]
            pub fn fetch_max(&self, least: $value, _order: Ordering) -> $value {
                self.change(|now| now.max(least))
            }

            /// As the standard library's, at once.
            ///
            /// # Errors
            /// The value, when `change` answers None.
            #[track_caller]
            pub fn fetch_update(
                &self,
                _success: Ordering,
                _failure: Ordering,
                change: impl Fn($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                operation!(self, Op::Exchange, |word| {
                    let before = word.load(Ordering::Relaxed);
                    match change(before) {
                        Some(after) => {
                            word.store(after, Ordering::Relaxed);
                            (Ok(before), u64::from(before), u64::from(after))
                        }
                        None => (Err(before), u64::from(before), u64::from(before)),
                    }
                })
            }

            #[track_caller]
            fn change(&self, change: impl Fn($value) -> $value) -> $value {
                operation!(self, Op::Change, |word| {
                    let before = word.load(Ordering::Relaxed);
                    let after = change(before);
                    word.store(after, Ordering::Relaxed);
                    (before, u64::from(before), u64::from(after))
                })
            }

            /// As the standard library's.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                _success: Ordering,
                _failure: Ordering,
            ) -> Result<$value, $value> {
                operation!(self, Op::Exchange, |word| {
                    let order = Ordering::Relaxed;
                    let done = word.compare_exchange(current, new, order, order);
                    match done {
                        Ok(before) => (done, u64::from(before), u64::from(new)),
                        Err(now) => (done, u64::from(now), u64::from(now)),
                    }
                })
            }

            /// As the standard library's, but for failing without cause.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

integer!(AtomicU32, u32);
integer!(AtomicU64, u64);

/// As the standard library's. Where it holds an address, the search takes for the same what the
/// same thread saw first in the same place of its history.
#[derive(Debug)]
pub struct AtomicPtr<T> {
    value: atomic::AtomicPtr<T>,
    pub(crate) id: Id,
}

impl<T> AtomicPtr<T> {
    /// With this value.
    pub const fn new(value: *mut T) -> Self {
        Self { value: atomic::AtomicPtr::new(value), id: Id::new() }
    }

    /// As the standard library's.
    #[track_caller]
    pub fn load(&self, _order: Ordering) -> *mut T {
        let counts = arrive(&self.id, |_| Need::Nothing);
        let now = self.value.load(Ordering::Relaxed);
        if counts {
            let bits = now.addr() as u64;
            noted(&self.id, Op::Load, Location::caller(), bits, bits, true);
        }
        now
    }

    /// As the standard library's.
    #[track_caller]
    pub fn store(&self, value: *mut T, _order: Ordering) {
        let counts = arrive(&self.id, |_| Need::Nothing);
        let before = self.value.swap(value, Ordering::Relaxed);
        if counts {
            let (before, after) = (before.addr() as u64, value.addr() as u64);
            noted(&self.id, Op::Store, Location::caller(), before, after, true);
        }
    }

    /// The value, for whoever knows that nobody changes it meanwhile; no crossroads.
    pub fn settled(&self) -> *mut T {
        let now = self.value.load(Ordering::Relaxed);
        with(|exec| exec.sees_address(&self.id, now.addr() as u64));
        now
    }
}

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}

/// As the standard library's, and nothing: all executions are sequentially consistent.
#[inline]
pub fn fence(_order: Ordering) {}
