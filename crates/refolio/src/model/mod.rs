//! The matrix of `protocol.md`, cell by cell, under the checker: `cargo model -p refolio`.
//!
//! Each file is a meeting. It builds a tiny cache ([`world`]), lets two threads, or three, do what
//! its name says, by the code that ships, and checks all that must be true in each interleaving
//! ([`search`]): no byte of another page, none torn, none lost; what is pinned stays; and at rest
//! everything adds up. A deadlock is found by the checker.

mod search;
mod world;

mod migrate_lookup;
mod migrate_read;
mod migrate_write;
mod migrate_fill;
mod migrate_fault;
mod migrate_pin;
mod migrate_migrate;
mod migrate_writeback;
mod migrate_truncate;
mod migrate_evict;
