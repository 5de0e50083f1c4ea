//! placeholder
#[doc(hidden)]
pub mod sync;
