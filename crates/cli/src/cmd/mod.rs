//! One file, or one folder, per verb of the command line.

pub mod bench;
pub mod check;
pub mod conform;
pub mod explain;
pub mod lab;
pub mod migrate;
