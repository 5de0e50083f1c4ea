//! The subjects that ship.

mod dawdling;
mod oracle;
mod refolio;

pub use oracle::Oracle;
pub use refolio::Refolio;
