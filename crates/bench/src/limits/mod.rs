//! What the machine can do, without any cache in between. The rooms of `unsafe` of this crate.

pub mod arena;
pub mod bare;
pub mod blocks;
pub mod copy;
pub mod kernel;
pub mod mapped;
pub mod uring;
