//! The subjects that ship.

mod dawdling;
#[cfg(target_os = "linux")]
pub mod linux;
mod oracle;
mod refolio;

pub use oracle::Oracle;
pub use refolio::Refolio;
