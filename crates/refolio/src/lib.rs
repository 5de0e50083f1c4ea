//! placeholder
mod sync;
mod units;
pub use units::*;
