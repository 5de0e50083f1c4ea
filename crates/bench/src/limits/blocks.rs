//! Memory that a device can write to directly: whole pages, at whole pages' addresses.
#![allow(unsafe_code)] // Pages are seen as bytes.

use refolio::PAGE_SIZE;

/// Pages that lie together.
#[derive(Debug)]
pub struct Blocks(Vec<Block>);

#[derive(Clone, Copy, Debug)]
#[repr(C, align(4096))]
struct Block([u8; PAGE_SIZE]);

impl Blocks {
    /// So many bytes, rounded up to whole pages; zeros.
    pub fn new(bytes: usize) -> Self {
        Self(vec![Block([0; PAGE_SIZE]); bytes.div_ceil(PAGE_SIZE)])
    }

    /// The first byte.
    pub fn base(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// All of them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: blocks are arrays of bytes without anything between them.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * PAGE_SIZE) }
    }

    /// All of them, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut`.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.0.len() * PAGE_SIZE) }
    }
}
