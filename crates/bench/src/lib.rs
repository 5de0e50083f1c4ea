//! How near Refolio comes to what the machine can do, and how far ahead of what one would use
//! instead it is.
//!
//! A [`Suite`] is measured by [`run`]. What is compared takes turns within a few seconds, so that a
//! slower minute of the machine meets everything alike; a figure is the median of several
//! repetitions, and stands between the least and the greatest; a ratio is the median of the ratios
//! of the repetitions. Disturbed measurements are thrown away and repeated (see `noise.rs`).
//!
//! The engine is used through its public API alone.

mod contest;
mod cpus;
mod error;
mod limits;
mod noise;
#[cfg(feature = "peers")]
mod peers;
#[cfg(not(feature = "peers"))]
#[path = "no_peers.rs"]
mod peers;
mod picks;
pub mod picture;
mod plan;
mod reach;
mod resident;
mod results;
mod suites;
mod table;
mod ways;

pub use error::{Error, Result};
pub use noise::Spread;
pub use plan::{Host, Plan};
pub use results::{Better, Goal, Group, Line, Must, Results, Role};
pub use suites::Suite;
pub use suites::memory::child;
pub use table::plain;

/// Whether other caches are compiled in, to be compared with.
pub const HAS_PEERS: bool = cfg!(feature = "peers");

/// How many of them.
const PEERS: u64 = if HAS_PEERS { 5 } else { 0 };

/// How many CPUs this process may use.
pub fn cpus() -> usize {
    cpus::count()
}

/// Measures a suite. Takes as long as [`Suite::estimate`] says, more or less. When the host wants no
/// more, what was measured until then is in the results, which are not [`complete`](Results::complete).
///
/// # Errors
/// [`Error::Stopped`] when there was nothing yet; [`Error::Unusable`] when the machine or the plan
/// does not do for this suite; [`Error::Failed`] when something failed that should not.
pub fn run(suite: Suite, plan: &Plan, host: &dyn Host) -> Result<Results> {
    suites::run(suite, plan, host)
}
