//! What the tests share. Each test takes what it needs.

pub mod ops;
pub mod play;
mod play_guard;
mod play_moves;
mod play_views;
pub mod rest;
pub mod seed;
pub mod shrink;
pub mod stage;
