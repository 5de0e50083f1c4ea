//! Memory that a device can write to directly: whole pages, at whole pages' addresses. What takes more
//! than a page lies on large ones where the system has any: a device is given few pieces then, and
//! many small ones cost it up to half of its rate.
#![allow(unsafe_code)] // Pages are seen as bytes.

use refolio::PAGE_SIZE;

use super::arena::{Arena, HUGE};
use crate::error::Result;

/// Pages that lie together.
///
/// # Invariants
/// `arena` has at least `len` bytes.
#[derive(Debug)]
pub struct Blocks {
    arena: Arena,
    len: usize,
}

impl Blocks {
    /// So many bytes, rounded up to whole pages; zeros.
    pub fn new(bytes: usize) -> Result<Self> {
        let len = bytes.next_multiple_of(PAGE_SIZE);
        let room = if len > PAGE_SIZE { len.next_multiple_of(HUGE) } else { len };
        let mut new = Self { arena: Arena::large(room)?, len };
        new.bytes_mut().fill(0);
        Ok(new)
    }

    /// The first byte.
    pub fn base(&mut self) -> *mut u8 {
        self.arena.base()
    }

    /// All of them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: in the arena (invariants), all of which was written.
        unsafe { std::slice::from_raw_parts(self.arena.base(), self.len) }
    }

    /// All of them, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut`.
        unsafe { std::slice::from_raw_parts_mut(self.arena.base(), self.len) }
    }
}
