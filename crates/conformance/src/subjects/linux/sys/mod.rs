//! The kernel's calls that no safe interface has: the one room of `unsafe` of this subject.
//!
//! Memory that the kernel and other threads change at any moment is never made into a reference:
//! [`Map`] reads and writes it word by word, by atomic accesses.

#![allow(unsafe_code)] // The room of it; tests/tidy.rs of refolio holds the others shut.

mod child;
mod hold;
mod map;
mod numa;
mod swap;

pub(super) use child::{Child, fork};
pub(super) use hold::{
    Registered, copy_in, copy_out, read_into, splice_out, sync_range, write_from,
};
pub(super) use map::{Advice, HUGE, Map, Source};
pub(super) use numa::{Mover, Where, bind, migrate_all, move_each, move_to, prefer, where_are};
pub(super) use swap::{swap_off, swap_on};

use std::io;

/// What a raw call answered.
fn answer(returned: i64) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}
