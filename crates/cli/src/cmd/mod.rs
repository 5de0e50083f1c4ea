//! One file, or one folder, per verb of the command line.

pub mod conform;
pub mod check;
pub mod explain;
pub mod lab;
pub mod migrate;
