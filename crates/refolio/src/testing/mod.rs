//! Stores for tests: they fail, stall and crash when told to. Wrap a store in an [`Arc`], give one
//! clone to the cache and keep the other to pull the strings.
//!
//! [`Arc`]: std::sync::Arc

mod crash;
mod deferred;
mod failing;

pub use crash::CrashStore;
pub use deferred::DeferredStore;
pub use failing::FailingStore;

/// The methods of a [`Store`](crate::Store) that a test can meddle with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Store::len`](crate::Store::len).
    Len,
    /// [`Store::read`](crate::Store::read).
    Read,
    /// [`Store::write`](crate::Store::write).
    Write,
    /// [`Store::sync`](crate::Store::sync).
    Sync,
    /// [`Store::set_len`](crate::Store::set_len).
    SetLen,
    /// [`Store::punch`](crate::Store::punch).
    Punch,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 6] =
        [Call::Len, Call::Read, Call::Write, Call::Sync, Call::SetLen, Call::Punch];
}
