//! What the tests share. Each test takes what it needs.

pub mod crowd;
mod crowd_ends;
mod crowd_worker;
mod jitter;
pub mod ops;
pub mod play;
mod play_guard;
mod play_moves;
mod play_views;
mod record;
pub mod rest;
pub mod seed;
pub mod shrink;
pub mod stage;
