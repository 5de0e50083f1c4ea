//! What people and programs see of a run.

pub mod html;
pub mod junit;
pub mod ktap;
pub mod matrix;
