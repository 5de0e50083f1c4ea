//! The checker's atomics, made so that it misses no execution.
//!
//! Loom 0.7 knows of each atomic only who touched it last. When a thread loads what it is about to
//! store, the load of another thread before that is forgotten, and the executions in which the
//! store comes before it are never tried (loom's issues 166 and 392). Here every load takes its
//! turn in a word beside the atomic first: so two loads depend on each other, both orders are
//! tried, and in one of them the last to touch the atomic before the other thread's load is the
//! store. The turns are Relaxed, and order nothing.

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

/// As the standard library's. Loom's own takes no `const`.
#[doc(hidden)]
#[macro_export]
macro_rules! checked_thread_local {
    ($visible:vis static $name:ident: $t:ty = const $init:block $(;)?) => {
        ::loom::thread_local!($visible static $name: $t = $init);
    };
    ($($local:tt)*) => { ::loom::thread_local!($($local)*); };
}
